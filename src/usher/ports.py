"""Everything that the use cases ask of the outside, as protocols, with the values that cross them.

Adapters implement these; a contract suite in `tests/contract` holds every implementation of a port to the same
behaviour. Times are the store's own clock: nobody passes "now" in.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from usher.domain.lifecycle import Effect, Event, Reason, Snapshot, Source, State, Transition
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.reconcile import Observation, Watched, WorkloadName
from usher.domain.transcript import Segment

Json = Mapping[str, Any]


class Lane(StrEnum):
    """Effects of one meeting in one lane run one after another; lanes do not wait for each other."""

    WORKLOAD = "workload"
    COMMAND = "command"
    FINISH = "finish"


LANES: Mapping[Effect, Lane] = {
    Effect.LAUNCH: Lane.WORKLOAD,
    Effect.TERMINATE: Lane.WORKLOAD,
    Effect.TERMINATE_AFTER_GRACE: Lane.WORKLOAD,
    Effect.CLEAN_UP: Lane.WORKLOAD,
    Effect.SEND_COMMAND: Lane.COMMAND,
    Effect.FINISH_MEETING: Lane.FINISH,
}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who sends bots.

    Attributes:
        max_concurrent_bots: How many of their bots may be under way at once; 0 means none.
    """

    user_id: int
    email: str
    name: str | None
    max_concurrent_bots: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Configuration:
    """What may be changed while the bot is in the meeting.

    Attributes:
        language: ISO 639-1 code to expect, or None to detect it.
        task: `transcribe` or `translate` (into English).
    """

    language: str | None = None
    task: str = "transcribe"


@dataclass(frozen=True, slots=True)
class Meeting:
    """One bot's visit to one call: a row of `meetings`.

    Attributes:
        version: Number of the last event; grows by one with each.
        attempt: Launch number, from 1.
        connection_id: UUID of the current attempt's bot process.
        configuration: In force in the bot as far as it has told.
        desired_configuration: What the user asked for last.
        bot_container_id: Name of the current attempt's workload; None before the first launch.
        start_time: When the bot was first admitted.
        end_time: When the meeting reached a terminal state.
        data: What has no column of its own.
    """

    meeting_id: int
    user_id: int
    ref: MeetingRef
    bot_name: str
    status: State
    version: int
    attempt: int
    connection_id: str
    stop_requested: bool
    configuration: Configuration
    desired_configuration: Configuration
    reason: Reason | None
    failure_stage: State | None
    bot_container_id: str | None
    deadline_at: datetime | None
    join_at: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    created_at: datetime
    updated_at: datetime
    data: Json

    @property
    def snapshot(self) -> Snapshot:
        """The part of the row that decisions are made from."""
        return Snapshot(self.status, self.attempt, self.stop_requested)


@dataclass(frozen=True, slots=True)
class Owed:
    """An effect that a transition writes to the outbox.

    Attributes:
        delay_s: Not to be run before that many seconds have passed.
    """

    effect: Effect
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one effect until the claim lease ends; `token` is new with each claim."""

    effect_id: int
    token: str


@dataclass(frozen=True, slots=True)
class ClaimedEffect:
    """One row of the outbox, claimed.

    Attributes:
        tries: How often it was claimed before this time.
    """

    claim: Claim
    meeting_id: int
    attempt: int
    effect: Effect
    tries: int


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The caller's key for one request, and a digest of the request's body."""

    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class NewMeeting:
    """A request for a bot, checked.

    Attributes:
        transition: The row of the table that creates the meeting.
        deadline_s: Seconds until the first state's deadline; ignored where `join_at` is set.
        join_at: When the bot shall be at the door; None for at once.
        lead_s: How long before `join_at` the meeting becomes due.
    """

    user_id: int
    ref: MeetingRef
    bot_name: str
    configuration: Configuration
    connection_id: str
    transition: Transition
    owed: tuple[Owed, ...]
    deadline_s: float
    join_at: datetime | None = None
    lead_s: float = 0.0
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The meeting of a request; `replayed` if an earlier request with the same idempotency key made it."""

    meeting: Meeting
    replayed: bool


class Seat(StrEnum):
    """What a transition does to the user's count of bots under way."""

    TAKE = "take"
    KEEP = "keep"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Change:
    """One applied decision, to be written in one transaction or not at all.

    Attributes:
        meeting_id: Whose.
        expected_version: The version that the decision was made on; another one means that it is void.
        transition: The row of the table.
        by: Who reported.
        reason: New reason, or None to keep the one that stands.
        detail: Evidence for people (an exit code, a launcher's message); may be empty.
        deadline_s: Seconds until the new state's deadline; None in terminal states.
        deadline_from_start: Count `deadline_s` from `start_time` if there is one, not from now.
        stop_requested: The new value of the flag.
        next_connection_id: Set for a retry: the attempt grows by one, and this is its connection.
        clear_reason: Forget reason and failure stage (a retry begins anew).
        failure_stage: Set where an attempt or the meeting fails.
        workload: New `bot_container_id`, or None to keep it.
        desired_configuration: New desired configuration, or None to keep it.
        adopt_configuration: The desired configuration is now in force.
        drop_configuration: The desired configuration goes back to the one in force.
        command: Action of a command to the bot (`reconfigure`, `leave`), written with the next sequence number.
        seat: What becomes of the user's seat. `TAKE` may find none.
        owed: Effects for the outbox.
        claim: If set, the claim that this change is the outcome of: the effect is completed by the same
            transaction, and if the claim is lost the change is void.
    """

    meeting_id: int
    expected_version: int
    transition: Transition
    by: Source
    reason: Reason | None = None
    detail: str = ""
    deadline_s: float | None = None
    deadline_from_start: bool = False
    stop_requested: bool = False
    next_connection_id: str | None = None
    clear_reason: bool = False
    failure_stage: State | None = None
    workload: str | None = None
    desired_configuration: Configuration | None = None
    adopt_configuration: bool = False
    drop_configuration: bool = False
    command: str | None = None
    seat: Seat = Seat.KEEP
    owed: tuple[Owed, ...] = ()
    claim: Claim | None = None


