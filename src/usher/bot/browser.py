"""A Chromium of the bot's own, with the capture script in every page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from playwright.async_api import Error as PlaywrightError

log = structlog.get_logger(__name__)

_LAUNCH_S = 60.0
_CLOSE_S = 5.0
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


@dataclass(frozen=True, slots=True)
class OpenBrowser:
    """A browser with one page; `broken` is set when the page or the browser dies."""

    page: Page
    broken: asyncio.Event


@asynccontextmanager
async def open_browser(
    chromium: Path | None, *, headless: bool, sandbox: bool, script: str, plain_origin: str | None = None
) -> AsyncIterator[OpenBrowser]:
    """Start a browser whose pages run `script` before their own; close it in the end, whatever state it is in.

    Args:
        chromium: Path of the browser; None for the first one found.
        headless: Without a display.
        sandbox: Whether the browser's own sandbox is on.
        script: JavaScript.
        plain_origin: An origin without TLS that is trusted like one with it: pages hear no sound otherwise.
    """
    trusted = () if plain_origin is None else (f"--unsafely-treat-insecure-origin-as-secure={plain_origin}",)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            headless=headless,
            chromium_sandbox=sandbox,
            args=[*_ARGUMENTS, *trusted],
            timeout=_LAUNCH_S * 1000,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            yield await _prepare(browser, script)
        finally:
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await browser.close()


async def _prepare(browser: Browser, script: str) -> OpenBrowser:
    broken = asyncio.Event()
    # Meeting pages forbid connections that they did not ask for; the capture script has to reach the bot all the same.
    context = await browser.new_context(bypass_csp=True, locale="en-US", viewport={"width": 1280, "height": 720})
    # To pages without this permission WebRTC shows the default route's interface only, and offline there is none.
    await context.grant_permissions(["microphone"])
    await _allow_loopback(context)
    await context.add_init_script(script)
    page = await context.new_page()
    page.on("crash", lambda _: broken.set())
    page.on("close", lambda _: broken.set())
    browser.on("disconnected", lambda _: broken.set())
    return OpenBrowser(page, broken)


async def _allow_loopback(context: BrowserContext) -> None:
    """Let public pages reach the bot's own loopback port; older browsers neither know nor need the permission."""
    try:
        await context.grant_permissions(["local-network-access"])
    except PlaywrightError:
        log.info("local_network_permission_unknown")
