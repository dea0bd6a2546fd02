"""V4 to V74 where the failure was about the database: races, transactions, what one statement may see."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.store_worlds import POLICY as STORE_POLICY
from tests.contract.store_worlds import opened_postgres
from tests.failure_modes.real_manager import Manager, assemble, managers
from tests.support.eventually import eventually
from tests.support.world import exited, wish

from usher.adapters.memory.launcher import MemoryLauncher
from usher.adapters.postgres.store import PostgresStore
from usher.domain.errors import Conflict, LimitReached
from usher.domain.lifecycle import COUNTED, LIVE, Reason, State
from usher.domain.transcript import Segment
from usher.ports import HeardSegment, Meeting, Page, Session, WorkloadSpec

S = State

_IN_TRANSACTION = """
SELECT state FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND application_name = 'usher'
"""


@pytest.fixture
async def two(database_dsn: str) -> AsyncIterator[list[Manager]]:
    async with managers(database_dsn, 2, pool_size=10) as found:
        yield found


async def user_of(manager: Manager, *, limit: int = 50) -> int:
    user = await manager.store.create_user("ann@example.com", name=None, max_concurrent_bots=limit)
    return user.user_id


async def active(manager: Manager, room: str = "weekly-sync") -> Meeting:
    meeting = (await manager.bots.request(await user_of(manager), wish(room))).meeting
    await manager.settle()
    await manager.reports.started(await manager.bot_of(meeting.meeting_id))
    return await manager.meeting(meeting.meeting_id)


async def stop(manager: Manager, meeting: Meeting) -> Meeting:
    return await manager.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)


def machine_of(manager: Manager) -> MemoryLauncher:
    assert isinstance(manager.launcher, MemoryLauncher)
    return manager.launcher


async def test_v04_a_stop_outlives_the_manager_that_took_it(two: list[Manager]) -> None:
    died, other = two
    meeting = await active(died)
    await stop(died, meeting)
    await died.store.close()
    await other.settle()
    assert (await other.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert not machine_of(other).machine.workloads


async def test_v05_the_wish_to_stop_is_committed_before_it_is_answered(two: list[Manager]) -> None:
    meeting = await active(two[0])
    assert (await stop(two[0], meeting)).stop_requested
    assert (await two[1].meeting(meeting.meeting_id)).stop_requested


async def test_v09_ten_parallel_requests_start_one_bot(two: list[Manager]) -> None:
    user_id = await user_of(two[0])
    asked = [manager.bots.request(user_id, wish()) for manager in two for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 9
    await asyncio.gather(*(manager.settle() for manager in two))
    assert list(machine_of(two[0]).machine.starts.values()) == [1]


async def test_v09_twenty_parallel_requests_stay_within_the_limit(two: list[Manager]) -> None:
    user_id = await user_of(two[0], limit=3)
    asked = [manager.bots.request(user_id, wish(f"room-{n}")) for n in range(10) for manager in two]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    kinds = [type(answer) for answer in answers if isinstance(answer, BaseException)]
    assert set(kinds) <= {Conflict, LimitReached}
    counted = await two[0].store.list_of_user(user_id, Page(states=COUNTED))
    assert len(counted) == 3


async def test_v26_what_is_written_beside_a_state_does_not_prolong_it(two: list[Manager]) -> None:
    meeting = await stop(two[0], await active(two[0]))
    await two[1].store.put_data(meeting.meeting_id, {"webhook": "delivered"})
    assert (await two[0].meeting(meeting.meeting_id)).deadline_at == meeting.deadline_at


async def test_v32_the_silence_of_an_older_attempt_condemns_no_newer_one(database_dsn: str) -> None:
    async with opened_postgres(database_dsn) as world:
        manager = assemble(world.store, MemoryLauncher())
        meeting = await active(manager)
        former = await manager.bot_of(meeting.meeting_id)
        await world.store.beat([former.connection_id], lease_s=STORE_POLICY.lease_s)
        await manager.reports.exited(former, exited(1, Reason.CRASHED))
        await manager.settle()
        assert (await manager.meeting(meeting.meeting_id)).attempt == 2
        await world.listen(2 * STORE_POLICY.lease_s)
        (row,) = await world.store.watched(STORE_POLICY)
        assert not row.lease_expired, "it was not heard yet"


async def test_v34_data_and_state_that_are_written_at_once_lose_nothing(two: list[Manager]) -> None:
    meeting = await active(two[0])
    ref = meeting.ref
    for n in range(20):
        await asyncio.gather(
            two[0].store.put_data(meeting.meeting_id, {f"a{n}": n}),
            two[1].store.put_data(meeting.meeting_id, {f"b{n}": n}),
            two[0].bots.configure(meeting.user_id, ref.platform, ref.native_id, {"language": "de"}),
        )
    now = await two[0].meeting(meeting.meeting_id)
    assert now.data == {f"{letter}{n}": n for letter in "ab" for n in range(20)}
    assert (now.status, now.version) == (S.RECONFIGURING, meeting.version + 20)


class _HeldLauncher(MemoryLauncher):
    """A launcher that takes as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.go_on = 0, asyncio.Event()

    async def start(self, spec: WorkloadSpec) -> None:
        self.called += 1
        await self.go_on.wait()
        await super().start(spec)


