"""A server of a benchmark, in a process of its own: `python -m bench.serve NAME [--profile FILE]`.

Usher and the floors run alike: the product's own HTTP server (uvicorn with httptools, one worker) on uvloop. The port
is told on standard output as a line of JSON; the end of standard input is the signal to end.
"""

import argparse
import asyncio
import cProfile
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvloop
from fastapi import FastAPI

from bench.floors import callback, create
from usher.bootstrap.addresses import required
from usher.bootstrap.http import listen, serve_http
from usher.bootstrap.system import open_system
from usher.settings import Settings
from usher.telemetry import configure_logging

Opened = AbstractAsyncContextManager[FastAPI]


@asynccontextmanager
async def _open_usher(settings: Settings) -> AsyncIterator[FastAPI]:
    """The manager as `usher serve --role api` has it, with its log, and without the other roles."""
    configure_logging(settings.log.level, settings.log.format)
    async with open_system(settings) as system:
        yield system.app


def _floor(open_floor: Callable[[str, int], Opened]) -> Callable[[Settings], Opened]:
    def opened(settings: Settings) -> Opened:
        return open_floor(required(settings.database.dsn, "USHER_DATABASE__DSN"), settings.database.pool_size)

    return opened


_SERVERS: dict[str, Callable[[Settings], Opened]] = {
    "usher": _open_usher,
    "floor-create": _floor(create.open_floor),
    "floor-callback": _floor(callback.open_floor),
}


async def _serve(name: str) -> None:
    with listen("127.0.0.1", 0) as listener:
        async with _SERVERS[name](Settings()) as app:
            serving = asyncio.create_task(serve_http(app, listener))
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
    parser.add_argument("--profile", type=Path)
    arguments = parser.parse_args()
    if arguments.profile is None:
        uvloop.run(_serve(arguments.name))
        return
    profiler = cProfile.Profile()
    profiler.runcall(uvloop.run, _serve(arguments.name))
    profiler.dump_stats(arguments.profile)


if __name__ == "__main__":
    main()
