"""The bot as a process of its own: what is left of it when it is killed, and when it is not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, configuration, running_bot
from tests.support.eventually import eventually

from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.last_words import UnsentExited, unseal

pytestmark = pytest.mark.timeout(120)

_PATIENCE_S = 60.0


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


def _told(manager: Manager, redis_url: str) -> BotConfiguration:
    """A bot whose end begins as soon as it looks for its browser."""
    return configuration(
        manager_url=manager.url,
        redis_url=redis_url,
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=Path("/nonexistent/chromium"),
    )


async def test_killed_while_nobody_answers_it_leaves_its_last_words(
    manager: Manager, redis_url: str, tmp_path: Path
) -> None:
    manager.failures = 1_000_000
    path = tmp_path / "last_words"
    async with running_bot(_told(manager, redis_url), path) as bot:
        await eventually(path.exists, timeout_s=_PATIENCE_S)
        bot.kill()
        await bot.exit_code()
    words = unseal(path.read_bytes(), TOKEN)
    assert words is not None
    assert words.connection_id == bot.configuration.connection_id
    last = words.reports[-1]
    assert isinstance(last, UnsentExited)
    assert (last.exit_code, last.reason) == (1, Reason.JOIN_FAILED)


async def test_heard_to_the_end_it_leaves_nothing(manager: Manager, redis_url: str, tmp_path: Path) -> None:
    async with running_bot(_told(manager, redis_url), tmp_path / "last_words") as bot:
        assert await bot.exit_code() == 1
    assert manager.last_word()["reason"] == "join_failed"
    assert not (tmp_path / "last_words").exists()
