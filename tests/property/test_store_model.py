"""The two stores, in lock-step: whatever is done to both, they answer alike and hold alike.

The in-memory store is the model. All spans of time are odd multiples of 500 s and time passes in steps of 1,000 s, so
that the seconds that the test itself takes never decide what is due.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tests.contract.store_worlds import (
    POLICY,
    MemoryWorld,
    PostgresWorld,
    World,
    decided,
    opened_postgres,
    request,
    schedule,
)

from usher.domain.errors import InvariantBroken, Rejected
from usher.domain.lifecycle import LIVE, TABLE, TERMINAL, Reason, State
from usher.domain.transcript import Segment
from usher.ports import (
    Change,
    Claim,
    ClaimedEffect,
    Configuration,
    HeardSegment,
    IdempotencyKey,
    Lane,
    Meeting,
    NewMeeting,
    Page,
    Session,
    Store,
    User,
    Void,
)

T = TypeVar("T")
Heard = tuple[int, str, int, int, bool]

STEP_S = 1000.0
SPANS = st.sampled_from([500.0, 1500.0])
SOME = st.integers(0, 1000)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


EXTRAS = st.fixed_dictionaries(
    {
        "reason": st.none() | st.sampled_from(Reason),
        "failure_stage": st.none() | st.sampled_from(State),
        "desired_configuration": st.none() | st.builds(Configuration, st.none() | st.just("de"), st.just("translate")),
        "command": st.none() | st.sampled_from(["reconfigure", "leave"]),
        "deadline_s": SPANS,
        "deadline_from_start": st.booleans(),
        "adopt_configuration": st.booleans(),
        "drop_configuration": st.booleans(),
        "workload": st.none() | st.sampled_from(["usher-1-1", "usher-1-2"]),
        "detail": st.sampled_from(["", "exit code 1"]),
    }
)
"""What a change may carry beside its transition."""

Extras = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, and the number of its meeting."""

    claim: Claim
    number: int


@dataclass(slots=True)
class Side:
    """One of the two stores, with its own names for what both hold."""

    world: World
    users: list[User]
    meetings: list[int]
    claims: list[Held]

    @property
    def store(self) -> Store:
        return self.world.store

    def number(self, meeting_id: int) -> int:
        return self.meetings.index(meeting_id)


