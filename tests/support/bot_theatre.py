"""Everything that a bot under test talks to, and the bots: processes of their own, as launchers run them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, BotProcess, configuration, running_bot
from tests.support.bot_speech_server import SpeechServer, speech_server
from tests.support.eventually import eventually

from usher.domain.meeting import Platform
from usher.protocol.commands import Command, command_channel
from usher.protocol.segments import BODY, STREAM, SegmentEntry, is_signed

PATIENCE_S = 90.0


@dataclass
class Theatre:
    """A scripted manager, a scripted speech service, a Redis, and bots."""

    manager: Manager
    speech: SpeechServer
    redis: Redis
    redis_url: str
    stack: AsyncExitStack

    async def start(self, platform: Platform, url: str, chromium: Path, **patience: float) -> BotProcess:
        """Send a bot into a meeting."""
        told = configuration(
            manager_url=self.manager.url,
            redis_url=self.redis_url,
            transcription_url=self.speech.url,
            meeting_url=url,
            chromium=chromium,
            platform=platform,
            **patience,
        )
        return await self.stack.enter_async_context(running_bot(told))

    async def told(self, kind: str) -> None:
        """Wait until the manager was told."""
        await eventually(lambda: kind in self.manager.kinds(), timeout_s=PATIENCE_S)

    async def met(self, bot: BotProcess) -> None:
        """Wait until the bot has noticed that somebody else is there."""
        await eventually(lambda: any(e["event"] == "company_met" for e in bot.events()), timeout_s=PATIENCE_S)

    async def command(self, bot: BotProcess, command: Command) -> None:
        """Give the bot a command."""
        self.manager.commands.append(command.model_dump())
        await self.redis.publish(command_channel(bot.configuration.connection_id), command.model_dump_json())

    async def ended(self, bot: BotProcess, exit_code: int, reason: str) -> None:
        """Check how a bot ends, and that nothing of it is left."""
        bot.look()
        assert await bot.exit_code() == exit_code, bot.log[-20:]
        last = self.manager.last_word()
        assert (last["exit_code"], last["reason"]) == (exit_code, reason), last
        assert [body["seq"] for _, body in self.manager.reports] == list(range(1, len(self.manager.reports) + 1))
        await eventually(lambda: not bot.left_behind(), timeout_s=PATIENCE_S)

    async def entries(self) -> list[SegmentEntry]:
        """Everything in the segment stream, checked to be signed."""
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", await cast("Awaitable[Any]", self.redis.xrange(STREAM)))
        for _, fields in found:
            assert is_signed({name.decode(): value for name, value in fields.items()}, TOKEN)
        return [SegmentEntry.model_validate_json(fields[BODY.encode()]) for _, fields in found]

    async def heard(self) -> dict[str, set[str | None]]:
        """Speakers in the segment stream by session."""
        speakers: dict[str, set[str | None]] = defaultdict(set)
        for entry in await self.entries():
            speakers[entry.session_uid] |= {segment.speaker for segment in entry.segments if segment.completed}
        return speakers

    async def named(self, name: str) -> None:
        """Wait until something that somebody of that name said is in the segment stream."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(name in names for names in (await self.heard()).values()):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.1)


@asynccontextmanager
async def open_theatre(redis_url: str) -> AsyncIterator[Theatre]:
    """Start what bots talk to; every bot that still runs in the end is killed."""
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(manager_server())
        speech = await stack.enter_async_context(speech_server())
        redis = await stack.enter_async_context(Redis.from_url(redis_url, socket_timeout=5.0))
        yield Theatre(manager, speech, redis, redis_url, stack)
