"""PostgreSQL stops at once, throws its clients out, or has no room left."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.support.chaos_blows import TERMINATE, stop_at_once
from tests.support.chaos_load import send_all, stop_all, until_in
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World

from usher.adapters.embedded.postgres import EmbeddedPostgres

_DISK_MB = 256
_BLOCK_BYTES = 1 << 16


@story
async def test_postgres_is_stopped_at_once_and_restarted(stage: Stage) -> None:
    async with stage.postgres() as server, stage.world(dsn=server.dsn) as world:
        await world.manager()
        await world.manager()
        meetings = await send_all(world)
        async with world.outage():
            await stop_at_once(server)
            await asyncio.sleep(3.0)
            await server.start()
        await until_in(world, meetings)
        await stop_all(world)


@pytest.mark.long
@story
async def test_postgres_is_stopped_at_once_again_and_again_while_requests_come_in(stage: Stage) -> None:
    async with stage.postgres() as server, stage.world(dsn=server.dsn) as world:
        await world.manager()
        await world.manager()
        sending = asyncio.create_task(send_all(world))
        for _ in range(3):
            await asyncio.sleep(1.0)
            async with world.outage():
                await stop_at_once(server)
                await server.start()
        await until_in(world, await sending)
        await stop_all(world)


@story
async def test_all_backends_are_terminated_again_and_again(stage: Stage) -> None:
    async with stage.postgres() as server, stage.world(dsn=server.dsn) as world:
        await world.manager()
        await world.manager()
        terminating = asyncio.create_task(_terminate_backends(world, times=25))
        await until_in(world, await send_all(world))
        assert await terminating > 0
        await stop_all(world)


async def _terminate_backends(world: World, *, times: int) -> int:
    """Throw every client out, the test's own store included, and return how many that were."""
    count = 0
    for _ in range(times):
        await asyncio.sleep(0.3)
        count += int((await world.rows(TERMINATE))[0][0])
    return count


@story
async def test_the_disk_of_postgres_is_full_for_a_while(stage: Stage) -> None:
    async with (
        _small_disk(stage.directory / "disk") as disk,
        stage.postgres(disk) as server,
        stage.world(dsn=server.dsn) as world,
    ):
        await world.manager()
        await until_in(world, await send_all(world, stay_s=15.0))
        async with world.outage():
            filling = disk / "filling"
            for _ in range(20):
                await asyncio.to_thread(_fill, filling)
                await asyncio.sleep(0.5)
            filling.unlink()
            died = await _restart_if_dead(server)
        assert died or "DiskFullError" in world.managers[0].log.read_text()
        await stop_all(world)


@asynccontextmanager
async def _small_disk(directory: Path) -> AsyncIterator[Path]:
    """Mount a file system that has little room."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root: the full disk is NOT tested here")
    await asyncio.to_thread(directory.mkdir)
    mounting = await asyncio.to_thread(_run, "mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(directory))
    if mounting:
        pytest.skip(f"no file system can be mounted: the full disk is NOT tested here ({mounting})")
    try:
        yield directory
    finally:
        await asyncio.to_thread(_run, "umount", "--lazy", str(directory))


def _run(*command: str) -> str:
    """Run a command and return what it complains of."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30.0, check=False)  # noqa: S603 - constants
    return done.stderr if done.returncode else ""


def _fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * _BLOCK_BYTES):
            pass


async def _restart_if_dead(server: EmbeddedPostgres) -> bool:
    """Do what an operator does: PostgreSQL gives up where it cannot write its log ahead. Returns whether it had."""
    try:
        async with asyncio.timeout(1.0):
            await server.wait_dead()
    except TimeoutError:
        return False
    await server.stop()
    await server.start()
    return True
