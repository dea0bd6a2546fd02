"""The bot's process: the bot with a browser and ears, and an end that nothing holds up."""

import asyncio
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import structlog
from playwright.async_api import Page
from redis.asyncio import Redis

from usher.bot.attendance import Attendance, Company
from usher.bot.audio.ears import TrackEars
from usher.bot.audio.speech import Speech
from usher.bot.bot import Bot
from usher.bot.evidence import collect
from usher.bot.last_words_file import LastWordsFile
from usher.bot.platforms import Sighting
from usher.bot.recording import Recorder
from usher.bot.stay import Ending, Progress
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import CommandOutcome, Task
from usher.protocol.last_words import MOST_BYTES

log = structlog.get_logger(__name__)

_REDIS_S = 5.0
_HANGING_S = 120.0
_LAST_TEXT_S = 45.0
_WORTH_TELLING_S = 2.0


async def run(
    configuration: BotConfiguration, last_words: Path | None = None, last_words_bytes: int = MOST_BYTES
) -> int:
    """Make the visit that `configuration` asks for and return the exit code.

    SIGTERM and SIGINT are the wish to leave. Whatever happens, the manager is told and the browser is closed; what the
    manager cannot be told is left in the file `last_words`, in at most `last_words_bytes`.
    """
    redis: Redis = Redis.from_url(
        configuration.redis_url.get_secret_value(), socket_timeout=_REDIS_S, socket_connect_timeout=_REDIS_S
    )
    try:
        bot = _Session(configuration, redis, LastWordsFile(last_words, last_words_bytes)).bot
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, bot.leave)
        return await bot.run()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await redis.aclose()


class _Session:
    """Puts together a bot, its ears, and its attendance in the meeting.

    Attributes:
        bot: The bot.
    """

    def __init__(self, configuration: BotConfiguration, redis: Redis, last_words: LastWordsFile) -> None:
        self._doomed = False
        self._name = configuration.bot_name
        self.bot = Bot(
            configuration,
            redis=redis,
            stay=self._stay,
            reconfigure=self._reconfigure,
            say=self._say,
            rename=self._rename,
            finish=self._finish,
            keep=last_words.keep,
            last_words_bytes=last_words.most_bytes,
            ending=self._last_resort,
        )
        speech = Speech(
            configuration.transcription_url, configuration.token, configuration.language, configuration.task
        )
        self._recorder = Recorder(configuration)
        self._ears = TrackEars(
            configuration.meeting_id,
            configuration.connection_id,
            speech,
            self.bot.publisher.publish,
            self._recorder if configuration.recording else None,
            backlog_s=configuration.speech_backlog_min * 60.0,
        )
        company = Company(ears=self._ears, seen=self._seen, failed=self._failed, over=self._last_resort)
        self._attendance = Attendance(configuration, company)

    async def _stay(self, progress: Progress) -> Ending:
        return await self._attendance.stay(progress)

    def _seen(self, sighting: Sighting) -> None:
        self._ears.see(sighting)
        self.bot.chat.note(sighting.chat, self._name)

    async def _failed(self, page: Page, ending: Ending) -> None:
        self.bot.callbacks.show(await collect(page, ending.step or "in_the_meeting", ending.reason))

    async def _say(self, text: str) -> CommandOutcome:
        return await self._attendance.say(text)

    async def _rename(self, name: str) -> CommandOutcome:
        outcome = await self._attendance.rename(name)
        if outcome.outcome == "applied":
            self._name = name
        return outcome

    async def _reconfigure(self, language: str | None, task: Task) -> CommandOutcome:
        try:
            await self._ears.configure(language, task)
        except TimeoutError:
            return CommandOutcome(outcome="refused", detail="the speech service did not confirm in time")
        return CommandOutcome(outcome="applied")

    async def _finish(self) -> None:
        # Who is told to leave has the grace for it, and no more.
        within_s = None if self.bot.is_told_to_leave else _LAST_TEXT_S
        unheard_s, _ = await asyncio.gather(self._ears.finish(within_s), self._recorder.finish())
        if unheard_s > _WORTH_TELLING_S:
            self.bot.callbacks.add_to_exit(f"{unheard_s:.0f} s of sound were not transcribed")

    def _last_resort(self) -> None:
        if not self._doomed:
            self._doomed = True
            _destroy_if_hanging(_HANGING_S)


def _destroy_if_hanging(after_s: float) -> None:
    """End this process for certain: whoever holds up its orderly end does not hold up the end."""

    def destroy() -> None:
        log.error("shutdown_hangs", seconds=after_s)
        os._exit(1)

    timer = threading.Timer(after_s, destroy)
    timer.daemon = True
    timer.start()
