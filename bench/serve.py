"""A server of a benchmark, in a process of its own: `python -m bench.serve NAME [--port PORT] [--fleet SOCKET]`.

Usher and the floors run alike: the product's own HTTP server (uvicorn with httptools, one worker) on uvloop. The port
is told on standard output as a line of JSON; the end of standard input is the signal to end.
"""

import argparse
import asyncio
import cProfile
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from socket import socket

import uvloop
from fastapi import FastAPI

from bench.fleet.launcher import FleetLauncher
from bench.floors import callback, collect, create
from usher.bootstrap import system
from usher.bootstrap.addresses import required
from usher.bootstrap.http import listen, serve_http
from usher.settings import Settings
from usher.telemetry import configure_logging

Serve = Callable[[socket], Coroutine[object, object, None]]
Opened = AbstractAsyncContextManager[Serve]


@asynccontextmanager
async def _open_api(settings: Settings, _fleet: Path | None) -> AsyncIterator[Serve]:
    """The manager as `usher serve --role api` has it, with its log, and without the other roles."""
    configure_logging(settings.log.level, settings.log.format)
    async with system.open_system(settings) as parts:
        yield partial(serve_http, parts.app)


@asynccontextmanager
async def _open_manager(settings: Settings, fleet: Path | None) -> AsyncIterator[Serve]:
    """The manager as `usher serve` has it: all roles; with a fleet, its bots are simulated."""
    configure_logging(settings.log.level, settings.log.format)
    if fleet is not None:
        # Everything but what runs the bots is put together by the product's own code.
        system.open_launcher = partial(_open_fleet, fleet)  # type: ignore[attr-defined]  # the one seam
    async with system.open_system(settings) as parts:
        yield parts.run


@asynccontextmanager
async def _open_collector(settings: Settings, _fleet: Path | None) -> AsyncIterator[Serve]:
    """The manager as `usher serve --role collect` has it."""
    configure_logging(settings.log.level, settings.log.format)
    async with system.open_system(settings, [system.Role.COLLECT]) as parts:

        async def run(_listener: socket) -> None:
            await parts.run(None)

        yield run


@asynccontextmanager
async def _open_floor_collector(settings: Settings, _fleet: Path | None) -> AsyncIterator[Serve]:
    dsn = required(settings.database.dsn, "USHER_DATABASE__DSN")
    redis_url = required(settings.redis.url, "USHER_REDIS__URL")
    async with collect.open_collector(dsn, redis_url, settings.database.pool_size) as loop:
        yield loop


async def _open_fleet(fleet: Path, *_: object) -> FleetLauncher:
    return FleetLauncher(fleet)


def _floor(
    open_floor: Callable[[str, int], AbstractAsyncContextManager[FastAPI]],
) -> Callable[[Settings, Path | None], Opened]:
    @asynccontextmanager
    async def opened(settings: Settings, _fleet: Path | None) -> AsyncIterator[Serve]:
        dsn = required(settings.database.dsn, "USHER_DATABASE__DSN")
        async with open_floor(dsn, settings.database.pool_size) as app:
            yield partial(serve_http, app)

    return opened


_SERVERS: dict[str, Callable[[Settings, Path | None], Opened]] = {
    "usher": _open_api,
    "manager": _open_manager,
    "collector": _open_collector,
    "floor-collector": _open_floor_collector,
    "floor-create": _floor(create.open_floor),
    "floor-callback": _floor(callback.open_floor),
}


async def _serve(name: str, port: int, fleet: Path | None) -> None:
    with listen("127.0.0.1", port) as listener:
        async with _SERVERS[name](Settings(), fleet) as serve:
            serving = asyncio.create_task(serve(listener))
            print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
            await asyncio.wait({serving, asyncio.create_task(end_of_input())}, return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            await asyncio.wait({serving})


async def end_of_input() -> None:
    """Return when standard input is closed."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.read()
    finally:
        transport.close()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve")
    parser.add_argument("name", choices=sorted(_SERVERS))
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--fleet", type=Path, help="socket of the fleet whose bots a manager manages")
    parser.add_argument("--profile", type=Path)
    arguments = parser.parse_args()
    serving = _serve(arguments.name, arguments.port, arguments.fleet)
    if arguments.profile is None:
        uvloop.run(serving)
        return
    profiler = cProfile.Profile()
    profiler.runcall(uvloop.run, serving)
    profiler.dump_stats(arguments.profile)


if __name__ == "__main__":
    main()
