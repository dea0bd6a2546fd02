"""The fleet's process: `python -m bench.fleet SOCKET [--shared]`. It ends when its standard input does."""

import argparse
import asyncio
import base64
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis

from bench.fleet.bot import Crew
from bench.fleet.messages import LONGEST_LINE_BYTES, from_observation
from bench.fleet.switchboard import Switchboard
from usher.adapters.memory.launcher import Machine, MemoryLauncher
from usher.bootstrap.addresses import required
from usher.bootstrap.http import lift_file_limit
from usher.domain.errors import LaunchRejected
from usher.domain.reconcile import Running, WorkloadName, parse_workload_name
from usher.ports import WorkloadSpec
from usher.settings import Settings
from usher.telemetry import configure_logging

_REDIS_S = 10.0
_REDIS_CONNECTIONS = 32


class Fleet:
    """Simulated bots, and those who ask about them."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._machine = Machine(crew.live)
        self._launcher = MemoryLauncher(self._machine)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one manager's questions until it is gone."""
        while line := await reader.readline():
            task = asyncio.create_task(self._answer(json.loads(line), writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        writer.close()

    async def tell(self, order: dict[str, Any]) -> object:
        """Answer one of the benchmark's own questions."""
        diaries = self._crew.diaries
        match order["do"]:
            case "places":
                return Counter(one.place for one in diaries.written.values())
            case "kill":
                self._machine.crash(_name(order["name"]))
                return None
            case "forget":
                return len(diaries.forget().written)
            case "commands":
                return {one.connection_id: one.executed_counts() for one in diaries.written.values()}
            case "running":
                return {"running": [str(name) for name in self._machine.running()]}
            case _:
                running = [str(name) for name in self._machine.running()]
                pages = [one.page() for one in diaries.written.values()]
                return {"bots": pages, "running": running, "doubled": diaries.doubled}

    def kill_all(self) -> None:
        """End every bot at once: nobody is told."""
        for name in self._machine.running():
            self._machine.crash(name)

    async def _answer(self, question: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        do: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] = getattr(self, f"_{question['do']}")
        said = await do(question)
        writer.write(json.dumps({"id": question["id"], **said}).encode() + b"\n")

    async def _start(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            await self._launcher.start(WorkloadSpec(_name(question["name"]), question["environment"]))
        except LaunchRejected as error:
            return {"rejected": str(error)}
        return {}

    async def _stop(self, question: dict[str, Any]) -> dict[str, Any]:
        name = _name(question["name"])
        return from_observation(await self._launcher.stop(name, grace_s=question["grace_s"]))

    async def _observe(self, question: dict[str, Any]) -> dict[str, Any]:
        return from_observation(await self._launcher.observe(_name(question["name"])))

    async def _list(self, _question: dict[str, Any]) -> dict[str, Any]:
        listed = (await self._launcher.list() or {}).items()
        running = [str(name) for name, seen in listed if isinstance(seen, Running)]
        others = {str(name): from_observation(seen) for name, seen in listed if not isinstance(seen, Running)}
        return {"running": running, "others": others}

    async def _remove(self, question: dict[str, Any]) -> dict[str, Any]:
        await self._launcher.remove(_name(question["name"]))
        return {}

    async def _last_words(self, question: dict[str, Any]) -> dict[str, Any]:
        words = await self._launcher.last_words(_name(question["name"]))
        return {"words": base64.b64encode(words).decode()}


def _name(text: str) -> WorkloadName:
    name = parse_workload_name(text)
    if name is None:
        raise ValueError(f"{text} names no workload")
    return name


async def _run(path: Path, *, shared: bool) -> None:
    configure_logging("error", "json")
    switchboard = Switchboard(_shared_client()) if shared else None
    fleet = Fleet(Crew(switchboard))
    hearing = None if switchboard is None else asyncio.create_task(switchboard.run())
    server = await asyncio.start_unix_server(fleet.serve, path, limit=LONGEST_LINE_BYTES)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("{}", flush=True)
    while line := await reader.readline():
        print(json.dumps(await fleet.tell(json.loads(line))), flush=True)
    server.close()
    fleet.kill_all()
    if hearing is not None:
        hearing.cancel()


def _shared_client() -> Redis:
    redis_url = required(Settings().redis.url, "USHER_REDIS__URL")
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            redis_url, max_connections=_REDIS_CONNECTIONS, timeout=_REDIS_S, socket_timeout=_REDIS_S
        )
    )


def main() -> None:
    """Run a fleet until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet")
    parser.add_argument("path", type=Path)
    parser.add_argument("--shared", action="store_true", help="few connections to Redis for all, not one for each bot")
    arguments = parser.parse_args()
    lift_file_limit()
    uvloop.run(_run(arguments.path, shared=arguments.shared))


if __name__ == "__main__":
    main()
