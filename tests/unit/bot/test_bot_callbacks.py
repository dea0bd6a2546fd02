"""What a bot tells the manager, over real HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, configuration
from tests.support.eventually import eventually

from usher.bot.callbacks import Callbacks
from usher.bot.line import Line
from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import CommandOutcome

_PATIENCE_S = 20.0
_APPLIED = CommandOutcome(outcome="applied")


def _told(url: str = "http://127.0.0.1:1") -> BotConfiguration:
    return configuration(
        manager_url=url,
        redis_url="redis://127.0.0.1:1",
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=None,
    )


def _line(url: str, *, retry_s: tuple[float, ...] = (0.01, 0.02)) -> Line:
    return Line(_told(url), retry_s=retry_s)


class _Answering(httpx.AsyncBaseTransport):
    """Answers with one status, or never."""

    def __init__(self, status: int | None) -> None:
        self._status = status
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._status is None:
            await asyncio.Event().wait()
        assert self._status is not None
        return httpx.Response(self._status, request=request)

    async def aclose(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def _calling(line: Line) -> AsyncIterator[Callbacks]:
    callbacks = Callbacks(line)
    sending = asyncio.create_task(callbacks.send_reports())
    try:
        yield callbacks
    finally:
        sending.cancel()
        await asyncio.wait({sending})
        await line.close()


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


@pytest_asyncio.fixture
async def callbacks(manager: Manager) -> AsyncIterator[Callbacks]:
    async with _calling(_line(manager.url)) as calling:
        yield calling


@pytest_asyncio.fixture
async def lonely() -> AsyncIterator[Callbacks]:
    """Callbacks of a manager that is not there."""
    async with manager_server() as gone:
        url = gone.url
    async with _calling(_line(url)) as calling:
        yield calling


async def test_reports_arrive_in_order_and_numbered(callbacks: Callbacks, manager: Manager) -> None:
    callbacks.report("status", status="joining")
    callbacks.report("status", status="awaiting_admission")
    callbacks.report("started")
    callbacks.prepare_exit(0, Reason.STOPPED, "x" * 10_000)
    callbacks.report_exit()
    await callbacks.all_reported(_PATIENCE_S)
    assert manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]
    assert [body["seq"] for _, body in manager.reports] == [1, 2, 3, 4]
    last = manager.last_word()
    assert (last["exit_code"], last["reason"], len(last["detail"])) == (0, "stopped", 4000)
    assert manager.tokens == {f"Bearer {TOKEN}"}
    assert callbacks.unanswered() == []


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


async def test_without_a_manager_the_wait_is_bounded(lonely: Callbacks) -> None:
    lonely.report("started")
    async with asyncio.timeout(_PATIENCE_S):
        await lonely.all_reported(0.1)


async def test_what_nobody_answered_can_be_told_with_the_exit_that_is_to_come(lonely: Callbacks) -> None:
    lonely.report("status", status="joining")
    await lonely.acknowledge(1, _APPLIED)
    lonely.report("started")
    assert [report["kind"] for report in lonely.unanswered()] == ["status", "started"]
    lonely.prepare_exit(1, Reason.CRASHED, "why")
    exited = {"kind": "exited", "seq": 3, "exit_code": 1, "reason": "crashed", "detail": "why"}
    assert lonely.unanswered()[-1] == exited
    lonely.report_exit()
    assert [report["kind"] for report in lonely.unanswered()] == ["status", "started", "exited"]
    assert lonely.unanswered()[-1] == exited


async def test_what_is_known_later_is_added_to_the_exit(lonely: Callbacks) -> None:
    lonely.add_to_exit("nothing is prepared yet")
    lonely.prepare_exit(1, Reason.CRASHED, "why")
    lonely.add_to_exit("and what was lost")
    assert lonely.unanswered()[-1]["detail"] == "why; and what was lost"
    lonely.prepare_exit(0, Reason.STOPPED, "")
    lonely.add_to_exit("x" * 10_000)
    assert lonely.unanswered()[-1]["detail"] == "x" * 4000


async def test_gone_means_that_the_attempt_is_over(callbacks: Callbacks, manager: Manager) -> None:
    manager.over = True
    callbacks.report("started")
    await callbacks.all_reported(_PATIENCE_S)
    assert callbacks.over.is_set()
    assert manager.reports == []
    callbacks.prepare_exit(0, Reason.STOPPED, "")
    assert callbacks.unanswered() == []


async def test_gone_cuts_the_wait_for_the_next_try_short(manager: Manager) -> None:
    async with _calling(_line(manager.url, retry_s=(10 * _PATIENCE_S,))) as callbacks:
        manager.failures = 1
        callbacks.report("status", status="joining")
        callbacks.report("started")
        await eventually(lambda: manager.failures == 0, timeout_s=_PATIENCE_S)
        manager.over = True
        await callbacks.heartbeat((), timeout_s=_PATIENCE_S)
        async with asyncio.timeout(_PATIENCE_S):
            await callbacks.all_reported(10 * _PATIENCE_S)
    assert manager.reports == []


async def test_a_command_that_the_manager_does_not_know_ends_nothing() -> None:
    line = Line(_told(), transport=_Answering(404))
    assert await line.ask("POST", "/commands/1", {}) is not None
    assert not line.over.is_set()
    await line.ask("POST", "/heartbeat", {})
    assert line.over.is_set()


@pytest.mark.parametrize(("status", "heard"), [(200, True), (410, True), (500, True), (502, False), (504, False)])
async def test_who_answers_is_the_manager_or_only_somebody_before_it(status: int, heard: bool) -> None:
    line = Line(_told(), transport=_Answering(status))
    began_s = line.heard_at
    await asyncio.sleep(0.01)
    await line.ask("POST", "/heartbeat", {})
    assert (line.heard_at > began_s) is heard


async def test_a_transport_that_never_answers_is_not_waited_for() -> None:
    line = Line(_told(), transport=_Answering(None))
    async with asyncio.timeout(_PATIENCE_S):
        assert await line.ask("POST", "/started", {}, timeout_s=0.01) is None


async def test_a_heartbeat_says_what_was_executed_and_learns_what_was_missed(
    callbacks: Callbacks, manager: Manager
) -> None:
    callbacks.executed_seq = 3
    manager.commands = [{"action": "leave", "seq": 3}]
    await callbacks.heartbeat((), timeout_s=_PATIENCE_S)
    assert not callbacks.behind.is_set()
    manager.commands.append({"action": "leave", "seq": 4})
    await callbacks.heartbeat((), timeout_s=_PATIENCE_S)
    assert callbacks.behind.is_set()
    assert manager.heartbeats == [{"executed_seq": 3, "sent": []}] * 2
    assert [command.seq for command in await callbacks.pending_commands() or ()] == [4]


async def test_answers_that_say_nothing_do_no_harm(callbacks: Callbacks, manager: Manager) -> None:
    manager.nonsense = True
    assert await callbacks.heartbeat((), timeout_s=_PATIENCE_S) is None
    assert not callbacks.behind.is_set()
    assert await callbacks.pending_commands() is None


async def test_a_transport_that_others_use_too_stays_open() -> None:
    transport = _Answering(200)
    await Line(_told(), transport=transport).close()
    assert not transport.closed
