"""A store, a clock to turn, and short ways to walk a meeting through its life."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg

from usher.adapters.memory.store import MemoryStore
from usher.adapters.postgres.store import PostgresStore
from usher.domain.lifecycle import COUNTED, TERMINAL, Applied, Event, Source, decide
from usher.domain.lifecycle import created_by as creating
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.policy import Policy
from usher.ports import Change, Configuration, Meeting, NewMeeting, Owed, Seat, Store, User, Void

PATIENCE_S = 60.0
POLICY = Policy(lease_s=20.0)
_STEP_S = 4.0

ADMITTED = ((Event.LAUNCH_BEGUN, Source.DISPATCHER), (Event.ADMITTED, Source.BOT))
"""How a requested meeting comes to be active."""


class World(ABC):
    """A store, and what a test may do to its world."""

    store: Store

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass for all that the store has written."""

    async def listen(self, seconds: float) -> None:
        """Let time pass while heartbeats are being taken."""
        await self.store.attend(silence_s=POLICY.silence_s)
        while seconds > 0:
            await self.pass_time(min(seconds, _STEP_S))
            await self.store.attend(silence_s=POLICY.silence_s)
            seconds -= _STEP_S


class MemoryWorld(World):
    """The in-memory store, with a clock of its own."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self.store = MemoryStore(lambda: datetime.now(UTC) + self._passed)

    async def pass_time(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)


_EARLIER = """
UPDATE meetings SET deadline_at = deadline_at - make_interval(secs => $1),
    join_at = join_at - make_interval(secs => $1),
    start_time = start_time - make_interval(secs => $1), end_time = end_time - make_interval(secs => $1);
UPDATE outbox SET due_at = due_at - make_interval(secs => $1),
    claimed_until = claimed_until - make_interval(secs => $1);
UPDATE api_tokens SET expires_at = expires_at - make_interval(secs => $1);
UPDATE transcript_shares SET expires_at = expires_at - make_interval(secs => $1);
UPDATE live_tickets SET expires_at = expires_at - make_interval(secs => $1);
UPDATE webhooks SET old_secret_until = old_secret_until - make_interval(secs => $1);
UPDATE webhook_deliveries SET last_at = last_at - make_interval(secs => $1);
UPDATE leases SET expires_at = expires_at - make_interval(secs => $1);
UPDATE attendance SET since = since - make_interval(secs => $1), seen_at = seen_at - make_interval(secs => $1)
"""


class PostgresWorld(World):
    """A real database. Its clock cannot be turned, so what it holds is moved into the past instead."""

    def __init__(self, store: PostgresStore, dsn: str) -> None:
        self.store: PostgresStore = store
        self.dsn = dsn

    async def pass_time(self, seconds: float) -> None:
        for statement in _EARLIER.split(";"):
            await self.run(statement, seconds)

    async def run(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run raw SQL, as somebody would who goes round the store."""
        async with self.transaction() as connection:
            return await connection.fetch(statement, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Open a transaction of one's own."""
        connection = await asyncpg.connect(self.dsn, timeout=PATIENCE_S, command_timeout=PATIENCE_S)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def opened(dsn: str | None) -> AsyncIterator[World]:
    """Open the world of a database, or one in memory if there is none."""
    if dsn is None:
        yield MemoryWorld()
        return
    async with opened_postgres(dsn) as world:
        yield world


@asynccontextmanager
async def opened_postgres(dsn: str, *, pool_size: int = 10) -> AsyncIterator[PostgresWorld]:
    store = await PostgresStore.connect(dsn, pool_size=pool_size, timeout_s=PATIENCE_S)
    try:
        yield PostgresWorld(store, dsn)
    finally:
        await store.close()


async def new_user(store: Store, *, bots: int = 5) -> User:
    return await store.create_user(f"{uuid.uuid4()}@example.org", name="Ada", max_concurrent_bots=bots)


def request(user: User, native_id: str = "weekly-sync", event: Event = Event.REQUESTED) -> NewMeeting:
    row = creating(event)
    return NewMeeting(
        user_id=user.user_id,
        ref=MeetingRef(Platform.ROOM, native_id, f"https://usher.example/room/{native_id}?p=s3cret"),
        bot_name="Usher",
        configuration=Configuration("en"),
        connection_id=str(uuid.uuid4()),
        transition=row,
        owed=tuple(Owed(effect) for effect in row.effects),
        deadline_s=900.0,
    )


def schedule(user: User, join_at: datetime, native_id: str = "weekly-sync") -> NewMeeting:
    return replace(request(user, native_id, Event.SCHEDULED), join_at=join_at, lead_s=60.0)


async def new_meeting(store: Store, user: User | None = None, native_id: str = "weekly-sync") -> Meeting:
    return (await store.create(request(user or await new_user(store), native_id))).meeting


def decided(meeting: Meeting, event: Event, by: Source) -> Change:
    """Return the change that a legal event is, without anything that the table does not ask for."""
    decision = decide(meeting.snapshot, event, by, meeting.attempt)
    assert isinstance(decision, Applied), decision
    row = decision.transition
    over = row.to_state in TERMINAL
    held, holds = meeting.status in COUNTED, row.to_state in COUNTED
    return Change(
        meeting_id=meeting.meeting_id,
        expected_version=meeting.version,
        transition=row,
        by=by,
        deadline_s=None if over else 60.0,
        stop_requested=meeting.stop_requested or event is Event.STOP_REQUESTED,
        next_connection_id=str(uuid.uuid4()) if event is Event.RETRY_GRANTED else None,
        clear_reason=event is Event.RETRY_GRANTED,
        seat=Seat.KEEP if held == holds else Seat.TAKE if holds else Seat.RELEASE,
        owed=tuple(Owed(effect) for effect in row.effects),
    )


async def written(store: Store, change: Change) -> Meeting:
    """Write a change that nothing stands in the way of."""
    changed = await store.change(change)
    assert not isinstance(changed, Void), changed
    return changed


async def walk(store: Store, meeting: Meeting, *steps: tuple[Event, Source]) -> Meeting:
    """Take a meeting through legal events."""
    for event, by in steps:
        meeting = await written(store, decided(meeting, event, by))
    return meeting
