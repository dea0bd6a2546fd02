"""Deletions in PostgreSQL while others write, and the plans by which meetings are found."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.store_worlds import PostgresWorld, new_user, opened_postgres
from tests.contract.test_store_erasure import ended, said

from usher.adapters.postgres.listing import listing
from usher.domain.lifecycle import LIVE, TERMINAL, State
from usher.domain.meeting import Platform
from usher.ports import Erasure, Page

SAVES = 40
MOST_BUFFERS = 2000


@pytest.fixture
async def world(database_dsn: str) -> AsyncIterator[PostgresWorld]:
    async with opened_postgres(database_dsn) as made:
        yield made


async def waits(world: PostgresWorld, statement: str) -> None:
    """Return once a statement that begins like that waits for a lock."""
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'"
    async with asyncio.timeout(60.0):
        while True:
            if await world.run(query, statement):
                return
            await asyncio.sleep(0.01)


async def test_text_that_is_being_stored_is_deleted_with_the_rest(world: PostgresWorld) -> None:
    """The collector comes first and has not committed: the deletion waits for it."""
    meeting = await ended(world.store)
    async with world.transaction() as collector:
        await collector.execute("SELECT id FROM meetings WHERE id = $1 FOR KEY SHARE", meeting.meeting_id)
        await collector.execute(
            """
INSERT INTO transcriptions (meeting_id, segment_id, revision, session_uid, start_time, end_time, absolute_start,
    absolute_end, text, completed) VALUES ($1, 'late', 1, 's', 0, 1, now(), now(), 'late', true)
""",
            meeting.meeting_id,
        )
        erasing = asyncio.create_task(world.store.erase(meeting.meeting_id))
        await waits(world, "FOR UPDATE")
    assert await erasing is Erasure.ERASED
    assert not await world.store.segments(meeting.meeting_id)


async def test_text_that_waits_for_the_deletion_is_not_stored(world: PostgresWorld) -> None:
    """The deletion comes first and has not committed: what the collector's statement saw before is looked at again."""
    meeting = await ended(world.store)
    async with world.transaction() as deletion:
        await deletion.execute("SELECT id FROM meetings WHERE id = $1 FOR UPDATE", meeting.meeting_id)
        saving = asyncio.create_task(world.store.save([], [said(meeting, "late", "late")]))
        await waits(world, "FOR KEY SHARE")
        await deletion.execute("DELETE FROM transcriptions WHERE meeting_id = $1", meeting.meeting_id)
        await deletion.execute("UPDATE meetings SET redacted_at = now() WHERE id = $1", meeting.meeting_id)
    assert await saving == {}
    assert not await world.store.segments(meeting.meeting_id)


async def test_many_write_and_several_delete_at_once(world: PostgresWorld) -> None:
    """Nobody waits for each other in a circle, and nothing is left."""
    meetings = [await ended(world.store, f"call-{number}") for number in range(4)]

    async def save(number: int) -> Mapping[int, int]:
        batch = [said(meeting, f"late {number}", f"{number}-{place}") for meeting in meetings for place in range(5)]
        return await world.store.save([], batch if number % 2 else batch[::-1])

    async def erase(number: int) -> Erasure:
        await asyncio.sleep(0.002 * number)
        return await world.store.erase(meetings[number % len(meetings)].meeting_id)

    saves = [save(number) for number in range(SAVES)]
    outcomes = await asyncio.gather(*saves, *(erase(number) for number in range(8)))
    assert set(outcomes[SAVES:]) == {Erasure.ERASED}
    assert not await world.run("SELECT 1 FROM transcriptions")
    assert not await world.run("SELECT 1 FROM meeting_sessions")


