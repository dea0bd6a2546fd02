"""The people of a call: one page of a browser of their own hosts them all, each with a microphone."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as PlaywrightError
from tests.replicas.browser import replica_arguments
from tests.replicas.lanes import MIX
from tests.replicas.relay import Relay
from tests.replicas.site import PEOPLE_HOST, Served

from usher.adapters.embedded.chromium import find_chromium

_OPEN_MS = 60_000.0
_OPENINGS = 5
_ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """When something was said, in seconds since the epoch."""

    began_at: float
    ended_at: float


class Crowd:
    """The people of one call: they speak into a relay."""

    def __init__(self, page: Page, relay: Relay) -> None:
        self._page = page
        self._relay = relay

    async def open(self, served: Served) -> None:
        """Open the page, and send the mix if the relay wants it."""
        await _open(self._page, f"https://{PEOPLE_HOST}/replica/static/people.html")
        if self._relay.form == "mixed":
            await self._send(MIX, 0, await self._page.evaluate("id => people.joinMix(id)", MIX))
        if self._relay.form == "webaudio":
            served.mix = self._relay.mix
            await self._page.evaluate("url => people.sendMix(url)", f"wss://{PEOPLE_HOST}/replica/mix")

    async def join(self, person_id: str, source: int, hum_hz: int) -> None:
        """Let somebody send their sound, which is silence for now."""
        await self._send(person_id, source, await self._page.evaluate("who => people.join(who)", [person_id, hum_hz]))

    async def leave(self, person_id: str) -> None:
        """Let somebody send no more."""
        await self._page.evaluate("id => people.leave(id)", person_id)
        await self._relay.forget(person_id)

    async def hum(self, person_id: str, *, on: bool, at: float = 0.0) -> float:
        """Switch somebody's hum at a moment, at once if it is over; return when, in seconds since the epoch."""
        at_ms: float = await self._page.evaluate("what => people.hum(what)", [person_id, on, at * 1000])
        return at_ms / 1000

    async def speak(self, person_id: str, wav: Path, *, at: float = 0.0) -> Spoken:
        """Let somebody say a recording; return when it is said."""
        said = base64.b64encode(wav.read_bytes()).decode()  # noqa: ASYNC240 - a small file of the tests
        began_ms, ended_ms = await self._page.evaluate("what => people.speak(what)", [person_id, said, at * 1000])
        return Spoken(began_ms / 1000, ended_ms / 1000)

    async def _send(self, person_id: str, source: int, offer: str) -> None:
        answer = await self._relay.hear(person_id, source, offer)
        await self._page.evaluate("who => people.accept(who)", [person_id, answer])


async def _open(page: Page, url: str) -> None:
    """Open a page; anew when an interface of the machine came or went meanwhile, as those of containers do."""
    for _ in range(_OPENINGS):
        try:
            await page.goto(url, timeout=_OPEN_MS)
        except PlaywrightError as error:
            if "ERR_NETWORK_CHANGED" not in error.message:
                raise
        else:
            return
    raise AssertionError("the network of the machine does not come to rest")


@asynccontextmanager
async def people_browser(served: Served) -> AsyncIterator[Browser]:
    """Start the browser for people."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium().path,
            args=[*_ARGUMENTS, *replica_arguments(served, ())],
            chromium_sandbox=os.geteuid() != 0,
            timeout=_OPEN_MS,
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def crowd(browser: Browser, served: Served, relay: Relay) -> AsyncIterator[Crowd]:
    """Open a page for the people of one call; in the end it is closed, and the relay with it."""
    page = await browser.new_page()
    people = Crowd(page, relay)
    try:
        await people.open(served)
        yield people
    finally:
        await page.close()
        await relay.close()
