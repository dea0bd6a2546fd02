"""One simulated bot: `usher.bot.bot.Bot` as it is, with a script for its stay."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from redis.asyncio import Redis

from bench.fleet.diary import Diaries, Diary, Place
from bench.fleet.script import Script
from bench.fleet.switchboard import Switchboard
from bench.fleet.transport import BotTransport
from usher.adapters.memory.launcher import Workload
from usher.bot.bot import Bot
from usher.bot.stay import Ending, Progress
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Running
from usher.protocol.bot import VARIABLE, BotConfiguration
from usher.protocol.segments import SegmentEntry, SpokenSegment

_REDIS_S = 5.0
_CLOSE_S = 1.0


class Crew:
    """Makes the bots of a fleet.

    Args:
        switchboard: Shared by all bots; None to give each a Redis client with its own account.
    """

    def __init__(self, switchboard: Switchboard | None) -> None:
        self._switchboard = switchboard
        self.diaries = Diaries()

    async def live(self, workload: Workload) -> int:
        """Be the bot of a workload, until it is over or killed; return its exit code."""
        configuration = BotConfiguration.model_validate_json(workload.spec.environment[VARIABLE])
        diary = self.diaries.begin(
            Diary(
                str(workload.spec.name),
                configuration.meeting_id,
                configuration.connection_id,
                configuration.native_meeting_id,
            )
        )
        redis = self._redis(configuration)
        transport = BotTransport(urlsplit(configuration.manager_url).port or 0, diary.note_acknowledged)
        try:
            bot = _ScriptedBot(configuration, redis, transport, diary, workload).bot
            return await _run(bot, workload)
        finally:
            self.diaries.end(diary)
            await transport.aclose()
            if self._switchboard is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_S):
                        await redis.aclose()

    def _redis(self, configuration: BotConfiguration) -> Redis:
        if self._switchboard is not None:
            return self._switchboard.line()
        return Redis.from_url(
            configuration.redis_url.get_secret_value(), socket_timeout=_REDIS_S, socket_connect_timeout=_REDIS_S
        )


async def _run(bot: Bot, workload: Workload) -> int:
    """Run a bot; each cancellation is the wish that it leaves, unless the workload was ended over its head."""
    running = asyncio.create_task(bot.run())
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            if not isinstance(workload.observe(), Running):
                running.cancel()
                raise
            bot.leave()
    return running.result()


class _ScriptedBot:
    def __init__(
        self,
        configuration: BotConfiguration,
        redis: Redis,
        transport: BotTransport,
        diary: Diary,
        workload: Workload,
    ) -> None:
        self._connection_id = configuration.connection_id
        self._meeting_id = configuration.meeting_id
        self._script = Script.from_name(configuration.bot_name)
        self._diary = diary
        self._began = datetime.now(UTC)

        def keep(words: bytes | None) -> None:
            workload.last_words = words or b""
            diary.unsafe = len(self.bot.publisher.undelivered())

        self.bot = Bot(
            configuration,
            redis=redis,
            stay=self._stay,
            keep=keep,
            executed=lambda command, _outcome: diary.note_executed(command.seq),
            transport=transport,
        )

    async def _stay(self, progress: Progress) -> Ending:
        script = self._script
        try:
            await self._go(Place.JOINING, progress.joining, script.join_s)
            if script.lobby_s:
                await self._go(Place.LOBBY, progress.waiting, script.lobby_s)
            await self._go(Place.MEETING, progress.admitted, 0.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(script.stay_s):
                    await self._listen()
        except asyncio.CancelledError:
            await asyncio.sleep(script.leave_s)
            raise
        return Ending(0, Reason.MEETING_ENDED)

    async def _go(self, place: Place, tell: Callable[[], None], for_s: float) -> None:
        tell()
        self._diary.place = place
        await asyncio.sleep(for_s)

    async def _listen(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(self._script.talk_s or self._script.stay_s)
            self.bot.publisher.publish(self._sentence(number))
            self._diary.spoken = number

    def _sentence(self, number: int) -> SegmentEntry:
        spoken = SpokenSegment(
            segment_id=f"{self._connection_id}:{number}",
            revision=1,
            start_s=number,
            end_s=number + 1,
            text=f"sentence number {number} of this meeting, as somebody may have said it",
            completed=True,
        )
        return SegmentEntry(
            meeting_id=self._meeting_id,
            session_uid=self._connection_id,
            session_start=self._began,
            segments=[spoken],
        )
