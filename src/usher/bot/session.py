"""The bot's process: everything put together, and an orderly end in whatever way it comes."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import structlog
from playwright.async_api import Error as PlaywrightError
from redis.asyncio import Redis

from usher.bot.audio.ears import TrackEars
from usher.bot.audio.receiver import open_receiver
from usher.bot.audio.speech import Speech
from usher.bot.browser import OpenBrowser, open_browser
from usher.bot.callbacks import Callbacks
from usher.bot.control import Control
from usher.bot.platforms import MeetingPage, open_platform
from usher.bot.platforms.port import JoinFailed, first_line
from usher.bot.publisher import Publisher
from usher.bot.visit import Ending, Visit, Watch
from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import Command, CommandOutcome, Leave

log = structlog.get_logger(__name__)

_REDIS_S = 5.0
_FLUSH_S = 10.0
_REPORT_S = 30.0
_HANGING_S = 90.0
_STOPPED = Ending(0, Reason.STOPPED)


async def run(configuration: BotConfiguration) -> int:
    """Make the visit that `configuration` asks for and return the exit code.

    SIGTERM and SIGINT are the wish to leave. Whatever happens, the manager is told and the browser is closed.
    """
    return await _Bot(configuration).run()


class _Bot:
    def __init__(self, configuration: BotConfiguration) -> None:
        self._configuration = configuration
        self._leave = asyncio.Event()
        self._callbacks = Callbacks(configuration)
        self._redis: Redis = Redis.from_url(
            configuration.redis_url.get_secret_value(), socket_timeout=_REDIS_S, socket_connect_timeout=_REDIS_S
        )
        token = configuration.token
        self._publisher = Publisher(
            self._redis, configuration.meeting_id, configuration.connection_id, token.get_secret_value()
        )
        speech = Speech(configuration.transcription_url, token, configuration.language, configuration.task)
        self._ears = TrackEars(configuration.meeting_id, configuration.connection_id, speech, self._publisher.publish)
        self._control = Control(self._redis, self._callbacks, configuration.connection_id, self._execute)
        self._tasks: list[asyncio.Task[None]] = []
        self._doomed = False

    async def run(self) -> int:
        """Visit, then hand in what is left and say goodbye."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._leave.set)
        ending = await self._visit()
        self._last_resort()
        log.info("visit_ended", reason=ending.reason, exit_code=ending.exit_code, detail=ending.detail)
        await self._ears.finish()
        await self._publisher.flush(_FLUSH_S)
        if not self._callbacks.over.is_set():
            self._callbacks.report_exit(ending.exit_code, ending.reason, ending.detail)
            await self._callbacks.all_reported(_REPORT_S)
        await self._end()
        return ending.exit_code

    async def _visit(self) -> Ending:
        """Stay until the visit ends by itself, or somebody or something ends it."""
        services = {
            self._begin("reports", self._callbacks.send_reports()),
            self._begin("publisher", self._publisher.run()),
            self._begin("commands", self._control.run()),
        }
        beating = self._begin("heartbeats", self._callbacks.beat())
        leaving = self._begin("leave", _wait(self._leave))
        over = self._begin("over", _wait(self._callbacks.over))
        visiting = asyncio.create_task(self._visit_with_browser())
        await asyncio.wait({visiting, beating, leaving, over, *services}, return_when=asyncio.FIRST_COMPLETED)
        if visiting.done():
            return visiting.result()
        self._last_resort()
        visiting.cancel()
        await asyncio.wait({visiting})
        if leaving.done() or over.done():
            return _STOPPED
        return Ending(1, Reason.CRASHED, "the manager was away" if beating.done() else "a part of the bot died")

    async def _visit_with_browser(self) -> Ending:
        """Visit; what goes wrong after the end, in closing the browser, does not change how the visit ended."""
        ending: Ending | None = None
        try:
            async with AsyncExitStack() as stack:
                receiver = await stack.enter_async_context(open_receiver(self._ears))
                ending = await self._stay(await stack.enter_async_context(self._browser(receiver.script)))
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
        return open_browser(_existing(wanted.chromium), headless=wanted.headless, sandbox=wanted.sandbox, script=script)

    async def _stay(self, browser: OpenBrowser) -> Ending:
        """Visit until the end, the death of the browser, or cancellation, which is the wish to leave."""
        configuration = self._configuration
        page = open_platform(configuration.platform, browser.page)
        visit = Visit(page, configuration.patience, self._watch())
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

    def _watch(self) -> Watch:
        return Watch(
            joining=lambda: self._callbacks.report("status", status="joining"),
            waiting=lambda: self._callbacks.report("status", status="awaiting_admission"),
            admitted=lambda: self._callbacks.report("started"),
            voices=self._ears.name,
        )

    async def _execute(self, command: Command) -> CommandOutcome:
        if isinstance(command, Leave):
            self._leave.set()
            return CommandOutcome(outcome="applied")
        try:
            await self._ears.configure(command.language, command.task)
        except TimeoutError:
            return CommandOutcome(outcome="refused", detail="the speech service did not confirm in time")
        return CommandOutcome(outcome="applied")

    def _begin(self, name: str, part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(part, name=name)
        task.add_done_callback(_note_death)
        self._tasks.append(task)
        return task

    def _last_resort(self) -> None:
        if not self._doomed:
            self._doomed = True
            _destroy_if_hanging(_HANGING_S)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._callbacks.close()
                await self._redis.aclose()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _note_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("part_died", part=task.get_name(), error=type(error).__name__, exc_info=error)


def _existing(chromium: Path | None) -> Path | None:
    if chromium is not None and not chromium.exists():
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
