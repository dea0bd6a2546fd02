"""The people of the demo: each is a browser of its own whose microphone speaks the lines of the script."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout

from usher.demo.conversation import Conversation, Line
from usher.domain.errors import Unavailable

_LAUNCH_S: Final = 60.0
_PAGE_S: Final = 30.0
_JOIN_S: Final = 60.0
_LEAVE_S: Final = 5.0
_CLOSE_S: Final = 10.0
_HAND_OVER_S: Final = 2.0
"""A line is handed to the page so long before it begins; there it begins on the audio clock, not when Python wakes."""
_SPEECH_SLACK_S: Final = 15.0

_MICROPHONE: Final = Path(__file__).with_name("scripted_microphone.js")
_ARGUMENTS: Final = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    # Without a network there is only the loopback interface, which WebRTC otherwise leaves out.
    "--allow-loopback-in-peer-connection",
    # On many machines the mDNS names that stand for local addresses cannot be resolved, and no sound would flow.
    # Chromium honours only the last --disable-features, so this one stands in for Playwright's.
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter,OptimizationHints,HttpsUpgrades",
)


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line as it was really said.

    Attributes:
        start: When it began, seconds since the epoch.
        end: When it ended, seconds since the epoch.
    """

    speaker: str
    text: str
    start: float
    end: float


class Participant:
    """Somebody in the room: comes on entering the context, leaves with it.

    Args:
        chromium: The browser to use.
        room_url: Address of the room's page, without a query. The page gets a microphone only on a secure origin,
            and loopback is one.
        name: How the others see this person.
        host: Whether this person opens the meeting; everybody else waits in the lobby until admitted.
        sandbox: Whether Chromium's own sandbox is on; root cannot have it.
    """

    def __init__(self, chromium: Path, room_url: str, name: str, *, host: bool, sandbox: bool) -> None:
        self._chromium = chromium
        self._url = f"{room_url}?{urlencode({'name': name, 'host': int(host)})}"
        self._name = name
        self._sandbox = sandbox
        self._stack = AsyncExitStack()
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        """The room's page as this person has it open.

        Raises:
            Unavailable: This person is not there.
        """
        if self._page is None:
            raise Unavailable(f"{self._name} is not in the room")
        return self._page

    async def __aenter__(self) -> Self:
        """Open the browser and join; a guest returns once admitted.

        Raises:
            TimeoutError: Nobody admitted this person in time, or the browser or the room did not answer.
            Unavailable: The room did not let this person in.
        """
        async with AsyncExitStack() as stack:
            page = await stack.enter_async_context(_open_page(self._chromium, sandbox=self._sandbox))
            with _in_time(f"{self._name} could not join the room in time"):
                await self._join(page)
            stack.push_async_callback(_leave, page)
            self._stack, self._page = stack.pop_all(), page
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Press "Leave" and close the browser."""
        self._page = None
        await self._stack.aclose()

    async def admit(self, name: str, timeout_s: float) -> None:
        """Let somebody in from the lobby, as the host does: by the button, as soon as it is there.

        Raises:
            TimeoutError: Nobody of that name asked to join in time.
        """
        button = self.page.get_by_role("button", name=f"Admit {name}", exact=True)
        with _in_time(f"{name} did not ask to join in time"):
            await button.click(timeout=timeout_s * 1000)

    async def talk(self, conversation: Conversation, *, starts_at: float) -> list[SpokenLine]:
        """Say this person's lines, each when it is due.

        Args:
            conversation: Everybody's lines; the others' are passed over.
            starts_at: When the conversation begins, seconds since the epoch.

        Raises:
            TimeoutError: The page took far longer for a line than the line is.
        """
        return [
            await self._say(line, starts_at + line.start_s) for line in conversation.lines if line.speaker == self._name
        ]

    async def _join(self, page: Page) -> None:
        await page.goto(self._url)
        await page.locator("#join-button").click()
        moved = await page.wait_for_selector(
            "body:not([data-room-state=prejoin], [data-room-state=connecting], [data-room-state=lobby])",
            timeout=_JOIN_S * 1000,
        )
        state = await moved.get_attribute("data-room-state") if moved else None
        if state != "meeting":
            raise Unavailable(f"{self._name} did not get into the room: {state}")

    async def _say(self, line: Line, at: float) -> SpokenLine:
        wav = base64.b64encode(await asyncio.to_thread(line.audio.read_bytes)).decode()
        await asyncio.sleep(at - _HAND_OVER_S - time.time())
        async with asyncio.timeout(_HAND_OVER_S + line.duration_s + _SPEECH_SLACK_S):
            start_ms, end_ms = await self.page.evaluate("said => scriptedMicrophone(said)", [wav, at * 1000])
        return SpokenLine(line.speaker, line.text, start_ms / 1000, end_ms / 1000)


@asynccontextmanager
async def _open_page(chromium: Path, *, sandbox: bool) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        with _in_time("the browser did not start in time"):
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=list(_ARGUMENTS), chromium_sandbox=sandbox, timeout=_LAUNCH_S * 1000
            )
        try:
            # Without the permission WebRTC shows the interface of the default route only, and offline there is none.
            page = await browser.new_page(locale="en-US", permissions=["microphone"])
            page.set_default_timeout(_PAGE_S * 1000)
            await page.add_init_script(path=_MICROPHONE)
            yield page
        finally:
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await browser.close()


async def _leave(page: Page) -> None:
    """Leave as people do; if that is impossible, closing the browser comes to the same."""
    with suppress(PlaywrightError):
        if await page.locator("body[data-room-state=meeting]").count():
            await page.get_by_role("button", name="Leave", exact=True).click(timeout=_LEAVE_S * 1000)
            await page.wait_for_selector("body[data-room-state=left]", timeout=_LEAVE_S * 1000)


@contextmanager
def _in_time(otherwise: str) -> Iterator[None]:
    """Turn Playwright's time-out into Python's own."""
    try:
        yield
    except PlaywrightTimeout as error:
        raise TimeoutError(otherwise) from error
