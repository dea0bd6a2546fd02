"""A stay made with a browser: opens it, makes the visit, leaves through the page, and tells of what went wrong."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.audio.ears import TrackEars
from usher.bot.audio.receiver import open_receiver
from usher.bot.browser import OpenBrowser, Outfit, open_browser
from usher.bot.platforms import MeetingPage, Sighting, open_platform
from usher.bot.platforms.port import JoinFailed, NotPossible, SignWatch, first_line
from usher.bot.stay import Ending, Progress
from usher.bot.visit import Visit, Watch
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Platform
from usher.protocol.bot import BROWSERS, BotConfiguration
from usher.protocol.commands import CommandOutcome

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Company:
    """Who goes along to a meeting.

    Attributes:
        ears: Hear what is said.
        seen: Told of every look inside of the meeting.
        failed: Told of a visit that did not go as it should, with its page, while the page is still there.
        over: Told when the visit is over and the browser is about to be closed.
    """

    ears: TrackEars
    seen: Callable[[Sighting], None]
    failed: Callable[[Page, Ending], Awaitable[None]]
    over: Callable[[], None]


class Attendance:
    """Makes the stay that a configuration asks for, and carries commands into the page while it lasts."""

    def __init__(self, configuration: BotConfiguration, company: Company) -> None:
        self._configuration = configuration
        self._company = company
        self._page: MeetingPage | None = None

    async def stay(self, progress: Progress) -> Ending:
        """Visit; what goes wrong after the end, in closing the browser, does not change how the visit ended."""
        ending: Ending | None = None
        try:
            async with AsyncExitStack() as stack:
                receiver = await stack.enter_async_context(open_receiver(self._company.ears))
                outfit = _outfit(self._configuration)
                browser = await stack.enter_async_context(open_browser(outfit, script=receiver.script))
                ending = await self._visit(browser, receiver.signs, progress)
                self._company.over()
        except PlaywrightError as error:
            return ending or Ending(1, Reason.CRASHED, f"the browser: {first_line(error)}")
        except (JoinFailed, OSError) as error:
            return ending or Ending(1, Reason.JOIN_FAILED, first_line(error))
        # The guard of the process: whatever goes wrong in a visit, the manager is told, and the text is handed in.
        except Exception as error:
            log.exception("visit_crashed")
            return ending or Ending(1, Reason.CRASHED, f"{type(error).__name__} in the bot")
        return ending

    async def say(self, text: str) -> CommandOutcome:
        """Write into the meeting's chat."""
        return await self._carry_in(lambda page: page.say(text))

    async def rename(self, name: str) -> CommandOutcome:
        """Go under another name in the meeting."""
        return await self._carry_in(lambda page: page.rename(name))

    async def _carry_in(self, what: Callable[[MeetingPage], Awaitable[None]]) -> CommandOutcome:
        if self._page is None:
            return CommandOutcome(outcome="refused", detail="the bot is not in the meeting")
        try:
            await what(self._page)
        except NotPossible as error:
            return CommandOutcome(outcome="refused", detail=str(error))
        except (PlaywrightError, TimeoutError) as error:
            return CommandOutcome(outcome="refused", detail=f"the page did not take it: {first_line(error)}")
        return CommandOutcome(outcome="applied")

    async def _visit(self, browser: OpenBrowser, signs: SignWatch, progress: Progress) -> Ending:
        """Visit until the end, the death of the browser, or cancellation, which is the wish to leave."""
        configuration, health = self._configuration, browser.health
        page = open_platform(configuration.platform, browser.page)
        page.watch_signs(signs)
        visit = Visit(page, configuration.patience, self._watch(page, progress))
        url = configuration.meeting_url.get_secret_value()
        visiting = asyncio.create_task(visit.run(url, configuration.bot_name))
        broken = asyncio.create_task(health.broken.wait())
        try:
            await asyncio.wait({visiting, broken}, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                ending = Ending(1, health.reason, "the browser or its page does not answer any more", step=page.step)
            else:
                ending = visiting.result()
            if ending.exit_code or ending.step:
                await self._company.failed(browser.page, ending)
            if not broken.done():
                # It may have ended by the bot's own decision: to the page it is still there.
                await self._leave(page)
        except asyncio.CancelledError:
            visiting.cancel()
            await asyncio.wait({visiting})
            await self._leave(page)
            raise
        else:
            return ending
        finally:
            self._page = None
            visiting.cancel()
            broken.cancel()
            await asyncio.wait({visiting, broken})

    def _watch(self, page: MeetingPage, progress: Progress) -> Watch:
        def admitted() -> None:
            self._page = page
            progress.admitted()

        return Watch(
            joining=progress.joining,
            waiting=progress.waiting,
            admitted=admitted,
            seen=self._company.seen,
            help_wanted=lambda wall: progress.help_wanted(wall.reason),
        )

    async def _leave(self, page: MeetingPage) -> None:
        try:
            async with asyncio.timeout(self._configuration.patience.leave_s):
                await page.leave()
        except (PlaywrightError, TimeoutError) as error:
            log.warning("not_left_through_the_page", error=type(error).__name__)


def _outfit(configuration: BotConfiguration) -> Outfit:
    proxy, profile = configuration.proxy, configuration.profile
    return Outfit(
        chromium=_existing(configuration.chromium),
        headless=configuration.headless,
        sandbox=configuration.sandbox,
        plain_origin=_plain_origin(configuration),
        proxy=proxy.get_secret_value() if proxy is not None else None,
        profile=profile.get_secret_value() if profile is not None else None,
    )


def _existing(chromium: Path | None) -> Path | None:
    """Return the browser that is asked for, else the first of the machine's; None leaves it to Playwright."""
    if chromium is None:
        found = filter(None, map(shutil.which, BROWSERS))
        return next(map(Path, found), None)
    if not chromium.exists():
        raise JoinFailed("browser", f"there is no browser at {chromium}; `usher doctor` says more")
    return chromium


def _plain_origin(configuration: BotConfiguration) -> str | None:
    """Return where a platform of the installation's own is served without TLS; no other is joined without it."""
    parts = urlsplit(configuration.meeting_url.get_secret_value())
    ours = configuration.platform in {Platform.ROOM, Platform.JANUS} and parts.scheme == "http"
    return f"{parts.scheme}://{parts.netloc}" if ours else None
