"""What the stories with real processes give to the checker: whatever is wrong in it is found."""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.chaos_burglar import Bot, Burglar
from tests.support.chaos_diaries import Diary
from tests.support.chaos_gauges import Gauges, Server, SocketTable
from tests.support.chaos_moves import bot_moves
from tests.support.chaos_viewer import Viewer
from tests.support.chaos_witness import as_holder, call_witness, held, settlements
from tests.support.chaos_world import SECRET
from tests.support.invariants import Evidence, violations
from tests.support.tcp_proxy import LOOPBACK

from usher.adapters.postgres.store import PostgresStore
from usher.adapters.redis.access import RedisBotAccess, account_name
from usher.adapters.redis.connection import connect
from usher.domain.lifecycle import Event, Source, State
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import Lane, MeetingEvent
from usher.protocol.credentials import BotCredentials, BotIdentity

_T0 = datetime(2026, 1, 1, tzinfo=UTC)
_OFFSET_S = _T0.timestamp()
_STATES = (State.REQUESTED, State.STARTING, State.ACTIVE, State.COMPLETED)
_LONG_S, _SHORT_S = 60.0, 0.05


def _line(version: int, event: Event = Event.ADMITTED, by: Source = Source.BOT, attempt: int = 1) -> MeetingEvent:
    at = _T0 + timedelta(seconds=10.0 * version)
    return MeetingEvent(version, event, None, _STATES[version - 1], by, attempt, None, "", at)


def _frame(version: int) -> dict[str, Any]:
    told = {"version": version, "status": _STATES[version - 1].value}
    return {"type": "meeting.status", "meeting": {"id": 7}, "payload": told}


async def _viewer(pushed: Sequence[int], asked: Sequence[int]) -> Viewer:
    """Return a viewer that was pushed some versions, and to which the API tells others when it asks."""

    async def events(_: int) -> Sequence[dict[str, Any]]:
        return [{"version": version, "to_state": _STATES[version - 1].value} for version in asked]

    viewer = Viewer("http://nowhere", "key", events)
    viewer.follow(7, "call")
    for version in pushed:
        await viewer.take(_frame(version))
    return viewer


@pytest.mark.parametrize(
    ("pushed", "asked", "found"),
    [
        ([1, 2, 3, 4], [], None),
        ([2, 2, 4, 4], [1, 2, 3, 4], None),
        ([], [1, 2, 3, 4], None),
        ([1, 4], [1, 2, 4], "got version 4 after 2"),
        ([1, 3, 2, 4], [1, 2, 3], "got version 2 after 3"),
        ([1, 2], [1, 2, 3], "got version 3 last, and there is version 4"),
    ],
)
async def test_a_viewer_fills_gaps_and_hides_nothing(
    pushed: Sequence[int], asked: Sequence[int], found: str | None
) -> None:
    viewer = await _viewer(pushed, asked)
    feed = await viewer.caught_up()
    history = {7: [_line(version) for version in (1, 2, 3, 4)]}
    said = [one for one in violations(Evidence(feeds=feed, events=history, settled=True)) if one.startswith("I11")]
    assert [one for one in said if found is None or found in one] == said
    assert bool(said) == (found is not None)
    assert found is not None or [one.version for one in feed] == [1, 2, 3, 4]


async def test_a_viewer_notes_what_it_was_shown_and_what_it_had_to_ask_for() -> None:
    viewer = await _viewer([2, 4], [1, 2, 3, 4])
    assert [one.version for one in viewer.frames] == [2, 4]
    assert viewer.filled == 2


