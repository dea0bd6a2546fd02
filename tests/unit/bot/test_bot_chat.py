"""Lines of the chat on their way to the manager, over real HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import configuration
from tests.support.eventually import eventually

from usher.bot.chat import ChatRelay
from usher.bot.line import Line
from usher.bot.platforms.port import ChatLine
from usher.protocol.chat import MOST_CHARACTERS, MOST_LINES, MOST_LINES_AT_ONCE, SeenLines

_PATIENCE_S = 20.0


@contextlib.asynccontextmanager
async def relaying(url: str) -> AsyncIterator[ChatRelay]:
    told = configuration(
        manager_url=url,
        redis_url="redis://127.0.0.1:1",
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=None,
    )
    line = Line(told)
    relay = ChatRelay(line, retry_s=0.01)
    try:
        yield relay
    finally:
        await relay.stop()
        await line.close()


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


@pytest_asyncio.fixture
async def relay(manager: Manager) -> AsyncIterator[ChatRelay]:
    async with relaying(manager.url) as made:
        yield made


def hello(number: int, text: str = "hello", sender: str = "Ann") -> ChatLine:
    return ChatLine(str(number), sender, text)


async def has(manager: Manager, count: int) -> None:
    await eventually(lambda: len(manager.chat) >= count, timeout_s=_PATIENCE_S)
    assert len(manager.chat) == count


async def test_each_line_is_sent_once_in_the_order_of_its_first_sight(manager: Manager, relay: ChatRelay) -> None:
    relay.note([hello(1, "a"), hello(2, "b")], "Usher")
    relay.note([hello(1, "a"), hello(2, "b"), hello(3, "c")], "Usher")
    await has(manager, 3)
    relay.note([hello(2, "b"), hello(3, "c"), hello(4, "d")], "Usher")
    await has(manager, 4)
    assert [(line["line_id"], line["sender"], line["text"]) for line in manager.chat] == [
        ("1", "Ann", "a"),
        ("2", "Ann", "b"),
        ("3", "Ann", "c"),
        ("4", "Ann", "d"),
    ]
    relay.note([], "Usher")
    await relay.all_sent(_PATIENCE_S)


async def test_its_own_lines_are_marked(manager: Manager, relay: ChatRelay) -> None:
    relay.note([hello(1), hello(2, sender="Usher"), hello(3, sender="You"), hello(4, sender="")], "Usher")
    relay.note([hello(5, sender="Usher"), hello(6, sender="Note taker")], "Note taker")
    await has(manager, 6)
    assert [line["is_self"] for line in manager.chat] == [False, True, True, False, False, True]


async def test_a_manager_that_is_away_gets_it_later_with_the_true_age(manager: Manager, relay: ChatRelay) -> None:
    manager.failures = 4
    relay.note([hello(1)], "Usher")
    await asyncio.sleep(0.05)
    relay.note([hello(2)], "Usher")
    await has(manager, 2)
    first, second = manager.chat
    assert first["line_id"] == "1"
    assert 0 <= second["ago_s"] <= first["ago_s"] <= _PATIENCE_S
    assert first["ago_s"] >= 0.05


async def test_long_lines_are_cut_and_batches_are_of_a_size_that_the_manager_takes(
    manager: Manager, relay: ChatRelay
) -> None:
    lines = [ChatLine(f"{number}-" + "i" * 500, "S" * 500, "\x01" * (MOST_CHARACTERS + 1)) for number in range(20)]
    relay.note([*lines, *(hello(number) for number in range(2 * MOST_LINES_AT_ONCE))], "Usher")
    await has(manager, 20 + 2 * MOST_LINES_AT_ONCE)
    assert manager.requests >= 5
    told = SeenLines.model_validate({"lines": manager.chat[:20]})
    assert {(len(line.line_id), len(line.sender), len(line.text)) for line in told.lines} == {
        (200, 255, MOST_CHARACTERS)
    }


async def test_what_finds_no_room_comes_with_a_later_look(manager: Manager, relay: ChatRelay) -> None:
    lines = [hello(number) for number in range(1200)]
    relay.note(lines, "Usher")
    await relay.all_sent(_PATIENCE_S)
    assert len(manager.chat) == 500
    for _ in range(2):
        relay.note(lines, "Usher")
        await relay.all_sent(_PATIENCE_S)
    assert [line["line_id"] for line in manager.chat] == [str(number) for number in range(1200)]


async def test_no_more_is_sent_than_is_kept(manager: Manager, relay: ChatRelay) -> None:
    for first in range(0, MOST_LINES + 1000, 500):
        relay.note([hello(number) for number in range(first, first + 500)], "Usher")
        await relay.all_sent(_PATIENCE_S)
    assert len(manager.chat) == MOST_LINES


async def test_an_older_manager_is_not_the_end_of_the_attempt(manager: Manager) -> None:
    manager.older = True
    async with relaying(manager.url) as relay:
        relay.note([hello(1)], "Usher")
        await relay.all_sent(_PATIENCE_S)
        assert not relay._line.over.is_set()  # noqa: SLF001 - what the bot would leave for
    assert manager.requests == 1
    assert manager.chat == []


async def test_after_the_attempt_nothing_is_sent(manager: Manager) -> None:
    manager.over = True
    async with relaying(manager.url) as relay:
        relay.note([hello(1)], "Usher")
        await relay.all_sent(_PATIENCE_S)
        relay.note([hello(2)], "Usher")
        await relay.all_sent(_PATIENCE_S)
    assert manager.requests == 1


async def test_nobody_waits_for_a_manager_that_is_not_there() -> None:
    async with relaying("http://127.0.0.1:1") as relay:
        relay.note([hello(1)], "Usher")
        began_s = asyncio.get_running_loop().time()
        await relay.all_sent(0.2)
        assert asyncio.get_running_loop().time() - began_s < 2.0
