"""A room with people who hum: each participant's microphone is a tone of its own, so sound can be told apart."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright
from tests.support.bot_manager_server import serving

from usher.room import room_app

PATIENCE_MS = 60_000.0
_HUM = """
(() => {
  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    await context.resume();
    const tone = new OscillatorNode(context, { frequency: HUM_HZ });
    const loudness = new GainNode(context, { gain: 0.3 });
    const microphone = context.createMediaStreamDestination();
    tone.connect(loudness).connect(microphone);
    tone.start();
    globalThis.hum = (on) => { loudness.gain.value = on ? 0.3 : 0; };
    return microphone.stream;
  };
})();
"""
_ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter,HttpsUpgrades",
)


class Person:
    """Somebody in the room."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def press(self, button: str) -> None:
        """Press a button of the room's page, as soon as it is there."""
        await self.page.get_by_role("button", name=button, exact=True).click(timeout=PATIENCE_MS)

    async def sees(self, name: str, *, here: bool = True) -> None:
        """Wait until somebody is in the meeting, or is not."""
        tile = f'[data-participant-name="{name}"]'
        await self.page.wait_for_selector(tile, state="attached" if here else "detached", timeout=PATIENCE_MS)

    async def sees_request(self, name: str, *, here: bool = True) -> None:
        """Wait until somebody asks to join, or does not any more."""
        request = f'[data-request-name="{name}"]'
        await self.page.wait_for_selector(request, state="attached" if here else "detached", timeout=PATIENCE_MS)

    async def leave(self) -> None:
        """Leave the meeting."""
        await self.press("Leave")

    async def hum(self, *, on: bool) -> None:
        """Hum, as everybody does who comes, or be silent."""
        await self.page.evaluate("on => hum(on)", on)


class HummingRoom:
    """A room, and a browser for its people."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url

    async def host(self, name: str, *, hum_hz: int = 440) -> Person:
        """Somebody opens the meeting."""
        person = await self._come(name, host=1, hum_hz=hum_hz)
        await person.press("Join now")
        await person.sees(name)
        return person

    async def guest(self, name: str, host: Person, *, hum_hz: int) -> Person:
        """Somebody comes and is admitted."""
        person = await self._come(name, host=0, hum_hz=hum_hz)
        await person.press("Ask to join")
        await host.press(f"Admit {name}")
        await person.sees(name)
        return person

    async def _come(self, name: str, *, host: int, hum_hz: int) -> Person:
        page = await self._browser.new_page()
        await page.add_init_script(_HUM.replace("HUM_HZ", str(hum_hz)))
        await page.goto(f"{self.url}?name={name}&host={host}", timeout=PATIENCE_MS)
        return Person(page)


@contextlib.asynccontextmanager
async def humming_room(chromium: Path) -> AsyncIterator[HummingRoom]:
    """Serve a room and start a browser for its people."""
    app = FastAPI()
    app.mount("/room", room_app())
    async with serving(app) as base, open_people(chromium) as browser:
        yield HummingRoom(browser, f"{base}/room/standup")


@contextlib.asynccontextmanager
async def open_people(chromium: Path) -> AsyncIterator[Browser]:
    """Start a browser for people whose microphones are scripted."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=_ARGUMENTS, chromium_sandbox=os.geteuid() != 0, timeout=PATIENCE_MS
        )
        try:
            yield browser
        finally:
            await browser.close()
