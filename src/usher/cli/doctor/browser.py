"""Checks of the browser: it starts, it draws, and a call's audio reaches a page."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Error, Page, async_playwright

from usher.adapters.embedded.chromium import Chromium, find_chromium
from usher.adapters.embedded.commands import run_command
from usher.cli.doctor.finding import Finding
from usher.domain.errors import UsherError

_BROWSER = "browser"
_AUDIO = "audio capture"
_PLAYWRIGHT_S = 30.0
_STEP_MS = 30_000
_LEAST_ENERGY = 0.05
_ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--mute-audio",
)
# A tone of 440 Hz goes from one end of a call to the other; the answer is what arrives, as root mean square.
_CALL = """
async () => {
  const context = new AudioContext();
  await context.resume();
  const tone = context.createOscillator();
  const microphone = context.createMediaStreamDestination();
  tone.connect(microphone);
  tone.start();
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const gathered = (end) => end.iceGatheringState === 'complete' ? Promise.resolve() : new Promise((resolve) => {
    end.onicegatheringstatechange = () => end.iceGatheringState === 'complete' && resolve();
  });
  const arrived = new Promise((resolve) => { far.ontrack = (event) => resolve(event.streams[0]); });
  near.addTrack(microphone.stream.getAudioTracks()[0], microphone.stream);
  await near.setLocalDescription();
  await gathered(near);
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await gathered(far);
  await near.setRemoteDescription(far.localDescription);
  const stream = await arrived;
  const player = new Audio();  // Chromium decodes a remote stream only while an element plays it
  player.muted = true;
  player.srcObject = stream;
  await player.play();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  let energy = 0;
  for (let wait = 0; wait < 200 && energy < LEAST; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    meter.getFloatTimeDomainData(samples);
    energy = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }
  near.close();
  far.close();
  return energy;
}
""".replace("LEAST", str(_LEAST_ENERGY))


async def check_browser(configured: Path | None, sandbox: bool | None) -> AsyncIterator[Finding]:
    """Yield findings on the browser, and on audio if the browser works.

    Args:
        configured: The browser that the operator chose.
        sandbox: Whether Chromium keeps its own sandbox; None for: unless root, where it refuses to.
    """
    try:
        chromium = await asyncio.to_thread(find_chromium, configured)
    except UsherError as error:
        yield Finding.of_error(_BROWSER, error)
        return
    driver = await run_command(sys.executable, "-m", "playwright", "--version", timeout_s=_PLAYWRIGHT_S)
    if not driver.ok:
        yield Finding(_BROWSER, False, f"Playwright does not start: {driver.said}", "apt-get install libatomic1")
        return
    async for finding in _try_out(chromium, os.geteuid() != 0 if sandbox is None else sandbox):
        yield finding


async def _try_out(chromium: Chromium, sandbox: bool) -> AsyncIterator[Finding]:
    name = _BROWSER
    try:
        async with _open(chromium, sandbox) as browser:
            page = await browser.new_page()
            page.set_default_timeout(_STEP_MS)
            yield await _check_drawing(page, chromium)
            name = _AUDIO
            yield _judge_audio(float(await page.evaluate(_CALL)))
    except Error as error:
        yield Finding(name, False, _first_line(error), _remedy(error, sandbox))


@asynccontextmanager
async def _open(chromium: Chromium, sandbox: bool) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.path, chromium_sandbox=sandbox, args=[*_ARGUMENTS], timeout=_STEP_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


async def _check_drawing(page: Page, chromium: Chromium) -> Finding:
    """A page that is drawn looks different when its colour changes."""
    pictures = set()
    for colour in ("red", "blue"):
        await page.set_content(f"<body style='background: {colour}'>")
        pictures.add(await page.screenshot())
    if len(pictures) < 2:
        return Finding(_BROWSER, False, f"{chromium.path} starts and draws nothing", "Install another Chromium.")
    return Finding(_BROWSER, True, f"{chromium.version}, {chromium.source}: {chromium.path}")


def _judge_audio(energy: float) -> Finding:
    if energy >= _LEAST_ENERGY:
        return Finding(_AUDIO, True, f"a call's audio reaches the page (level {energy:.2f})")
    return Finding(
        _AUDIO,
        False,
        "no audio arrives through a call within the page",
        "Let processes of this machine reach each other over UDP (a container needs a network for that).",
    )


def _remedy(error: Error, sandbox: bool) -> str:
    if sandbox and "sandbox" in error.message.lower():
        return "Allow user namespaces to the user who runs Usher, or set USHER_BOTS__SANDBOX=false."
    return "Run `make setup`; if that does not help, set USHER_BOTS__CHROMIUM to another Chromium or Chrome."


def _first_line(error: Error) -> str:
    return next((line.strip() for line in error.message.splitlines() if line.strip()), type(error).__name__)