@asynccontextmanager
async def _outbox(dsn: str, effects: int) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Yield a database whose outbox holds effects of meetings that nobody made, under the eyes of the witness."""
    async with asyncpg.create_pool(as_holder(dsn, "late"), min_size=1, max_size=1) as pool:
        await call_witness(pool)
        await pool.execute("ALTER TABLE outbox DROP CONSTRAINT outbox_meeting_id_fkey")
        await pool.execute(
            "INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at)"
            " SELECT n, 1, 'workload', 'launch', now() FROM generate_series(1, $1::int) n",
            effects,
        )
        yield pool


async def _late(pool: "asyncpg.Pool[asyncpg.Record]") -> list[bool]:
    """Return of each settlement whether it was late, and see that the checker says so."""
    found = await settlements(pool.fetch)
    late = [one.at_s > one.claimed_until_s for one in found]
    assert len(violations(Evidence(settlements=found))) == sum(late)
    return late


async def test_who_settles_in_time_is_not_accused(database_dsn: str) -> None:
    store = await PostgresStore.connect(as_holder(database_dsn, "punctual"), pool_size=1)
    async with _outbox(database_dsn, 2) as pool:
        first, second = [one.claim for one in await store.claim(Lane.WORKLOAD, limit=2, claim_s=_LONG_S)]
        assert await store.renew([first], claim_s=_LONG_S)
        assert await store.complete(first)
        assert await store.postpone(second, delay_s=0.0, error="not yet")
        (again,) = await store.claim(Lane.WORKLOAD, limit=2, claim_s=_LONG_S)
        assert await store.bury(again.claim, error="never")
        assert await _late(pool) == [False, False, False]
        fills = {one.name: one.peak for one in await held(pool.fetch, Policy())}
        assert fills == {"the workload lane of punctual": 2, "the number of tries of an effect": 1}
    await store.close()


async def test_a_settlement_after_the_end_of_a_claim_is_noticed(database_dsn: str) -> None:
    """Also if another has the effect claimed now, as who asks for the claim and not for whose it is would find."""
    late = await PostgresStore.connect(as_holder(database_dsn, "late"), pool_size=1)
    other = await PostgresStore.connect(as_holder(database_dsn, "other"), pool_size=1)
    async with _outbox(database_dsn, 2) as pool:
        assert len(await late.claim(Lane.WORKLOAD, limit=2, claim_s=_SHORT_S)) == 2
        await asyncio.sleep(2 * _SHORT_S)
        assert await other.claim(Lane.WORKLOAD, limit=1, claim_s=_LONG_S)
        await pool.execute("DELETE FROM outbox")
        assert await _late(pool) == [True, True]
    await late.close()
    await other.close()


async def test_who_loses_a_claim_in_the_middle_of_a_transaction_is_noticed(database_dsn: str) -> None:
    late = await PostgresStore.connect(as_holder(database_dsn, "late"), pool_size=1)
    other = await PostgresStore.connect(as_holder(database_dsn, "other"), pool_size=1)
    async with _outbox(database_dsn, 1) as pool:
        assert await late.claim(Lane.WORKLOAD, limit=1, claim_s=4 * _SHORT_S)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT now()")
            await asyncio.sleep(5 * _SHORT_S)
            assert await other.claim(Lane.WORKLOAD, limit=1, claim_s=_LONG_S)
            await connection.execute("DELETE FROM outbox")
        assert await _late(pool) == [True]
    await late.close()
    await other.close()


async def test_a_settlement_without_a_claim_is_noticed(database_dsn: str) -> None:
    async with _outbox(database_dsn, 1) as pool:
        await pool.execute("UPDATE outbox SET tries = 3")
        await pool.execute("DELETE FROM outbox")
        assert await _late(pool) == [True, True]


def _diary(attempt: int, *entries: Mapping[str, Any]) -> Diary:
    return Diary(7, attempt, f"c7.{attempt}", [dict(entry) for entry in entries])


def _said(report: str, sent_s: float) -> dict[str, Any]:
    return {"event": "said_to_manager", "said": sent_s, "report": report, "sent_s": sent_s}


def _answered(sent_s: float, answered_s: float) -> dict[str, Any]:
    return {"event": "answered", "said": sent_s, "answered_s": answered_s}


_LEFT_BEHIND = {"event": "left_behind", "reports": ["started", "exited"], "left_s": 15.0}


@pytest.mark.parametrize(
    ("diaries", "speaker"),
    [
        ([_diary(2, _said("started#2", 19.0), _answered(19.0, 21.0))], 2),
        ([_diary(2, _said("started#2", 19.0))], 2),
        ([_diary(1, _said("started#2", 5.0)), _diary(2, _said("started#2", 19.0))], 2),
        ([_diary(2, _LEFT_BEHIND)], 2),
        ([_diary(1, _said("started#2", 5.0)), _diary(2, _said("status#1", 19.0))], 1),
        ([_diary(1, _LEFT_BEHIND)], 1),
        ([_diary(2, _said("started#2", 15.0), _answered(15.0, 16.0))], 0),
        ([_diary(2, _said("started#2", 25.0))], 0),
        ([], 0),
    ],
)
def test_a_change_is_put_down_to_the_bot_that_asked_for_it(diaries: Sequence[Diary], speaker: int) -> None:
    """The history says: at 20 s a bot reported that it was admitted, in the second attempt."""
    events = {7: [_line(2, attempt=2), _line(3, Event.STOP_REQUESTED, Source.USER, attempt=2)]}
    moves = bot_moves(events, diaries, _OFFSET_S)
    assert [(one.version, one.attempt) for one in moves] == [(2, speaker)]
    found = [one for one in violations(Evidence(events=events, moves=moves)) if one.startswith("I6")]
    assert bool(found) == (speaker != 2)


_THIEF = Bot(BotIdentity(7, "thief"), WorkloadName(7, 1))
_VICTIM = Bot(BotIdentity(8, "victim"), WorkloadName(8, 1))


async def _answers(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


async def _stolen(redis_url: str, tmp_path: Path, transport: httpx.AsyncBaseTransport | None = None) -> set[str]:
    """Return what a burglar opens of what is another's."""
    burglar = Burglar("http://127.0.0.1:1", redis_url, SECRET, tmp_path, set, transport)
    await burglar.try_on(_THIEF, _VICTIM)
    await burglar.try_on(_THIEF, None)
    await burglar.close()
    found = violations(Evidence(accesses=burglar.accesses))
    assert {one.target for one in burglar.accesses} >= {"thief"}
    return {one.partition("victim on ")[2] for one in found}


