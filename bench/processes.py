"""Processes of a benchmark: servers and the load generator. They end with the process that started them."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

_START_S = 60.0
_END_S = 15.0
_LONGEST_LINE_BYTES = 64 * 1024 * 1024


class Worker:
    """A process that talks in lines of JSON; it ends when its standard input is closed.

    The kernel closes that when its parent dies, however it dies, so nothing is left behind.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the process has used so far, in user and kernel mode."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    @property
    def rss_bytes(self) -> int:
        """Memory of the process that is resident."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ask(self, message: Mapping[str, object], timeout_s: float) -> Any:  # noqa: ANN401 - the same
        """Send it a line and wait for one from it; raises as `hear` does."""
        await self.say(message)
        return await self.hear(timeout_s)

    async def say(self, message: Mapping[str, object]) -> None:
        """Send it a line."""
        if self._process.stdin is None:
            raise RuntimeError("started without a pipe to its input")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self, timeout_s: float) -> Any:  # noqa: ANN401 - whatever JSON the worker sends
        """Wait for a line from it.

        Raises:
            RuntimeError: It ended; the message carries the end of what it printed.
            TimeoutError: It says nothing.
        """
        if self._process.stdout is None:
            raise RuntimeError("started without a pipe from its output")
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            tail = self._log.read_text(errors="replace").splitlines()[-20:]
            raise RuntimeError(f"a process of the benchmark ended ({self._process.returncode}):\n" + "\n".join(tail))
        return json.loads(line)

    async def end(self) -> None:
        """End it: in an orderly way, and if that takes too long by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def worker(module: str, *arguments: str, environment: Mapping[str, str], log: Path) -> AsyncIterator[Worker]:
    """Run `python -m <module>` until left; it has to say a line when it is ready.

    Args:
        module: The module.
        arguments: Its arguments.
        environment: The whole environment of the process.
        log: Where its standard error goes.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LONGEST_LINE_BYTES,
            start_new_session=True,
        )
    running = Worker(process, log)
    try:
        yield running
    finally:
        await running.end()


class Server:
    """A running server of a benchmark.

    Attributes:
        port: TCP port on 127.0.0.1.
    """

    def __init__(self, process: Worker, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the server's process has used so far."""
        return self._process.cpu_s

    @property
    def rss_bytes(self) -> int:
        """Memory of the server's process that is resident."""
        return self._process.rss_bytes

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        self._process.signal(number)


@asynccontextmanager
async def server(
    name: str, *options: str, environment: Mapping[str, str], log: Path, profile: Path | None = None
) -> AsyncIterator[Server]:
    """Run one of the servers of `bench.serve` until left.

    Args:
        name: Which.
        options: Of its command line.
        environment: The whole environment of its process.
        log: Where its standard error goes.
        profile: Run it under cProfile, and leave what that found here.
    """
    arguments: Sequence[str] = (name, *options, *(() if profile is None else ("--profile", str(profile))))
    async with worker("bench.serve", *arguments, environment=environment, log=log) as process:
        ready = await process.hear(_START_S)
        yield Server(process, int(ready["port"]))
