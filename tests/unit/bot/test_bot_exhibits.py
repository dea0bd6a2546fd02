"""Evidence on its way to the manager, over real HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import configuration

from usher.bot.callbacks import Callbacks
from usher.bot.exhibits import Exhibits
from usher.bot.line import Line
from usher.protocol.evidence import MOST_PIECES, Evidence

_PATIENCE_S = 20.0
_LOOK = Evidence(step="give_name", tree="- heading", screenshot=b"\xff\xd8\xff\x00")


@contextlib.asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    told = configuration(
        manager_url=url,
        redis_url="redis://127.0.0.1:1",
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=None,
    )
    line = Line(told)
    try:
        yield line
    finally:
        await line.close()


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


async def test_evidence_arrives_as_it_was(manager: Manager) -> None:
    async with line_to(manager.url) as line:
        callbacks = Callbacks(line)
        callbacks.show(_LOOK)
        await callbacks.exhibits.all_shown(_PATIENCE_S)
    assert [Evidence.model_validate(piece) for piece in manager.evidence] == [_LOOK]
    assert manager.evidence[0]["screenshot"] == "/9j/AA=="


async def test_only_the_first_pieces_of_an_attempt_are_shown(manager: Manager) -> None:
    async with line_to(manager.url) as line:
        exhibits = Exhibits(line)
        for number in range(MOST_PIECES + 3):
            exhibits.show(Evidence(step=str(number)))
            if number == 2:
                await exhibits.all_shown(_PATIENCE_S)
        await exhibits.all_shown(_PATIENCE_S)
    assert [piece["step"] for piece in manager.evidence] == [str(number) for number in range(MOST_PIECES)]


async def test_a_manager_that_is_away_for_a_moment_gets_it(manager: Manager) -> None:
    manager.failures = 2
    async with line_to(manager.url) as line:
        exhibits = Exhibits(line, retry_s=0.01)
        exhibits.show(_LOOK)
        await exhibits.all_shown(_PATIENCE_S)
    assert len(manager.evidence) == 1


async def test_a_manager_that_stays_away_does_not(manager: Manager) -> None:
    manager.failures = 3
    async with line_to(manager.url) as line:
        exhibits = Exhibits(line, retry_s=0.01)
        exhibits.show(_LOOK)
        exhibits.show(Evidence(step="next"))
        await exhibits.all_shown(_PATIENCE_S)
    assert [piece["step"] for piece in manager.evidence] == ["next"]


async def test_it_holds_up_the_end_for_a_moment_only() -> None:
    async with line_to("http://127.0.0.1:1") as line:
        exhibits = Exhibits(line, retry_s=60.0)
        exhibits.show(_LOOK)
        began_s = asyncio.get_running_loop().time()
        await exhibits.all_shown(0.2)
        assert asyncio.get_running_loop().time() - began_s < 2.0
        await exhibits.stop()


async def test_an_older_manager_is_not_the_end_of_the_attempt(manager: Manager) -> None:
    manager.older = True
    async with line_to(manager.url) as line:
        exhibits = Exhibits(line)
        exhibits.show(_LOOK)
        await exhibits.all_shown(_PATIENCE_S)
        assert not line.over.is_set()
    assert manager.requests == 1
