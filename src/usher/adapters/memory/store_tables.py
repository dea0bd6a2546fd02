"""What the in-memory store holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from usher.domain.lifecycle import LIVE, Effect
from usher.domain.transcript import Segment
from usher.ports import (
    CHAT,
    EXPIRED,
    LEAVE,
    Acknowledgement,
    Actor,
    AuditEntry,
    ChatMessage,
    Delivery,
    Endpoint,
    Exhibit,
    ExhibitContents,
    Json,
    Lane,
    Meeting,
    MeetingEvent,
    Message,
    Recording,
    Session,
    Share,
    StoredChunk,
    StoredCommand,
    Token,
    User,
)

Now = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return the time of the machine, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class OwedRow:
    """One row of the outbox."""

    effect_id: int
    meeting_id: int
    attempt: int
    lane: Lane
    effect: Effect
    due_at: datetime
    tries: int = 0
    token: str | None = None
    claimed_until: datetime | None = None
    error: str | None = None
    buried_at: datetime | None = None
    message: Message | None = None

    def claimed(self, now: datetime) -> bool:
        """Say whether somebody may be running it."""
        return self.claimed_until is not None and self.claimed_until > now

    def due(self, now: datetime) -> bool:
        """Say whether it is time to run it."""
        return self.due_at <= now


@dataclass(slots=True)
class CommandRow:
    """One command, and what its bot did with it."""

    command: StoredCommand
    outcome: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when the bot of an attempt counts as alive."""

    attempt: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Attendance:
    """Since when heartbeats are being taken without a gap, and when that was last said."""

    since: datetime
    seen_at: datetime


@dataclass(slots=True)
class Tables:
    """All rows, and the clock that they are judged by. Belongs to one event loop; no method of the store awaits."""

    now: Now = wall_clock
    ids: "count[int]" = field(default_factory=lambda: count(1))
    users: dict[int, User] = field(default_factory=dict)
    active_bots: dict[int, int] = field(default_factory=dict)
    tokens: dict[bytes, Token] = field(default_factory=dict)
    endpoints: dict[int, Endpoint] = field(default_factory=dict)
    old_secrets_until: dict[int, datetime] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    meetings: dict[int, Meeting] = field(default_factory=dict)
    events: dict[int, list[MeetingEvent]] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    idempotency_keys: dict[tuple[int, str], tuple[bytes, int]] = field(default_factory=dict)
    outbox: dict[int, OwedRow] = field(default_factory=dict)
    commands: dict[int, list[CommandRow]] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    attendance: Attendance | None = None
    sessions: dict[tuple[int, str], Session] = field(default_factory=dict)
    segments: dict[int, dict[str, Segment]] = field(default_factory=dict)
    editions: dict[int, int] = field(default_factory=dict)
    changed: dict[tuple[int, str], int] = field(default_factory=dict)
    exhibits: dict[int, list[tuple[Exhibit, ExhibitContents]]] = field(default_factory=dict)
    chats: dict[int, list[ChatMessage]] = field(default_factory=dict)
    recordings: dict[int, Recording] = field(default_factory=dict)
    recording_chunks: dict[int, list[StoredChunk]] = field(default_factory=dict)
    deletions: set[int] = field(default_factory=set)
    shares: dict[bytes, Share] = field(default_factory=dict)
    tickets: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)
    deeds: list[AuditEntry] = field(default_factory=list)

    def after(self, seconds: float) -> datetime:
        """Return the moment that many seconds from now."""
        return self.now() + timedelta(seconds=seconds)

    def write_deed(self, by: Actor | None, action: str, subject: str, data: Json | None = None) -> None:
        """Write a line of the log of deeds, if somebody is to be held to it."""
        if by is not None:
            deed = AuditEntry(next(self.ids), by.name, by.origin, action, subject, data or {}, self.now())
            self.deeds.append(deed)

    def current(self, connection_id: str) -> Meeting | None:
        """Return the meeting whose current attempt has this connection, if it is not over."""
        meeting = self.meetings.get(self.connections.get(connection_id, 0))
        fits = meeting and meeting.connection_id == connection_id and meeting.status in LIVE
        return meeting if fits else None

    def held(self, effect_id: int, token: str) -> OwedRow | None:
        """Return the claimed row, or None if the claim was lost."""
        row = self.outbox.get(effect_id)
        return row if row and row.buried_at is None and row.token == token and row.claimed(self.now()) else None

    def sent_to(self, connection_id: str) -> list[CommandRow]:
        """Return the commands to one bot, oldest first."""
        rows = self.commands.get(self.connections.get(connection_id, 0), ())
        return [row for row in rows if row.command.connection_id == connection_id]

    def acknowledge(self, connection_id: str, said: Acknowledgement) -> StoredCommand | None:
        """Write what a bot did with a command; the first outcome stays. None if it was never sent such a one."""
        sent = self.sent_to(connection_id)
        row = next((row for row in sent if row.command.seq == said.seq), None)
        if row is None:
            return None
        for older in sent:
            if _makes_void(row.command, older.command):
                older.outcome = older.outcome or EXPIRED
        if row.outcome in (None, EXPIRED):
            row.outcome, row.detail = said.outcome, said.detail
        return row.command


def _makes_void(command: StoredCommand, older: StoredCommand) -> bool:
    same = command.action in {older.action, LEAVE}
    return same and older.action != CHAT and older.seq < command.seq


def as_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of a JSON value without NUL characters, which the database does not store either."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {as_json(key): as_json(each) for key, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, list | tuple) else value


class Part:
    """One port's share of the store, on the common tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
