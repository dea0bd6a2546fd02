"""What the store holds, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from usher.domain.lifecycle import WAITING, Event, Reason, Snapshot, Source, State
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.transcript import Segment

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who sends bots.

    Attributes:
        max_concurrent_bots: How many of their bots may be under way at once; 0 means none.
        data: What the admin keeps of them.
    """

    user_id: int
    email: str
    name: str | None
    max_concurrent_bots: int
    created_at: datetime
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a user is told of changes, and what the message is signed with.

    Attributes:
        old_secret: The secret before, while it is good: messages are signed with it, too.
    """

    url: str
    secret: str = field(repr=False)
    old_secret: str | None = field(default=None, repr=False)


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
        command_seq: Number of the newest command to a bot; 0 if there was none.
        configuration_seq: Number of the newest command that changes the configuration; 0 if there was none.
        failure_detail: Evidence for people, with `failure_stage`.
        recording_enabled: Whether its sound is kept.
        redacted_at: When its transcript was deleted; from then on its native id and URL are empty.
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
    command_seq: int = 0
    configuration_seq: int = 0
    failure_detail: str | None = None
    recording_enabled: bool = False
    redacted_at: datetime | None = None

    @property
    def redacted(self) -> bool:
        """Whether its transcript was deleted."""
        return self.redacted_at is not None

    @property
    def snapshot(self) -> Snapshot:
        """The part of the row that decisions are made from."""
        waits_for = self.reason if self.status in WAITING else None
        return Snapshot(self.status, self.attempt, self.stop_requested, waits_for)


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
    """Which part of a user's meetings to list: newest first, `limit` at most.

    Attributes:
        before_id: Only older ones than this one of theirs; none if they have no such meeting.
        states: Only those in one of these.
        platform: Only those on it.
        native_id: Only visits to that call.
        since: Only those asked for at that moment or later.
        until: Only those asked for before that moment.
    """

    limit: int = 100
    before_id: int | None = None
    states: frozenset[State] | None = None
    platform: Platform | None = None
    native_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


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


class Mark(NamedTuple):
    """One revision of one segment of a meeting."""

    meeting_id: int
    segment_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command to one bot; `seq` counts per meeting from 1 and never repeats.

    Attributes:
        newest: Whether no later command of the same action was sent to the bot.
        text: What to write with `chat`, the new name with `rename`.
    """

    seq: int
    connection_id: str
    action: str
    configuration: Configuration
    newest: bool = True
    text: str | None = None


RECONFIGURE, LEAVE, CHAT, RENAME = "reconfigure", "leave", "chat", "rename"
"""Actions of commands. No later command makes a `chat` void; a `leave` makes everything else void."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that moves no meeting to another state.

    Attributes:
        action: `chat` or `rename`.
        again_s: Without an acknowledgement for so long, it is published again.
    """

    meeting_id: int
    action: str
    text: str
    again_s: float


class Unordered(StrEnum):
    """Why an order was not written."""

    NOT_IN_MEETING = "not_in_meeting"
    TOO_MANY = "too_many"


MOST_PENDING = 100
"""Commands to one bot that wait for its acknowledgement; it gets no further orders beyond."""


@dataclass(frozen=True, slots=True)
class CommandFate:
    """A command and what became of it: the outcome is None while the bot has not acknowledged it."""

    seq: int
    action: str
    outcome: str | None
    detail: str


MOST_EXHIBITS = 20
"""Pieces of evidence that are kept of one meeting."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One piece of evidence of a meeting, without its contents.

    Attributes:
        number: Counts the meeting's pieces from 1, and never repeats.
        screenshot_bytes: Size of the screenshot; 0 if there is none.
        tree_characters: Length of the tree; 0 if there is none.
    """

    number: int
    attempt: int
    step: str
    reason: str | None
    taken_at: datetime
    title: str
    address: str
    screenshot_bytes: int
    tree_characters: int


@dataclass(frozen=True, slots=True)
class ExhibitContents:
    """What a piece of evidence shows: a JPEG, if there is one, and the accessible tree as text."""

    screenshot: bytes | None
    tree: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A line of a meeting's chat.

    Attributes:
        line_id: The page's own; one line of one attempt is kept once.
        at: When the bot first saw it, by the store's clock.
        number: Its place in the meeting's chat, from 1 without gaps.
    """

    attempt: int
    line_id: str
    sender: str
    text: str
    is_self: bool
    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Edition:
    """A state of a transcript.

    Attributes:
        number: Grows by one with each batch that is stored.
        segments: What is asked for of it, in the order in which it was said.
    """

    number: int
    segments: Sequence[Segment]


class Erasure(StrEnum):
    """What became of the wish to delete a transcript."""

    ERASED = "erased"
    UNKNOWN = "unknown"
    NOT_OVER = "not_over"
    ENDING = "ending"


MOST_TICKETS = 100
"""Tickets of a user that wait to be used."""

MOST_SHARES = 100
"""Links to one transcript that may be good at a time."""


@dataclass(frozen=True, slots=True)
class Share:
    """A link to a transcript; its token is known to nobody but whom it was given to."""

    share_id: int
    meeting_id: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a bot did with the command of that number: `applied` or `refused`, and why, for people."""

    seq: int
    outcome: str
    detail: str = ""


EXPIRED = "expired"
"""Outcome of a command whose attempt or time was over before its bot acknowledged it."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Answer to a heartbeat.

    Attributes:
        current: Whether this connection is the current attempt of a meeting that is not over.
        newest_seq: The highest command number for this connection; 0 if there is none.
    """

    current: bool
    newest_seq: int