async def test_a_burglar_finds_doors_that_are_open(redis_url: str, tmp_path: Path) -> None:
    password = BotCredentials(SECRET.encode()).redis_password(_THIEF.identity)
    async with connect(redis_url) as client:
        everything = ("reset", "on", f">{password}", "allkeys", "allchannels", "+@all")
        await client.execute_command("ACL SETUSER", account_name("thief"), *everything)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        opened = await _stolen(redis_url, tmp_path, httpx.MockTransport(_answers))
        assert {"HTTP /heartbeat", "HTTP /started", "HTTP /commands/1"} < opened
        assert {"Redis SUBSCRIBE", "Redis PUBLISH", "Redis XRANGE"} < opened


async def test_a_burglar_finds_nothing_where_doors_are_shut(redis_url: str, tmp_path: Path) -> None:
    async with connect(redis_url) as client:
        password = BotCredentials(SECRET.encode()).redis_password(_THIEF.identity)
        await RedisBotAccess(client).grant("thief", password)
        assert await _stolen(redis_url, tmp_path) == set()


async def test_connections_are_counted_and_too_many_are_noticed() -> None:
    server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(math.inf), LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    servers = {port: Server("a server", 2)}
    writers = []
    for count in (1, 2, 3):
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        writers.append(writer)
        gauges = Gauges(servers, SocketTable())
        gauges.look("this process", os.getpid())
        assert [one.peak for one in gauges.fills()] == [count]
        assert bool(violations(Evidence(fills=gauges.fills()))) == (count > 2)
    for writer in writers:
        writer.close()
    server.close()
