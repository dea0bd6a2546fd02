"""Managers as a test sees them: processes to signal, and to wait for."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from tests.support.chaos_nursery import Birth
from tests.support.eventually import eventually

_START_S = 60.0
_END_S = 60.0
_PING_S = 2.0


class Manager:
    """A running manager.

    Attributes:
        pid: Its process.
        port: Where its API listens on 127.0.0.1.
        log: What it prints.
        code: Exit code, negative for a signal; None while it runs.
    """

    def __init__(self, name: str, pid: int, port: int, log: Path) -> None:
        self.name, self.pid, self.port, self.log = name, pid, port, log
        self.code: int | None = None

    def kill(self) -> None:
        """End it without a warning."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it as it stands, as a machine that is suspended does."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end, as an upgrade does."""
        self._signal(signal.SIGTERM)

    async def died(self, *, timeout_s: float = _END_S) -> int:
        """Wait for its end and return the exit code, negative for a signal."""
        await eventually(lambda: self.code is not None, timeout_s=timeout_s)
        assert self.code is not None
        return self.code

    @property
    def is_paused(self) -> bool:
        """Whether it is stopped as it stands. Source: proc_pid_stat(5), field 3."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    async def is_up(self) -> None:
        """Wait until it serves; one that has died meanwhile is not waited for."""
        async with httpx.AsyncClient(timeout=_PING_S, trust_env=False) as client, asyncio.timeout(_START_S):
            while self.code is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/health")).is_success:
                        return
                await asyncio.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@asynccontextmanager
async def born(nursery: Path, name: str, birth: Birth, port: int) -> AsyncIterator[Manager]:
    """Run a manager until left; then it is killed if it still runs.

    Args:
        nursery: Address of the nursery.
        name: For the story.
        birth: What it is born with.
        port: The port that its environment says.
    """
    reader, writer = await asyncio.open_unix_connection(str(nursery))
    writer.write(birth.to_line())
    await writer.drain()
    async with asyncio.timeout(_START_S):
        manager = Manager(name, int(json.loads(await reader.readline())["pid"]), port, Path(birth.log))
    watching = asyncio.create_task(_watch(reader, manager))
    try:
        yield manager
    finally:
        manager.kill()
        await asyncio.wait({watching}, timeout=_END_S)
        writer.close()


async def _watch(reader: asyncio.StreamReader, manager: Manager) -> None:
    line = await reader.readline()
    manager.code = int(json.loads(line)["code"]) if line else -signal.SIGKILL