async def test_v44_no_transaction_is_open_while_the_launcher_works(database_dsn: str) -> None:
    async with opened_postgres(database_dsn, pool_size=2) as world:
        store, launcher = world.store, _HeldLauncher()
        assert isinstance(store, PostgresStore)
        manager = assemble(store, launcher)
        user_id = await user_of(manager)
        for n in range(10):
            await manager.bots.request(user_id, wish(f"room-{n}"))
        launching = asyncio.create_task(manager.settle())
        await eventually(lambda: launcher.called == 10, timeout_s=60)
        assert await world.run(_IN_TRANSACTION) == []
        assert len(await manager.bots.list_running(user_id)) == 10, "others are answered meanwhile"
        launcher.go_on.set()
        await launching


async def test_v49_what_is_running_is_listed_without_what_is_over(two: list[Manager]) -> None:
    manager = two[0]
    user_id = await user_of(manager)
    for n in range(30):
        meeting = (await manager.bots.request(user_id, wish(f"room-{n}"))).meeting
        if n % 10:
            await stop(manager, meeting)
    running = await manager.bots.list_running(user_id)
    assert {meeting.ref.native_id for meeting in running} == {"room-0", "room-10", "room-20"}
    assert all(meeting.status in LIVE for meeting in running)
    assert len(await manager.bots.list_all(user_id, Page(limit=7))) == 7


async def test_v72_two_sessions_that_say_something_at_the_same_moment_keep_all_of_it(two: list[Manager]) -> None:
    meeting = await active(two[0])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for uid in ("first", "second"):
        heard = [HeardSegment(meeting.meeting_id, _segment(uid, n, began)) for n in range(50)]
        await two[0].store.save([Session(meeting.meeting_id, uid, began)], heard)
    assert len(await two[1].store.segments(meeting.meeting_id)) == 100


async def test_v80_a_meeting_is_finished_once_however_many_managers_work(two: list[Manager]) -> None:
    meeting = await active(two[0])
    bot = await two[0].bot_of(meeting.meeting_id)
    said = [manager.reports.exited(bot, exited(0, Reason.MEETING_ENDED)) for manager in two for _ in range(3)]
    answers = await asyncio.gather(*said)
    await asyncio.gather(*(manager.settle() for manager in two))
    assert {answer.outcome for answer in answers} == {"applied"}
    ends = [event for event in await two[0].store.events(meeting.meeting_id) if event.to_state is S.COMPLETED]
    assert len(ends) == 1
    assert (await two[0].meeting(meeting.meeting_id)).data["totals"]["segments"] == 0


def _segment(uid: str, number: int, began: datetime) -> Segment:
    start = began + timedelta(seconds=number)
    end = start + timedelta(seconds=1)
    return Segment(f"{uid}:{number}", 1, uid, number, number + 1.0, start, end, f"word {number}", None, "en", True)
