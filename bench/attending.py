"""A real bot in a meeting with people who hum, and everything that it talks to."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from redis.asyncio import Redis
from tests.replicas.room_stage import room_stage
from tests.replicas.stage import Actor, Stage, open_house, replica_stage
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import BotProcess, configuration, running_bot
from tests.support.bot_speech_server import SpeechServer, speech_server

from bench.waiting import until
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.domain.meeting import Platform
from usher.protocol.segments import BODY, STREAM, SegmentEntry

VOICES: Mapping[str, int] = {"Ann": 437, "Bob": 701, "Cleo": 1103, "Dan": 1709}
"""People, and the pitch of each, in hertz: far enough from each other's overtones."""

_ADMITTED_S = 120.0


@dataclass(frozen=True, slots=True)
class Attending:
    """A bot that has been let in.

    Attributes:
        actors: People, in the order of `VOICES`; all of them hum.
        speech: What the bot sent to the speech service.
    """

    stage: Stage
    actors: Sequence[Actor]
    bot: BotProcess
    speech: SpeechServer
    manager: Manager
    redis: Redis

    async def entries(self) -> list[SegmentEntry]:
        """Return all that the bot published."""
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", await self.redis.xrange(STREAM))
        return [SegmentEntry.model_validate_json(fields[BODY.encode()]) for _, fields in rows]


@asynccontextmanager
async def attending(platform: Platform = Platform.ROOM) -> AsyncIterator[Attending]:
    """Begin a meeting with four people, and send a bot there."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="usher-bench-")))
        stage = await stack.enter_async_context(_stage(platform, directory))
        manager = await stack.enter_async_context(manager_server())
        speech = await stack.enter_async_context(speech_server())
        server = await stack.enter_async_context(EmbeddedRedis(directory / "redis", durable=False))
        redis = await stack.enter_async_context(Redis.from_url(server.url, socket_timeout=10.0))
        actors = [await stage.person(name, hz, host=name == next(iter(VOICES))) for name, hz in VOICES.items()]
        told = configuration(
            manager_url=manager.url,
            redis_url=server.url,
            transcription_url=speech.url,
            meeting_url=stage.url,
            chromium=stage.browser,
            platform=platform,
        )
        bot = await stack.enter_async_context(running_bot(told))
        await stage.admit()

        async def is_inside() -> bool:
            return "started" in manager.kinds()

        if not await until(is_inside, _ADMITTED_S):
            raise RuntimeError(f"the bot did not come in: {bot.log[-5:]}")
        yield Attending(stage, actors, bot, speech, manager, redis)


@asynccontextmanager
async def _stage(platform: Platform, directory: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        if platform is Platform.ROOM:
            yield await stack.enter_async_context(room_stage())
        else:
            house = await stack.enter_async_context(open_house(platform, directory))
            yield await stack.enter_async_context(replica_stage(house))
