"""The load generator: `python -m bench.load`, a process of its own that carries out one job after another.

A job is a line of JSON on standard input: a port, a number of connections, and a file with the requests.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from bench.blocks import Block
from bench.processes import Server, Worker, worker
from bench.wire import run_requests

_START_S = 30.0
_JOB_S = 300.0


class Load:
    """Sends requests from a process of its own."""

    def __init__(self, process: Worker, directory: Path) -> None:
        self._process = process
        self._directory = directory

    async def run(self, target: Server, requests: Sequence[str], *, connections: int) -> Block:
        """Send requests, in their order, over connections that each wait for one answer at a time.

        Raises:
            RuntimeError: The server hung up, or the load generator ended.
            TimeoutError: It takes minutes.
        """
        with tempfile.NamedTemporaryFile("w", dir=self._directory, suffix=".requests") as file:
            json.dump(requests, file)
            file.flush()
            cpu_before_s = target.cpu_s
            await self._process.say({"port": target.port, "connections": connections, "requests": file.name})
            said = await self._process.hear(_JOB_S)
            cpu_s = target.cpu_s - cpu_before_s
        return Block(
            latencies_s=tuple(said["latencies_s"]),
            elapsed_s=said["elapsed_s"],
            statuses={int(status): count for status, count in said["statuses"].items()},
            server_cpu_s=cpu_s,
            client_cpu_s=said["cpu_s"],
        )


@asynccontextmanager
async def open_load(*, environment: Mapping[str, str], directory: Path) -> AsyncIterator[Load]:
    """Run a load generator until left."""
    log = directory / "load.log"
    async with worker("bench.load", environment=environment, log=log) as process:
        await process.hear(_START_S)
        yield Load(process, directory)


async def _work() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("{}", flush=True)
    while line := await reader.readline():
        job = json.loads(line)
        requests = json.loads(Path(job["requests"]).read_text())  # noqa: ASYNC240 - nothing else is to be done meanwhile
        run, elapsed_s, cpu_s = await run_requests(job["port"], requests, job["connections"])
        answer = {
            "latencies_s": run.latencies_s,
            "elapsed_s": elapsed_s,
            "statuses": run.statuses,
            "cpu_s": cpu_s,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(_work())