async def test_what_an_older_manager_stores_of_a_deleted_meeting_is_swept(world: PostgresWorld) -> None:
    meeting = await ended(world.store)
    await world.store.erase(meeting.meeting_id)
    await world.run(
        """
INSERT INTO transcriptions (meeting_id, segment_id, revision, session_uid, start_time, end_time, absolute_start,
    absolute_end, text, completed) VALUES ($1, 'late', 1, 's', 0, 1, now(), now(), 'late', true)
""",
        meeting.meeting_id,
    )
    assert await world.store.prune(older_than_s=3600.0, limit=100) == 1
    assert not await world.store.segments(meeting.meeting_id)


_MANY = """
WITH made AS (
    INSERT INTO meetings (user_id, platform, platform_specific_id, meeting_url, bot_name, status, connection_id, task,
        desired_task, created_at)
    SELECT $1, CASE WHEN n % 1000 = 7 THEN 'zoom' ELSE 'room' END, 'call-' || n % 4999, '', 'x',
        CASE WHEN n % 20000 = 3 THEN 'active' WHEN n % 5000 = 5 THEN 'failed' ELSE 'completed' END,
        'c' || n, 'transcribe', 'transcribe', $3::timestamptz + make_interval(secs => n)
    FROM generate_series(1, $2::bigint) AS n
    RETURNING id, status
)
INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
SELECT id, 1, 'requested', 'none', status, 'user', 1 FROM made
"""
_MEETINGS = 200_000
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


async def _fill(world: PostgresWorld) -> int:
    """Give a user many meetings, and somebody else some; the history is left out."""
    user = await new_user(world.store, bots=100)
    await new_user(world.store)
    async with world.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")  # no keys are checked: it is quicker
        await connection.execute(_MANY, user.user_id, _MEETINGS, _BEGAN)
    await world.run("ANALYZE meetings")
    return user.user_id


async def test_a_page_of_very_many_meetings_is_found_by_an_index(world: PostgresWorld) -> None:
    """Each page reads little more than it shows: no sequential scan, no sort but of the few that are under way."""
    user_id = await _fill(world)
    middle = _BEGAN + timedelta(seconds=_MEETINGS // 2)
    (cursor,) = await world.run("SELECT id FROM meetings ORDER BY id OFFSET 100000 LIMIT 1")
    pages = {
        "newest": Page(limit=100),
        "next": Page(limit=100, before_id=cursor["id"]),
        "since": Page(limit=100, since=middle, until=middle + timedelta(seconds=50)),
        "until": Page(limit=100, until=middle),
        "next until": Page(limit=100, until=middle, before_id=cursor["id"]),
        "over": Page(limit=100, states=TERMINAL),
        "failed": Page(limit=30, states=frozenset({State.FAILED})),
        "call": Page(limit=100, platform=Platform.ROOM, native_id="call-77"),
        "under way": Page(limit=1000, states=LIVE),
        "platform": Page(limit=100, platform=Platform.ROOM),
        "rare platform": Page(limit=100, platform=Platform.ZOOM),
    }
    for name, page in pages.items():
        assert await world.store.list_of_user(user_id, page), name
        for mode in ("force_custom_plan", "force_generic_plan"):
            plan = await _plan(world, user_id, page, mode)
            assert "Seq Scan" not in plan, f"{name}, {mode}:\n{plan}"
            may_sort = name in {"under way", "call", "rare platform"}
            assert may_sort or "Sort" not in plan, f"{name}, {mode}:\n{plan}"
            (touched, *_) = (int(count) for count in re.findall(r"Buffers: shared hit=(\d+)", plan))
            assert touched < MOST_BUFFERS, f"{name}, {mode}:\n{plan}"


async def _plan(world: PostgresWorld, user_id: int, page: Page, mode: str) -> str:
    """Return how a page is read, either with its values known to the planner or, as after a few uses, without them."""
    statement, arguments = listing(user_id, page)
    values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in arguments)
    async with world.transaction() as connection:
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await connection.execute(f"PREPARE page AS {statement}")
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) EXECUTE page({values})")
    return "\n".join(row[0] for row in rows)