class Void(StrEnum):
    """Why a change was not written."""

    STALE = "stale"
    CLAIM_LOST = "claim_lost"
    NO_SEAT = "no_seat"


@dataclass(frozen=True, slots=True)
class MeetingEvent:
    """One line of a meeting's history."""

    version: int
    event: Event
    from_state: State | None
    to_state: State
    by: Source
    attempt: int
    reason: Reason | None
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a user's meetings to list: newest first, `limit` at most, older than `before_id` if set."""

    limit: int = 100
    before_id: int | None = None
    states: frozenset[State] | None = None


class Meetings(Protocol):
    """Meetings and their history. `change` is the only writer of `meetings.status` after creation."""

    async def create(self, new: NewMeeting) -> Created:
        """Write meeting, first event, effects and seat in one transaction. Idempotent under one idempotency key.

        Raises:
            Conflict: `already_there` (a meeting of the same user, platform and native id is not over; the detail
                names its id), or `idempotency_key_reused` (same key, other body).
            LimitReached: `max_concurrent_bots`.
            NotFound: `unknown_user`.
        """
        ...

    async def change(self, change: Change) -> Meeting | Void:
        """Write one change in one transaction: row, event, command, effects, seat, completed claim; or nothing."""
        ...

    async def find(self, meeting_id: int) -> Meeting | None:
        """Return the meeting, whoever owns it."""
        ...

    async def find_by_connection(self, connection_id: str) -> Meeting | None:
        """Return the meeting that has or had this connection; compare `connection_id` to tell which."""
        ...

    async def find_latest(self, user_id: int, platform: Platform, native_id: str) -> Meeting | None:
        """Return the user's newest visit to that call."""
        ...

    async def list_of_user(self, user_id: int, page: Page) -> Sequence[Meeting]:
        """List a user's meetings, newest first."""
        ...

    async def events(self, meeting_id: int) -> Sequence[MeetingEvent]:
        """Return a meeting's history, oldest first."""
        ...

    async def watched(self) -> Sequence[Watched]:
        """Return every meeting that is not over, judged by the store's clock."""
        ...

    async def put_data(self, meeting_id: int, data: Json) -> None:
        """Merge `data` into the meeting's data, key by key, in one statement. Idempotent."""
        ...


