"""Installation commands of other programs: run with a time limit, their words kept for the error message."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from usher.adapters.embedded.identity import Identity, guarded

Progress = Callable[[str], None]

_KILL = 9
_TAIL_LINES = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        ok: Whether it succeeded.
        said: The end of what it printed, on one line.
        output: All that it printed.
    """

    ok: bool
    said: str
    output: str


async def run_command(*command: str, timeout_s: float) -> Outcome:
    """Run a command to its end; it is killed when its time is up or this process dies."""
    process = await asyncio.create_subprocess_exec(
        *guarded(Identity("same", (-1, -1)), _KILL, ("/usr/bin/env", *command)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError:
        return Outcome(False, f"not done within {timeout_s:.0f} s", "")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    return Outcome(process.returncode == 0, " | ".join(text.strip().splitlines()[-_TAIL_LINES:]), text)


def is_debian_root() -> bool:
    """Say whether this process may install Debian packages."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()


async def install_debian_packages(*packages: str, timeout_s: float = 900.0) -> Outcome:
    """Install Debian packages, with the package lists brought up to date first."""
    apt = ("DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Acquire::Retries=2")
    updated = await run_command(*apt, "update", timeout_s=timeout_s)
    installed = await run_command(*apt, "install", "-y", "--no-install-recommends", *packages, timeout_s=timeout_s)
    return installed if installed.ok or updated.ok else updated
