"""Pages that talk to each other over real WebRTC: people who are tones, and the page in which a bot listens."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Frame, Page, Route, async_playwright

_PATIENCE_MS = 60_000.0
_SCRIPT = Path(__file__).with_suffix(".js")
_ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
    "--allow-loopback-in-peer-connection",
)

Turn = tuple[str, float, float]


@dataclass
class Talk:
    """A browser with a page for the people, and one for the bot; both have `talk` of `bot_talk.js`.

    Attributes:
        people: The people's page.
        bot: The bot's page, with the capture script.
    """

    people: Page
    bot: Page
    browser: Browser

    async def connect(
        self, voices: Mapping[str, int], *, mixed: bool = False, frame: Page | Frame | None = None
    ) -> list[str]:
        """Connect the people to the bot's page or a frame; return the ids of the tracks in the order of the voices."""
        offer = await self.offer(voices, mixed=mixed)
        answer, tracks = await (frame or self.bot).evaluate("(offer) => talk.answer(offer)", offer)
        await self.accept(answer)
        return list(tracks)

    async def offer(self, voices: Mapping[str, int], *, mixed: bool = False) -> str:
        """Make a connection with voices, and return the people's offer."""
        return str(
            await self.people.evaluate("([people, mixed]) => talk.offer(people, mixed)", [[*voices.items()], mixed])
        )

    async def accept(self, answer: str) -> None:
        """Take the answer to the last offer, and wait until there is a connection."""
        await self.people.evaluate("(answer) => talk.accept(answer)", answer)
        await self.people.wait_for_function("talk.connected()", timeout=_PATIENCE_MS)

    async def say(self, turns: Sequence[Turn]) -> float:
        """Let people speak: name, begin and end in seconds from now; return when that is, seconds since the epoch."""
        return float(await self.people.evaluate("(turns) => talk.say(turns)", [list(turn) for turn in turns])) / 1000


@contextlib.asynccontextmanager
async def talking(chromium: Path, script: str, html: str = "<body></body>", before: str = "") -> AsyncIterator[Talk]:
    """Start a browser; the bot's page is `html` and runs first `before`, then `script`, then its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=_ARGUMENTS, chromium_sandbox=os.geteuid() != 0, timeout=_PATIENCE_MS
        )
        try:
            contexts = [await browser.new_context(bypass_csp=True) for _ in range(2)]
            people = await _open(contexts[0], html)
            yield Talk(people, await _open(contexts[1], html, before, script), browser)
        finally:
            await browser.close()


async def _open(context: BrowserContext, html: str, *scripts: str) -> Page:
    async def fulfill(route: Route) -> None:
        is_frame = urlsplit(route.request.url).path == "/frame"
        await route.fulfill(body="<body></body>" if is_frame else html, content_type="text/html")

    await context.grant_permissions(["microphone", "local-network-access"])
    await context.route("**/*", fulfill)
    for script in filter(None, scripts):
        await context.add_init_script(script)
    await context.add_init_script(path=_SCRIPT)
    page = await context.new_page()
    await page.goto("https://talk.test/", timeout=_PATIENCE_MS)
    return page
