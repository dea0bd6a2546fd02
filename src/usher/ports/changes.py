"""What is written to the store in one transaction, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from usher.domain.lifecycle import Effect, Reason, Source, State, Transition
from usher.domain.meeting import MeetingRef
from usher.domain.notices import NoticeType
from usher.ports.records import Acknowledgement, Configuration, Meeting


class Lane(StrEnum):
    """Effects of one meeting in one lane run one after another; lanes do not wait for each other."""

    WORKLOAD = "workload"
    COMMAND = "command"
    NOTIFY = "notify"


LANES: Mapping[Effect, Lane] = {
    Effect.LAUNCH: Lane.WORKLOAD,
    Effect.TERMINATE: Lane.WORKLOAD,
    Effect.TERMINATE_AFTER_GRACE: Lane.WORKLOAD,
    Effect.CLEAN_UP: Lane.WORKLOAD,
    Effect.SEND_COMMAND: Lane.COMMAND,
    Effect.FINISH_MEETING: Lane.WORKLOAD,
    Effect.NOTIFY: Lane.NOTIFY,
}


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
        tries: How often it was given back to be tried again; a claim that was lost counts for nothing.
        version: Of the event to tell, with `notify`.
        webhook_id: Whom to tell, with `notify`; None from a version that knew of one webhook for a user.
        notice: What to tell, with `notify`; None from that version, which told of changes of the status.
    """

    claim: Claim
    meeting_id: int
    attempt: int
    effect: Effect
    tries: int
    version: int | None = None
    webhook_id: int | None = None
    notice: NoticeType | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of a lane's work is due and not done.

    Attributes:
        depth: Number of effects.
        oldest_s: For how long the oldest has been due; 0 if none is.
    """

    depth: int = 0
    oldest_s: float = 0.0


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
        recording_enabled: Whether the meeting's sound is kept.
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
    recording_enabled: bool = False
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
        deadline_stays: Keep the deadline that stands.
        deadline_cap_s: The deadline is no later than so many seconds after `start_time`; None for no such cap.
        expire_commands: Commands of the attempt that are not acknowledged will not be executed any more.
        expire_changes: The same for commands that change the configuration, and for no others.
        stop_requested: The new value of the flag.
        next_connection_id: Set for a retry: the attempt grows by one, and this is its connection.
        clear_reason: Forget reason and failure stage (a retry begins anew, or what was waited for is there).
        failure_stage: Set where an attempt or the meeting fails.
        workload: New `bot_container_id`, or None to keep it.
        desired_configuration: New desired configuration, or None to keep it.
        adopt_configuration: The desired configuration is now in force.
        drop_configuration: The desired configuration goes back to the one in force.
        command: Action of a command to the bot (`reconfigure`, `leave`), written with the next sequence number.
        acknowledgement: Of the bot, of a command to this attempt: written in the same transaction.
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
    deadline_stays: bool = False
    deadline_cap_s: float | None = None
    expire_commands: bool = False
    expire_changes: bool = False
    stop_requested: bool = False
    next_connection_id: str | None = None
    clear_reason: bool = False
    failure_stage: State | None = None
    workload: str | None = None
    desired_configuration: Configuration | None = None
    adopt_configuration: bool = False
    drop_configuration: bool = False
    command: str | None = None
    acknowledgement: Acknowledgement | None = None
    seat: Seat = Seat.KEEP
    owed: tuple[Owed, ...] = ()
    claim: Claim | None = None


class Void(StrEnum):
    """Why a change was not written."""

    STALE = "stale"
    CLAIM_LOST = "claim_lost"
    NO_SEAT = "no_seat"
