"""What a scenario leaves to be judged: the rows, what the launcher says ran, and what bots and callers noted.

Every field may be left out; a rule says nothing about what nobody noted. Nobody notes `deleted` and `traces` yet: the
API does not delete transcripts, so nothing is known of I14. All times are seconds since the epoch by the store's clock,
as the `at` of a history's events is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from usher.domain.lifecycle import Effect, State
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import Mark, Meeting, MeetingEvent


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a workload, by the word of the launcher's machine; `ended_s` is None while it runs."""

    workload: WorkloadName
    started_s: float
    ended_s: float | None = None


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One stored command of a connection.

    Attributes:
        outcome: None until its bot acknowledged it or it expired.
        sent_s: When it was accepted, if that was noted.
        executed_s: When its bot carried it out, if it did and noted it.
    """

    seq: int
    action: str
    outcome: str | None = None
    sent_s: float | None = None
    executed_s: float | None = None


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One row of the transcripts."""

    meeting_id: int
    segment_id: str
    revision: int
    completed: bool


@dataclass(frozen=True, slots=True)
class Leftover:
    """An effect in the outbox; `buried` if nobody will run it again."""

    meeting_id: int
    effect: Effect
    buried: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one copy of a bot's report was answered, in the order of the answers.

    Attributes:
        report: What tells this report from the bot's others, such as its path and number.
        status: HTTP status.
        outcome: What the body says became of it.
        arrived_s: When this copy came in.
        answered_s: When it was answered.
    """

    connection_id: str
    report: str
    status: int
    outcome: str = ""
    arrived_s: float = 0.0
    answered_s: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One request under an idempotency key; `meeting_id` is None if it was not answered with a meeting."""

    user_id: int
    key: str
    body: str
    status: int
    meeting_id: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of a webhook about one event of a meeting."""

    webhook_id: str
    meeting_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What somebody was shown of a meeting; those of one observer are in the order in which they were shown."""

    observer: str
    meeting_id: int
    version: int
    status: State


@dataclass(frozen=True, slots=True)
class Settlement:
    """A change that was written under a claim at `at_s`, while the claim was good until `claimed_until_s`."""

    meeting_id: int
    at_s: float
    claimed_until_s: float


@dataclass(frozen=True, slots=True)
class BotMove:
    """A change of a meeting that a bot's report led to.

    Attributes:
        version: The meeting's version after it.
        attempt: Of the bot that reported.
    """

    meeting_id: int
    version: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Access:
    """Something that a bot's credentials opened: whose they were, what they were used on, and where.

    Attributes:
        over: Whether their attempt was known to be over before they were tried.
    """

    connection_id: str
    target: str
    where: str
    at_s: float
    over: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """How full something that has a limit ever was."""

    name: str
    peak: int
    limit: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long the system may take where it promises to be quick, in seconds, beyond the policy's own numbers.

    Attributes:
        sweep_s: For a workload to be ended after its meeting is.
        detection_s: For the end of a workload to be noticed.
        kill_s: For what was stopped to be dead, beyond the graces.
        deadline_s: For a deadline to be acted upon.
        command_s: For a command to be carried out by a bot that is alive.
        sight_s: From the moment of looking at a workload to the report of what was seen.
    """

    sweep_s: float = 15.0
    detection_s: float = 30.0
    kill_s: float = 15.0
    deadline_s: float = 15.0
    command_s: float = 30.0
    sight_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of what happened.

    Attributes:
        events: History of each meeting, oldest first.
        limits: `max_concurrent_bots` of each user.
        lives: What ran when.
        silences: Spans of their lives in which workloads stood still.
        workloads: The workload of each connection.
        now_s: The present; None if the evidence says nothing of the present.
        outages: Spans in which nobody could act: the store, the launcher or every manager was away. They may overlap.
            Promises about time are judged by the time between them.
        moves: Changes, and which bot reported them.
        settled: Whether everything has had the time to come to its end.
        commands: By connection, in order.
        executed: By connection, the numbers that the bot says it executed, in that order. Only of bots that noted it.
        confirmed: Segments that bots were told are stored.
        acknowledged: Final segments whose entries were taken off the stream for good.
        accounts: Connections that have an account at Redis; None if nobody looked.
        leftovers: What is in the outbox.
        subscribers: Users who have had a webhook from the start; None if all have.
        deliveries: Webhooks that arrived; None if nobody took them.
        undelivered: (meeting, version) of webhooks that are still being tried.
        feeds: Changes of state as live subscribers learned them, after resume.
        settlements: What was written under claims.
        accesses: What bots' credentials opened, of their own things and of others'.
        deleted: Meetings whose transcript was deleted.
        traces: (meeting, store) where text of a meeting was found after its deletion.
        fills: How full queues, pools and the like were.
        twin: Evidence of the same story with another wall clock.
    """

    meetings: Sequence[Meeting] = ()
    events: Mapping[int, Sequence[MeetingEvent]] = field(default_factory=dict)
    limits: Mapping[int, int] = field(default_factory=dict)
    lives: Sequence[Life] = ()
    silences: Sequence[Life] = ()
    workloads: Mapping[str, WorkloadName] = field(default_factory=dict)
    now_s: float | None = None
    outages: Sequence[tuple[float, float]] = ()
    settled: bool = False
    policy: Policy = field(default_factory=Policy)
    allowance: Allowance = Allowance()
    commands: Mapping[str, Sequence[CommandRecord]] = field(default_factory=dict)
    executed: Mapping[str, Sequence[int]] = field(default_factory=dict)
    confirmed: Collection[Mark] = ()
    acknowledged: Collection[Mark] = ()
    stored: Sequence[StoredSegment] = ()
    accounts: Collection[str] | None = None
    leftovers: Sequence[Leftover] = ()
    answers: Sequence[Answer] = ()
    moves: Sequence[BotMove] = ()
    key_uses: Sequence[KeyUse] = ()
    subscribers: Collection[int] | None = None
    deliveries: Sequence[Delivery] | None = None
    undelivered: Collection[tuple[int, int]] = ()
    sightings: Sequence[Sighting] = ()
    feeds: Sequence[Sighting] = ()
    settlements: Sequence[Settlement] = ()
    accesses: Sequence[Access] = ()
    deleted: Collection[int] = ()
    traces: Sequence[tuple[int, str]] = ()
    fills: Sequence[Fill] = ()
    twin: "Evidence | None" = None

    def until_s(self, life: Life) -> float:
        """Return when a life ended, or the present, or the end of time if that is not known."""
        if life.ended_s is not None:
            return life.ended_s
        return float("inf") if self.now_s is None else self.now_s

    def calm_s(self, from_s: float, to_s: float) -> float:
        """Return how much of a span was outside of outages, in seconds; 0 if it ends before it begins."""
        calm, reached = 0.0, from_s
        for begin_s, end_s in sorted(self.outages):
            calm += max(0.0, min(begin_s, to_s) - reached)
            reached = max(reached, end_s)
        return calm + max(0.0, to_s - reached)
