"""The bot's process: the bot with a browser and ears, and an end that nothing holds up."""

import asyncio
import os
import shutil
import signal
import threading
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError
from redis.asyncio import Redis

from usher.bot.audio.ears import TrackEars
from usher.bot.audio.receiver import open_receiver
from usher.bot.audio.speech import Speech
from usher.bot.bot import Bot
from usher.bot.browser import OpenBrowser, open_browser
from usher.bot.last_words_file import LastWordsFile
from usher.bot.platforms import MeetingPage, open_platform
from usher.bot.platforms.port import JoinFailed, first_line
from usher.bot.stay import Ending, Progress
from usher.bot.visit import Visit, Watch
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Platform
from usher.protocol.bot import BROWSERS, BotConfiguration
from usher.protocol.commands import CommandOutcome, Task
from usher.protocol.last_words import MOST_BYTES

log = structlog.get_logger(__name__)

_REDIS_S = 5.0
_HANGING_S = 90.0


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
        bot = _BrowserVisit(configuration, redis, LastWordsFile(last_words, last_words_bytes)).bot
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, bot.leave)
        return await bot.run()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await redis.aclose()


class _BrowserVisit:
    """A bot whose stay is a visit with a browser.

    Attributes:
        bot: The bot.
    """

    def __init__(self, configuration: BotConfiguration, redis: Redis, last_words: LastWordsFile) -> None:
        self._configuration = configuration
        self._doomed = False
        self.bot = Bot(
            configuration,
            redis=redis,
            stay=self._stay,
            reconfigure=self._reconfigure,
            finish=self._finish,
            keep=last_words.keep,
            last_words_bytes=last_words.most_bytes,
            ending=self._last_resort,
        )
        speech = Speech(
            configuration.transcription_url, configuration.token, configuration.language, configuration.task
        )
        self._ears = TrackEars(
            configuration.meeting_id, configuration.connection_id, speech, self.bot.publisher.publish
        )

    async def _stay(self, progress: Progress) -> Ending:
        """Visit; what goes wrong after the end, in closing the browser, does not change how the visit ended."""
        ending: Ending | None = None
        try:
            async with AsyncExitStack() as stack:
                receiver = await stack.enter_async_context(open_receiver(self._ears))
                browser = await stack.enter_async_context(self._browser(receiver.script))
                ending = await self._visit(browser, progress)
                self._last_resort()
        except PlaywrightError as error:
            return ending or Ending(1, Reason.CRASHED, f"the browser: {first_line(error)}")
        except (JoinFailed, OSError) as error:
            return ending or Ending(1, Reason.JOIN_FAILED, first_line(error))
        # The guard of the process: whatever goes wrong in a visit, the manager is told, and the text is handed in.
        except Exception as error:
            log.exception("visit_crashed")
            return ending or Ending(1, Reason.CRASHED, f"{type(error).__name__} in the bot")
        return ending

    def _browser(self, script: str) -> Any:  # noqa: ANN401 - the context manager's type has no public name
        wanted = self._configuration
        return open_browser(
            _existing(wanted.chromium),
            headless=wanted.headless,
            sandbox=wanted.sandbox,
            script=script,
            plain_origin=_plain_origin(wanted),
        )

    async def _visit(self, browser: OpenBrowser, progress: Progress) -> Ending:
        """Visit until the end, the death of the browser, or cancellation, which is the wish to leave."""
        configuration = self._configuration
        page = open_platform(configuration.platform, browser.page)
        watch = Watch(progress.joining, progress.waiting, progress.admitted, self._ears.name)
        visit = Visit(page, configuration.patience, watch)
        url = configuration.meeting_url.get_secret_value()
        visiting = asyncio.create_task(visit.run(url, configuration.bot_name))
        broken = asyncio.create_task(browser.broken.wait())
        try:
            await asyncio.wait({visiting, broken}, return_when=asyncio.FIRST_COMPLETED)
            return visiting.result() if visiting.done() else Ending(1, Reason.CRASHED, "the browser or its page died")
        except asyncio.CancelledError:
            visiting.cancel()
            await asyncio.wait({visiting})
            await self._leave_page(page)
            raise
        finally:
            visiting.cancel()
            broken.cancel()
            await asyncio.wait({visiting, broken})

    async def _leave_page(self, page: MeetingPage) -> None:
        try:
            async with asyncio.timeout(self._configuration.patience.leave_s):
                await page.leave()
        except (PlaywrightError, TimeoutError) as error:
            log.warning("not_left_through_the_page", error=type(error).__name__)

    async def _reconfigure(self, language: str | None, task: Task) -> CommandOutcome:
        try:
            await self._ears.configure(language, task)
        except TimeoutError:
            return CommandOutcome(outcome="refused", detail="the speech service did not confirm in time")
        return CommandOutcome(outcome="applied")

    async def _finish(self) -> None:
        await self._ears.finish()

    def _last_resort(self) -> None:
        if not self._doomed:
            self._doomed = True
            _destroy_if_hanging(_HANGING_S)


def _existing(chromium: Path | None) -> Path | None:
    """Return the browser that is asked for, else the first of the machine's; None leaves it to Playwright."""
    if chromium is None:
        found = filter(None, map(shutil.which, BROWSERS))
        return next(map(Path, found), None)
    if not chromium.exists():
        raise JoinFailed("browser", f"there is no browser at {chromium}; `usher doctor` says more")
    return chromium


def _destroy_if_hanging(after_s: float) -> None:
    """End this process for certain: whoever holds up its orderly end does not hold up the end."""

    def destroy() -> None:
        log.error("shutdown_hangs", seconds=after_s)
        os._exit(1)

    timer = threading.Timer(after_s, destroy)
    timer.daemon = True
    timer.start()


def _plain_origin(configuration: BotConfiguration) -> str | None:
    """Return where our own room is served without TLS; no other meeting is joined without it."""
    parts = urlsplit(configuration.meeting_url.get_secret_value())
    ours = configuration.platform is Platform.ROOM and parts.scheme == "http"
    return f"{parts.scheme}://{parts.netloc}" if ours else None
