"""A Chromium of the bot's own, with the capture script in every page."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

import structlog
from playwright.async_api import Browser, BrowserContext, Page, ProxySettings, StorageState, async_playwright
from playwright.async_api import Error as PlaywrightError

from usher.domain.lifecycle import Reason

log = structlog.get_logger(__name__)

_LAUNCH_S = 60.0
_CLOSE_S = 5.0
_PULSE_EVERY_S = 2.0
_PULSE_S = 4.0
_FROZEN_S = 12.0
_DISABLED = ("WebRtcHideLocalIpsWithMdns", "Translate", "MediaRouter", "OptimizationHints", "HttpsUpgrades")
_ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    # Chromium honours only the last --disable-features, so this one list replaces Playwright's.
    f"--disable-features={','.join(_DISABLED)}",
    # Without a network there is only the loopback interface, which WebRTC otherwise leaves out.
    "--allow-loopback-in-peer-connection",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
)


class Health:
    """Whether the page and its browser live.

    Attributes:
        broken: Set when they do not any more, for good.
        reason: Why.
    """

    def __init__(self) -> None:
        self.broken = asyncio.Event()
        self.reason = Reason.PAGE_CRASHED

    def fail(self, reason: Reason) -> None:
        """Take note of the end; the first reason stands."""
        if not self.broken.is_set():
            self.reason = reason
            self.broken.set()

    async def watch(self, page: Page) -> None:
        """Feel the pulse of the page until cancelled: one that no longer answers is frozen."""
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        while True:
            if await _answers(page):
                answered_at = loop.time()
            elif loop.time() - answered_at >= _FROZEN_S:
                self.fail(Reason.PAGE_FROZEN)
            await asyncio.sleep(_PULSE_EVERY_S)


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a browser is given.

    Attributes:
        chromium: Path of the browser; None for the first one found.
        headless: Without a display.
        sandbox: Whether the browser's own sandbox is on.
        plain_origin: An origin without TLS that is trusted like one with it: pages hear no sound otherwise.
        proxy: URL of a proxy, with user and password where it wants them.
        profile: Cookies and storage of somebody who is signed in, as Playwright's storage state in JSON.
    """

    chromium: Path | None
    headless: bool
    sandbox: bool
    plain_origin: str | None = None
    proxy: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class OpenBrowser:
    """A browser with one page."""

    page: Page
    health: Health


@asynccontextmanager
async def open_browser(outfit: Outfit, *, script: str) -> AsyncIterator[OpenBrowser]:
    """Start a browser whose pages run `script` before their own; close it in the end, whatever state it is in."""
    origin = outfit.plain_origin
    trusted = () if origin is None else (f"--unsafely-treat-insecure-origin-as-secure={origin}",)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=outfit.chromium,
            headless=outfit.headless,
            chromium_sandbox=outfit.sandbox,
            args=[*_ARGUMENTS, *trusted],
            proxy=_proxy(outfit.proxy),
            timeout=_LAUNCH_S * 1000,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        health = Health()
        watching: asyncio.Task[None] | None = None
        try:
            page = await _prepare(browser, health, script, outfit.profile)
            watching = asyncio.create_task(health.watch(page), name="pulse")
            yield OpenBrowser(page, health)
        finally:
            if watching is not None:
                watching.cancel()
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await browser.close()


async def _prepare(browser: Browser, health: Health, script: str, profile: str | None) -> Page:
    # Meeting pages forbid connections that they did not ask for; the capture script has to reach the bot all the same.
    context = await browser.new_context(
        bypass_csp=True,
        locale="en-US",
        viewport={"width": 1280, "height": 720},
        storage_state=cast("StorageState", json.loads(profile)) if profile else None,
    )
    # To pages without this permission WebRTC shows the default route's interface only, and offline there is none.
    await context.grant_permissions(["microphone"])
    await _allow_loopback(context)
    await context.add_init_script(script)
    page = await context.new_page()
    page.on("crash", lambda _: health.fail(Reason.PAGE_CRASHED))
    page.on("close", lambda _: health.fail(Reason.PAGE_CRASHED))
    browser.on("disconnected", lambda _: health.fail(Reason.PAGE_CRASHED))
    return page


async def _answers(page: Page) -> bool:
    try:
        async with asyncio.timeout(_PULSE_S):
            await page.evaluate("0")
    except TimeoutError:
        return False
    except PlaywrightError:
        # A page that is on its way to another address says so at once: it is alive. The dead are told of by events.
        return True
    return True


def _proxy(url: str | None) -> ProxySettings | None:
    """Return a proxy in the browser's form: user and password apart from the address."""
    if url is None:
        return None
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    settings = ProxySettings(server=server)
    if parts.username:
        settings["username"] = unquote(parts.username)
        settings["password"] = unquote(parts.password or "")
    return settings


async def _allow_loopback(context: BrowserContext) -> None:
    """Let public pages reach the bot's own loopback port; older browsers neither know nor need the permission."""
    try:
        await context.grant_permissions(["local-network-access"])
    except PlaywrightError:
        log.info("local_network_permission_unknown")
