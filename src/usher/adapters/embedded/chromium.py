"""The browser that bots run in: found, or installed."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from usher.domain.errors import Invalid, Unavailable
from usher.protocol.bot import BROWSERS

_VERSION_S = 30.0
_DRY_RUN_S = 30.0
_EXECUTABLES = ("chrome-linux*/chrome", "chrome-mac*/*.app/Contents/MacOS/*")


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser that starts.

    Attributes:
        path: Its executable.
        version: As it names itself, like "Chromium 156.0.8078.79".
        source: How it was found: "configured", "on PATH" or "Playwright's".
    """

    path: Path
    version: str
    source: str


def find_chromium(configured: Path | None = None) -> Chromium:
    """Return the browser to use: the configured one, else one on PATH, else Playwright's own.

    Args:
        configured: The user's choice; nothing else is looked at when there is one.

    Raises:
        Invalid: The configured one does not start.
        Unavailable: There is none; the message says how to get one.
    """
    if configured is not None:
        found = _try(configured, "configured")
        if found is None:
            raise Invalid(
                "chromium_does_not_start",
                f"{configured} is not a browser that starts: `{configured} --version` fails. "
                "Correct USHER_BOTS__CHROMIUM, or unset it to use the first browser found.",
            )
        return found
    for path, source in _places():
        found = _try(path, source)
        if found is not None:
            return found
    raise Unavailable("No Chromium or Chrome is installed. Run `make setup`, or set USHER_BOTS__CHROMIUM to its path.")


async def find_chromium_or_none(configured: Path | None) -> Chromium | None:
    """Return what `find_chromium` finds, or None; the event loop goes on meanwhile.

    Raises:
        Invalid: The configured one does not start.
    """
    try:
        return await asyncio.to_thread(find_chromium, configured)
    except Unavailable:
        return None


def _places() -> Iterator[tuple[Path, str]]:
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            yield Path(path), "on PATH"
    for folder in _playwright_folders():
        for pattern in _EXECUTABLES:
            yield from ((path, "Playwright's") for path in sorted(folder.glob(pattern)))


def _playwright_folders() -> list[Path]:
    """Ask Playwright where it would put its Chromium; it alone knows its revision and its settings."""
    output = _output((sys.executable, "-m", "playwright", "install", "--dry-run", "chromium"), _DRY_RUN_S)
    folders = re.findall(r"Install location:\s+(\S.*)", output or "")
    return [Path(folder.strip()) for folder in folders if re.fullmatch(r"chromium-\d+", Path(folder.strip()).name)]


def _try(path: Path, source: str) -> Chromium | None:
    output = _output((str(path), "--version"), _VERSION_S)
    version = re.search(r"^.*(?:Chrom|Edge).*\d+\.\d+.*$", output or "", re.MULTILINE)
    return Chromium(path.absolute(), version[0].strip(), source) if version else None


def _output(command: tuple[str, ...], timeout_s: float) -> str | None:
    try:
        result = subprocess.run(  # noqa: S603 - a browser that the operator chose, or our own interpreter
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None