class Outbox(Protocol):
    """Effects that are owed. At least once: whoever runs one has to be idempotent."""

    async def claim(self, lane: Lane, *, limit: int, claim_s: float) -> Sequence[ClaimedEffect]:
        """Claim due effects whose meeting has no earlier due one in the lane. Claims never overlap in time."""
        ...

    async def complete(self, claim: Claim) -> bool:
        """Remove a claimed effect; False if the claim was lost meanwhile."""
        ...

    async def postpone(self, claim: Claim, *, delay_s: float, error: str) -> bool:
        """Give a claimed effect back, due after `delay_s`; False if the claim was lost."""
        ...

    async def bury(self, claim: Claim, *, error: str) -> bool:
        """Keep a claimed effect for people to look at and never run it again; False if the claim was lost."""
        ...


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command to one bot; `seq` counts per meeting from 1 and never repeats."""

    seq: int
    connection_id: str
    action: str
    configuration: Configuration


class Commands(Protocol):
    """Commands, kept until their bot has acknowledged them."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot with a number above `after_seq`, oldest first."""
        ...

    async def acknowledge(self, connection_id: str, seq: int, *, outcome: str, detail: str) -> StoredCommand | None:
        """Record what the bot did (`applied` or `refused`). Idempotent: the first outcome stays.

        Returns:
            The command, or None if the bot was never sent such a one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Beat:
    """Answer to a heartbeat.

    Attributes:
        current: Whether this connection is the current attempt of a meeting that is not over.
        newest_seq: The highest command number for this connection; 0 if there is none.
    """

    current: bool
    newest_seq: int


class Leases(Protocol):
    """Who has reported lately. The store's clock decides."""

    async def renew(self, connection_ids: Sequence[str], *, lease_s: float) -> Mapping[str, Beat]:
        """Renew (or begin) the leases of many bots in one statement; unknown ids are absent from the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """One unbroken audio stream: a row of `meeting_sessions`."""

    meeting_id: int
    session_uid: str
    session_start: datetime


@dataclass(frozen=True, slots=True)
class HeardSegment:
    """A segment and whose it is."""

    meeting_id: int
    segment: Segment


class Transcripts(Protocol):
    """Sessions and segments: one row per (meeting, segment id), the newest revision wins."""

    async def save(self, sessions: Sequence[Session], heard: Sequence[HeardSegment]) -> None:
        """Upsert a batch in one transaction. Idempotent; an older revision changes nothing."""
        ...

    async def segments(self, meeting_id: int) -> Sequence[Segment]:
        """Return the segments of a meeting in the order in which they were said."""
        ...


class Users(Protocol):
    """Users and their API tokens (kept as SHA-256)."""

    async def create_user(self, email: str, *, name: str | None, max_concurrent_bots: int) -> User:
        """Create a user. Idempotent by e-mail address: an existing user is returned unchanged."""
        ...

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        ...

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        ...

    async def add_token(self, user_id: int, token_sha256: bytes) -> int:
        """Store a token's digest and return its id. Idempotent for the same digest.

        Raises:
            NotFound: `unknown_user`.
        """
        ...

    async def find_user_by_token(self, token_sha256: bytes) -> User | None:
        """Return the owner of a token."""
        ...

    async def revoke_token(self, token_id: int) -> bool:
        """Forget a token; False if there is none."""
        ...


class Store(Meetings, Outbox, Commands, Leases, Transcripts, Users, Protocol):
    """All of the state. The PostgreSQL adapter and the in-memory one pass the same contract suite."""

    async def ping(self, *, timeout_s: float) -> None:
        """Return if the store answers.

        Raises:
            Unavailable: It does not.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What to run for one attempt.

    Attributes:
        name: Deterministic; starting the same name twice is starting it once.
        environment: Variables of the bot's process; holds its credentials, so it is never logged or put in argv.
    """

    name: WorkloadName
    environment: Mapping[str, str]


class Launcher(Protocol):
    """Runs workloads. Its word is the truth about what is live."""

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload, or adopt the one of that name that runs already. Idempotent.

        Raises:
            LaunchRejected: It can never run, and nothing of it runs.
            Unavailable: The launcher does not answer; the workload may run or not.
        """
        ...

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Ask a workload to end, kill all of it after `grace_s`, and say what is left. Idempotent.

        Returns:
            `Exited` or `Gone` if nothing of it runs any more; `Unknown` if that could not be made sure.
        """
        ...

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload. `Unknown` is never reported as `Gone`."""
        ...

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all workloads of this installation, ended ones that are remembered included; None if unknown."""
        ...

    async def remove(self, name: WorkloadName) -> None:
        """Kill what may be left of a workload and forget it. Idempotent."""
        ...

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of what the workload printed; empty if nothing is known."""
        ...


class CommandChannel(Protocol):
    """The fast path of commands: `bot_commands:{connection_id}`. It may lose; the stored command is the truth."""

    async def publish(self, connection_id: str, message: str) -> int:
        """Publish and return the number of listeners reached.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...


class BotAccess(Protocol):
    """A bot's own account at Redis: hears its own command channel, appends to the segment stream, nothing else."""

    async def grant(self, connection_id: str, password: str) -> None:
        """Create or refresh the account `usher-bot-{connection_id}`. Idempotent.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def revoke(self, connection_id: str) -> None:
        """Remove the account and cut its connections. Idempotent.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...


class Feed(Protocol):
    """Live frames of a meeting for its viewers: at most once, newest first to arrive; the store has the truth."""

    async def publish(self, meeting_id: int, frame: Json) -> None:
        """Send a frame to whoever listens. A loss is not an error: it is logged and counted."""
        ...

    def subscribe(self, meeting_id: int) -> "Subscription":
        """Listen to a meeting. Enter the result; iterate over frames until it is left."""
        ...


class Subscription(Protocol):
    """A bounded queue of frames. If it overflows, the oldest go and `lost` tells how many."""

    lost: int

    async def __aenter__(self) -> "Subscription":
        """Return once frames published from now on will arrive."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening."""
        ...

    def __aiter__(self) -> AsyncIterator[Json]:
        """Iterate over frames as they come, without end."""
        ...


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry of the segment stream as it came: nothing in it may be trusted before its signature was checked."""

    entry_id: str
    fields: Mapping[str, bytes]


class SegmentStream(Protocol):
    """The Redis stream between bots and collector, read by a consumer group."""

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        """Return new entries, and those that another consumer took and did not acknowledge for a minute.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take entries off the stream for good. To be called after commit. Idempotent."""
        ...

    async def bury(self, entry: StreamEntry, *, reason: str) -> None:
        """Move an entry that can never be stored to the dead-letter stream."""
        ...

    async def backlog(self) -> int:
        """Return the number of entries that are not acknowledged."""
        ...