class StoresInLockStep(RuleBasedStateMachine):
    """Does everything twice."""

    runner: asyncio.Runner
    database: PostgresWorld

    def __init__(self) -> None:
        super().__init__()
        self.sides: tuple[Side, Side]
        self.passed = timedelta()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    @initialize(bots=st.lists(st.integers(2, 4), min_size=2, max_size=2))
    def begin(self, bots: list[int]) -> None:
        self.run(self._begin(bots))

    async def _begin(self, bots: list[int]) -> None:
        await self.database.run("TRUNCATE users CASCADE")
        self.sides = (Side(MemoryWorld(), [], [], []), Side(self.database, [], [], []))
        for side in self.sides:
            for number, limit in enumerate(bots):
                email = f"user-{number}@example.org"
                side.users.append(await side.store.create_user(email, name=None, max_concurrent_bots=limit))
        connection_id = str(uuid.uuid4())
        await self._create(lambda side: replace(request(side.users[0], "first"), connection_id=connection_id))

    def teardown(self) -> None:
        if hasattr(self, "sides"):
            self.run(self._compare_all())

    def any_claim(self) -> bool:
        return bool(self.sides[0].claims)

    @rule(
        user=st.integers(0, 1),
        call=st.integers(0, 5),
        later=st.booleans(),
        key=st.sampled_from([None, None, "k1", "k2"]),
        body=st.sampled_from([b"1", b"2"]),
        span=SPANS,
    )
    def create(self, user: int, call: int, later: bool, key: str | None, body: bytes, span: float) -> None:
        connection_id = str(uuid.uuid4())
        join_at = datetime.now(UTC) + timedelta(seconds=span)

        def new(side: Side) -> NewMeeting:
            owner, native_id = side.users[user], f"call-{call}"
            at = join_at + self.passed if side is self.sides[0] else join_at
            asked = replace(schedule(owner, at, native_id), lead_s=0.0) if later else request(owner, native_id)
            return replace(
                asked,
                connection_id=connection_id,
                deadline_s=span,
                idempotency=None if key is None else IdempotencyKey(key, body),
            )

        self.run(self._create(new))

    async def _create(self, new: Any) -> None:  # noqa: ANN401 - a function of a side
        outcomes = []
        for side in self.sides:
            try:
                created = await side.store.create(new(side))
            except Rejected as rejected:
                outcomes.append((rejected.code, -1))
                continue
            if not created.replayed:
                side.meetings.append(created.meeting.meeting_id)
            outcomes.append(("replayed" if created.replayed else "new", side.number(created.meeting.meeting_id)))
        assert outcomes[0] == outcomes[1]
        if outcomes[0][0] == "new":
            await self._compare(outcomes[0][1])

    @rule(steps=st.lists(st.tuples(SOME, SOME, EXTRAS), min_size=1, max_size=6))
    def move(self, steps: list[tuple[int, int, Extras]]) -> None:
        """Write changes that nothing but a missing seat stands in the way of."""
        for meeting, choice, extras in steps:
            number, change = self._legal(meeting, choice, extras)
            if change is not None:
                self.run(self._change(number, change))

    @rule(meeting=SOME, choice=SOME, extras=EXTRAS, odd=st.sampled_from(["stale", "elsewhere", "claim"]), claim=SOME)
    def move_oddly(self, meeting: int, choice: int, extras: Extras, odd: str, claim: int) -> None:
        """Try changes on an old version, from another state, or with a claim that may be anybody's."""
        number, change = self._legal(meeting, choice, extras)
        if change is not None:
            self.run(self._change(number, _spoilt(change, odd), claim if odd == "claim" else None))

    @precondition(any_claim)
    @rule(claim=SOME, choice=SOME, extras=EXTRAS)
    def report(self, claim: int, choice: int, extras: Extras) -> None:
        """Write the outcome of a claimed effect, if the claim is still good."""
        number = self.sides[0].claims[claim % len(self.sides[0].claims)].number
        _, change = self._legal(number, choice, extras)
        if change is not None:
            self.run(self._change(number, change, claim))

    def _legal(self, meeting: int, choice: int, extras: Extras) -> tuple[int, Change | None]:
        number = meeting % len(self.sides[0].meetings)
        seen = self.run(self.sides[0].store.find(self.sides[0].meetings[number]))
        assert seen is not None
        rows = [row for row in TABLE if row.from_state is seen.status]
        # The ends come last in each state's part of the table; most walks shall go on for a while.
        rows = [row for row in rows if row.to_state not in TERMINAL] * 3 + rows
        if not rows:
            return number, None
        row = rows[choice % len(rows)]
        change = decided(seen, row.event, min(row.by))
        deadline_s = None if row.to_state in TERMINAL else extras["deadline_s"]
        return number, replace(change, **{**extras, "deadline_s": deadline_s})

    async def _change(self, number: int, change: Change, claim: int | None = None) -> None:
        outcomes: list[object] = []
        for side in self.sides:
            mine = replace(change, meeting_id=side.meetings[number])
            if claim is not None and side.claims:
                mine = replace(mine, claim=side.claims[claim % len(side.claims)].claim)
            try:
                outcome = await side.store.change(mine)
            except InvariantBroken:
                outcomes.append("broken")
            else:
                outcomes.append(outcome if isinstance(outcome, Void) else "changed")
        assert outcomes[0] == outcomes[1]
        await self._compare(number)

    @rule(lane=st.sampled_from(Lane), limit=st.integers(1, 4), span=SPANS)
    def claim(self, lane: Lane, limit: int, span: float) -> None:
        self.run(self._claim(lane, limit, span))

    async def _claim(self, lane: Lane, limit: int, span: float) -> None:
        claimed = []
        for side in self.sides:
            some = await side.store.claim(lane, limit=limit, claim_s=span)
            side.claims += [Held(each.claim, side.number(each.meeting_id)) for each in some]
            claimed.append([_told(side, each) for each in some])
        assert claimed[0] == claimed[1]

    @precondition(any_claim)
    @rule(claim=SOME, what=st.sampled_from(["complete", "postpone", "bury"]), span=SPANS)
    def settle(self, claim: int, what: str, span: float) -> None:
        async def on(side: Side) -> bool:
            mine = side.claims[claim % len(side.claims)].claim
            if what == "complete":
                return await side.store.complete(mine)
            if what == "postpone":
                return await side.store.postpone(mine, delay_s=span, error="no answer")
            return await side.store.bury(mine, error="never")

        memory, database = (self.run(on(side)) for side in self.sides)
        assert memory == database

    @rule(numbers=st.lists(SOME, max_size=4), span=SPANS)
    def beat(self, numbers: list[int], span: float) -> None:
        self.run(self._beat(numbers, span))

    async def _beat(self, numbers: list[int], span: float) -> None:
        model = self.sides[0]
        ids = ["nobody"]
        for number in numbers:
            meeting = await model.store.find(model.meetings[number % len(model.meetings)])
            ids += [meeting.connection_id] if meeting else []
        memory, database = [dict(await side.store.beat(ids, lease_s=span)) for side in self.sides]
        assert memory == database

    @rule(meeting=SOME, seq=st.integers(0, 4), outcome=st.sampled_from(["applied", "refused"]))
    def acknowledge(self, meeting: int, seq: int, outcome: str) -> None:
        self.run(self._acknowledge(meeting % len(self.sides[0].meetings), seq, outcome))

    async def _acknowledge(self, number: int, seq: int, outcome: str) -> None:
        answers = []
        for side in self.sides:
            meeting = await side.store.find(side.meetings[number])
            assert meeting is not None
            answers.append(await side.store.acknowledge(meeting.connection_id, seq, outcome=outcome, detail=""))
        assert answers[0] == answers[1]
        await self._compare(number)

    @rule(
        batch=st.lists(
            st.tuples(SOME, st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 9), st.booleans()), max_size=6
        )
    )
    def hear(self, batch: list[Heard]) -> None:
        self.run(self._hear(batch))

    async def _hear(self, batch: list[Heard]) -> None:
        for side in self.sides:
            heard = [HeardSegment(side.meetings[each[0] % len(side.meetings)], _segment(each)) for each in batch]
            await side.store.save([Session(each.meeting_id, "s", EPOCH) for each in heard], heard)

    @rule(
        meeting=SOME, data=st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 9) | st.text(max_size=3))
    )
    def put_data(self, meeting: int, data: dict[str, object]) -> None:
        number = meeting % len(self.sides[0].meetings)
        for side in self.sides:
            self.run(side.store.put_data(side.meetings[number], data))
        self.run(self._compare(number))

    @rule()
    def pass_time(self) -> None:
        self.passed += timedelta(seconds=STEP_S)
        for side in self.sides:
            self.run(side.world.pass_time(STEP_S))

    async def _compare(self, number: int) -> None:
        memory, database = [await self._shown(side, number) for side in self.sides]
        assert memory == database

    async def _compare_all(self) -> None:
        for number in range(len(self.sides[0].meetings)):
            await self._compare(number)
        memory, database = [await self._overview(side) for side in self.sides]
        assert memory == database

    async def _shown(self, side: Side, number: int) -> Sequence[object]:
        meeting = await side.store.find(side.meetings[number])
        assert meeting is not None
        assert (meeting.status in LIVE) == (meeting.end_time is None)
        events = [replace(event, at=EPOCH) for event in await side.store.events(meeting.meeting_id)]
        commands = await side.store.pending(meeting.connection_id, after_seq=0)
        segments = await side.store.segments(meeting.meeting_id)
        return [self._without_names(side, meeting), events, list(commands), list(segments)]

    def _without_names(self, side: Side, meeting: Meeting) -> Meeting:
        """Return the meeting without ids, and with its times as rounded distances from now."""
        now = datetime.now(UTC) + (self.passed if side is self.sides[0] else timedelta())

        def distance(moment: datetime | None) -> datetime | None:
            return (
                None if moment is None else EPOCH + timedelta(seconds=500 * round((moment - now).total_seconds() / 500))
            )

        return replace(
            meeting,
            meeting_id=side.number(meeting.meeting_id),
            user_id=0,
            deadline_at=distance(meeting.deadline_at),
            join_at=distance(meeting.join_at),
            start_time=distance(meeting.start_time),
            end_time=distance(meeting.end_time),
            created_at=EPOCH,
            updated_at=EPOCH,
        )

    async def _overview(self, side: Side) -> Sequence[object]:
        watched = [replace(row, meeting_id=side.number(row.meeting_id)) for row in await side.store.watched(POLICY)]
        lists = [
            [side.number(meeting.meeting_id) for meeting in await side.store.list_of_user(user.user_id, Page())]
            for user in side.users
        ]
        return [sorted(watched, key=lambda row: row.meeting_id), lists]


def _spoilt(change: Change, how: str) -> Change:
    """Make a change one that no store may write."""
    if how == "stale":
        return replace(change, expected_version=change.expected_version - 1)
    if how == "elsewhere":
        row = next(row for row in TABLE if row.from_state not in (None, change.transition.from_state))
        return replace(change, transition=row)
    return change


def _told(side: Side, claimed: ClaimedEffect) -> tuple[object, ...]:
    return side.number(claimed.meeting_id), claimed.attempt, claimed.effect, claimed.tries


def _segment(heard: Heard) -> Segment:
    _, segment_id, revision, start_s, completed = heard
    start = EPOCH + timedelta(seconds=start_s)
    return Segment(segment_id, revision, "s", start_s, start_s + 1, start, start, f"{revision}", None, "en", completed)


@pytest.mark.timeout(900)  # a failing example is made smaller before it is shown
def test_both_stores_answer_alike(database_dsn: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        StoresInLockStep.runner = runner
        StoresInLockStep.database = runner.run(stack.enter_async_context(opened_postgres(database_dsn, pool_size=2)))
        try:
            run_state_machine_as_test(
                StoresInLockStep,
                settings=settings(
                    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(stack.aclose())
