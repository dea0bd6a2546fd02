"""What a bot tells the manager, over real HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, configuration
from tests.support.eventually import eventually

from usher.bot.callbacks import Callbacks
from usher.domain.lifecycle import Reason
from usher.protocol.commands import CommandOutcome

_PATIENCE_S = 20.0
_APPLIED = CommandOutcome(outcome="applied")


def _callbacks(url: str, **patience: float) -> Callbacks:
    told = configuration(
        manager_url=url,
        redis_url="redis://127.0.0.1:1",
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=None,
        **{"heartbeat_s": 0.02, **patience},
    )
    return Callbacks(told, retry_s=(0.01, 0.02))


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


@pytest_asyncio.fixture
async def callbacks(manager: Manager) -> AsyncIterator[Callbacks]:
    calling = _callbacks(manager.url)
    sending = asyncio.create_task(calling.send_reports())
    yield calling
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending
    await calling.close()


async def test_reports_arrive_in_order_and_numbered(callbacks: Callbacks, manager: Manager) -> None:
    callbacks.report("status", status="joining")
    callbacks.report("status", status="awaiting_admission")
    callbacks.report("started")
    callbacks.report_exit(0, Reason.STOPPED, "x" * 10_000)
    await callbacks.all_reported(_PATIENCE_S)
    assert manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]
    assert [body["seq"] for _, body in manager.reports] == [1, 2, 3, 4]
    last = manager.last_word()
    assert (last["exit_code"], last["reason"], len(last["detail"])) == (0, "stopped", 4000)
    assert manager.tokens == {f"Bearer {TOKEN}"}


async def test_a_report_is_repeated_until_it_is_answered(callbacks: Callbacks, manager: Manager) -> None:
    manager.failures = 4
    callbacks.report("status", status="joining")
    callbacks.report("started")
    await callbacks.all_reported(_PATIENCE_S)
    assert manager.kinds() == ["joining", "started"]
    assert manager.requests == 6


async def test_outcomes_of_commands_do_not_overtake_reports(callbacks: Callbacks, manager: Manager) -> None:
    manager.failures = 2
    callbacks.report("started")
    await callbacks.acknowledge(1, _APPLIED)
    await callbacks.acknowledge(2, CommandOutcome(outcome="refused", detail="no"))
    await callbacks.all_reported(_PATIENCE_S)
    assert manager.kinds() == ["started"]
    assert [(seq, body["outcome"]) for seq, body in manager.outcomes] == [(1, "applied"), (2, "refused")]


async def test_without_a_manager_the_wait_is_bounded() -> None:
    async with manager_server() as gone:
        url = gone.url
    calling = _callbacks(url)
    sending = asyncio.create_task(calling.send_reports())
    calling.report("started")
    async with asyncio.timeout(_PATIENCE_S):
        await calling.all_reported(0.1)
    sending.cancel()
    await calling.close()


async def test_gone_means_that_the_attempt_is_over(callbacks: Callbacks, manager: Manager) -> None:
    manager.over = True
    callbacks.report("started")
    await callbacks.all_reported(_PATIENCE_S)
    assert callbacks.over.is_set()
    assert manager.reports == []


async def test_a_heartbeat_says_what_was_executed_and_learns_what_was_missed(
    callbacks: Callbacks, manager: Manager
) -> None:
    callbacks.executed_seq = 3
    manager.commands = [{"action": "leave", "seq": 3}]
    beating = asyncio.create_task(callbacks.beat())
    await eventually(lambda: len(manager.heartbeats) >= 2, timeout_s=_PATIENCE_S)
    assert not callbacks.behind.is_set()
    manager.commands.append({"action": "leave", "seq": 4})
    await eventually(callbacks.behind.is_set, timeout_s=_PATIENCE_S)
    beating.cancel()
    assert {beat["executed_seq"] for beat in manager.heartbeats} == {3}
    assert [command.seq for command in await callbacks.pending_commands()] == [4]


async def test_a_manager_that_is_away_for_too_long_ends_the_heartbeats() -> None:
    async with manager_server() as gone:
        url = gone.url
    calling = _callbacks(url, manager_away_s=0.1)
    async with asyncio.timeout(_PATIENCE_S):
        await calling.beat()
    await calling.close()


async def test_answers_that_say_nothing_do_no_harm(callbacks: Callbacks, manager: Manager) -> None:
    manager.nonsense = True
    beating = asyncio.create_task(callbacks.beat())
    await eventually(lambda: len(manager.heartbeats) >= 3, timeout_s=_PATIENCE_S)
    assert not beating.done()
    assert not callbacks.behind.is_set()
    assert await callbacks.pending_commands() == []
    beating.cancel()
