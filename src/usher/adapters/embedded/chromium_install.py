"""Gets a browser onto a machine that has none."""

import sys
from pathlib import Path

from usher.adapters.embedded.chromium import Chromium, find_chromium_or_none
from usher.adapters.embedded.commands import (
    Outcome,
    Progress,
    install_debian_packages,
    is_debian_root,
    run_command,
)
from usher.domain.errors import Unavailable

_DOWNLOAD_S = 900.0
_NODE_S = 30.0
# The download server is often out of reach behind a firewall: find that out soon.
_CONNECT_TIMEOUT = "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT=10000"


async def install_chromium(progress: Progress, configured: Path | None = None) -> Chromium:
    """Return a browser that starts, installing one if there is none. Idempotent.

    Args:
        progress: Told each step in a few words.
        configured: The user's own browser, if they chose one.

    Raises:
        Invalid: The configured browser does not start.
        Unavailable: None could be installed; the message says which command to run.
    """
    found = await find_chromium_or_none(configured)
    if found is None:
        found = await _install(progress)
    progress(f"{found.version} ({found.source}: {found.path})")
    return found


async def _install(progress: Progress) -> Chromium:
    await _make_playwright_start(progress)
    progress("downloading Playwright's Chromium (180 MB)")
    download = await _playwright("install", "chromium")
    if download.ok:
        found = await find_chromium_or_none(None) or await _add_libraries(progress)
        if found is not None:
            return found
    failures = [f"Playwright: {download.said or 'its Chromium does not start'}"]
    if is_debian_root():
        progress("Playwright's download did not work; installing Debian's Chromium (300 MB)")
        packaged = await install_debian_packages("chromium")
        found = await find_chromium_or_none(None)
        if found is not None:
            return found
        failures.append(f"apt-get: {packaged.said or 'its Chromium does not start'}")
    raise Unavailable(_advice(download.ok, failures))


async def _make_playwright_start(progress: Progress) -> None:
    """Playwright brings a Node.js that is linked with libatomic, which small Debian images lack."""
    version = await run_command(sys.executable, "-m", "playwright", "--version", timeout_s=_NODE_S)
    if "libatomic" in version.output and is_debian_root():
        progress("installing libatomic1, which Playwright needs")
        await install_debian_packages("libatomic1")


async def _add_libraries(progress: Progress) -> Chromium | None:
    if not is_debian_root():
        return None
    progress("installing the libraries that Chromium needs")
    await _playwright("install-deps", "chromium")
    return await find_chromium_or_none(None)


async def _playwright(*arguments: str) -> Outcome:
    return await run_command(_CONNECT_TIMEOUT, sys.executable, "-m", "playwright", *arguments, timeout_s=_DOWNLOAD_S)


def _advice(is_downloaded: bool, failures: list[str]) -> str:
    python = sys.executable
    lacking_libraries = f"`sudo {python} -m playwright install-deps chromium`, and then `make setup` again"
    nothing = "`sudo apt-get install -y chromium` (Debian, Ubuntu; elsewhere any Chromium or Chrome on PATH)"
    remedy = lacking_libraries if is_downloaded else nothing
    return f"No browser could be installed ({'; '.join(failures)}). Run {remedy}, or set USHER_BOTS__CHROMIUM to one."
