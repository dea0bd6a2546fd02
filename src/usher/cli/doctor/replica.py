"""The replica of a platform from the source tree, for trying out the bot on this machine without a meeting."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import usher
from usher.domain.errors import Invalid
from usher.domain.meeting import Platform

_START_S = 60.0
_END_S = 20.0
_TREE = Path(usher.__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that is served: where to join, and the browser that finds it there."""

    url: str
    browser: Path


@asynccontextmanager
async def open_replica(platform: Platform) -> AsyncIterator[Replica]:
    """Serve the replica of a platform.

    Raises:
        Invalid: `no_replica`: this is no source tree, it has none of this platform, or it does not come up.
    """
    if not (_TREE / "tests" / "replicas" / platform).is_dir():
        raise Invalid("no_replica", f"There is no replica of {platform} here. Give --url with a meeting of yours.")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.replicas", platform),
        cwd=_TREE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield await _told(process)
    finally:
        await _end(process)


async def _told(process: asyncio.subprocess.Process) -> Replica:
    assert process.stdout is not None  # noqa: S101 - it was asked for above
    try:
        async with asyncio.timeout(_START_S):
            said = json.loads(await process.stdout.readline())
        return Replica(said["url"], Path(said["browser"]))
    except (TimeoutError, ValueError):
        raise Invalid("no_replica", "The replica does not come up. `make test` says more.") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
