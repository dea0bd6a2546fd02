"""The two stores of the model test: what each of them calls things, and how they are compared."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from tests.contract.store_worlds import PostgresWorld, World

from usher.domain.errors import Rejected
from usher.domain.lifecycle import LIVE
from usher.domain.policy import Policy
from usher.ports import Claim, Lane, Meeting, NewMeeting, Page, Store, User

T = TypeVar("T")

STEP_S = 1000.0
SPANS = st.sampled_from([500.0, 1500.0])
SOME = st.integers(0, 1000)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(lease_s=1500.0, silence_s=1500.0, missed_after_s=1000.0)

_BURIED_EARLIER = "UPDATE outbox SET buried_at = buried_at - make_interval(secs => $1)"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, and the number of its meeting."""

    claim: Claim
    number: int


@dataclass(slots=True)
class Side:
    """One of the two stores, with its own names for what both hold. What is listed is numbered by its place."""

    world: World
    users: list[User] = field(default_factory=list)
    meetings: list[int] = field(default_factory=list)
    claims: list[Held] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    links: dict[bytes, int] = field(default_factory=dict)
    hooks: list[int] = field(default_factory=list)
    passed: timedelta = timedelta()

    @property
    def store(self) -> Store:
        """The store."""
        return self.world.store

    def number(self, meeting_id: int) -> int:
        """Return the number of a meeting."""
        return self.meetings.index(meeting_id)

    def owner(self, user: User | None) -> int | None:
        """Return the number of a user."""
        return None if user is None else [each.user_id for each in self.users].index(user.user_id)

    async def meeting(self, number: int) -> Meeting:
        """Return the meeting with a number."""
        meeting = await self.store.find(self.meetings[number % len(self.meetings)])
        assert meeting is not None
        return meeting

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; memory's clock is turned, the database's rows are moved into the past."""
        await self.world.pass_time(seconds)
        if isinstance(self.world, PostgresWorld):
            await self.world.run(_BURIED_EARLIER, seconds)
        else:
            self.passed += timedelta(seconds=seconds)

    def distance(self, moment: datetime | None) -> datetime | None:
        """Return a time as its rounded distance from now."""
        if moment is None:
            return None
        seconds = (moment - datetime.now(UTC) - self.passed).total_seconds()
        return EPOCH + timedelta(seconds=500 * round(seconds / 500))

    def plain(self, meeting: Meeting) -> Meeting:
        """Return the meeting without ids, and with its times as distances."""
        return replace(
            meeting,
            meeting_id=self.number(meeting.meeting_id),
            user_id=0,
            deadline_at=self.distance(meeting.deadline_at),
            join_at=self.distance(meeting.join_at),
            start_time=self.distance(meeting.start_time),
            end_time=self.distance(meeting.end_time),
            created_at=EPOCH,
            updated_at=EPOCH,
            redacted_at=None if meeting.redacted_at is None else EPOCH,
        )

    async def shown(self, number: int) -> Sequence[object]:
        """Return all that the store tells of one meeting."""
        meeting = await self.meeting(number)
        assert (meeting.status in LIVE) == (meeting.end_time is None)
        events = [replace(event, at=EPOCH) for event in await self.store.events(meeting.meeting_id)]
        commands = await self.store.pending(meeting.connection_id, after_seq=0)
        segments = await self.store.segments(meeting.meeting_id)
        changed = await self.store.edition(meeting.meeting_id, after=1)
        return [self.plain(meeting), events, list(commands), list(segments), changed.number, list(changed.segments)]

    async def overview(self) -> Sequence[object]:
        """Return what the store tells of all meetings and users together."""
        watched = [replace(row, meeting_id=self.number(row.meeting_id)) for row in await self.store.watched(POLICY)]
        backlogs = await self.store.backlogs()
        return [
            sorted(watched, key=lambda row: row.meeting_id),
            [await self._listed(user.user_id) for user in self.users],
            {connection: self.number(meeting_id) for connection, meeting_id in (await self.store.bots()).items()},
            {lane: (backlogs[lane].depth, 500 * round(backlogs[lane].oldest_s / 500)) for lane in Lane},
            [self.owner(user) for user in await self.store.list_users(limit=100, after_id=0)],
            [await self.store.find_webhook(user.user_id) for user in self.users],
        ]

    async def _listed(self, user_id: int) -> list[int]:
        return [self.number(meeting.meeting_id) for meeting in await self.store.list_of_user(user_id, Page())]


class TwoStores(RuleBasedStateMachine):
    """Asks both sides and compares. Rules are in its subclasses."""

    runner: asyncio.Runner
    database: PostgresWorld

    def __init__(self) -> None:
        super().__init__()
        self.sides: tuple[Side, Side]
        self.connections: list[str] = []

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Await something in the test's own loop."""
        return self.runner.run(call)

    def both(self, ask: Callable[[Side], Awaitable[T]]) -> T:
        """Ask both sides, compare the answers, and return one."""
        return self.run(self._both(ask))

    def compare(self, number: int) -> None:
        """Compare all that is told of one meeting."""
        self.both(lambda side: side.shown(number))

    def compare_all(self) -> None:
        """Compare everything."""
        for number in range(len(self.sides[0].meetings)):
            self.compare(number)
        self.both(lambda side: side.overview())

    def create_on_both(self, new: Callable[[Side], NewMeeting]) -> None:
        """Create a meeting on both sides, or find it refused by both."""

        async def create(side: Side) -> tuple[str, int]:
            try:
                created = await side.store.create(new(side))
            except Rejected as rejected:
                return rejected.code, -1
            if not created.replayed:
                side.meetings.append(created.meeting.meeting_id)
            return "replayed" if created.replayed else "new", side.number(created.meeting.meeting_id)

        outcome, number = self.both(create)
        if outcome == "new":
            self.connections.append(new(self.sides[0]).connection_id)
            self.compare(number)

    async def _both(self, ask: Callable[[Side], Awaitable[T]]) -> T:
        memory, database = [await ask(side) for side in self.sides]
        assert memory == database
        return memory
