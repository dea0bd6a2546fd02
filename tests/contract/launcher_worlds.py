"""A launcher, and all of its world that the contract has to look at from outside."""

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.adapters.launchers.process.table import Process, find_marked
from usher.adapters.memory.launcher import Machine, MemoryLauncher, Workload
from usher.domain.reconcile import WorkloadName
from usher.ports import Launcher, WorkloadSpec

PATIENCE_S = 30.0


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the machine may be slow."""
    async with asyncio.timeout(PATIENCE_S):
        held = holds()
        while not held:
            await asyncio.sleep(0.02)
            held = holds()


class World(ABC):
    """What one parameter of the contract is: makes launchers on the same world, and looks at it."""

    def spec(self, name: WorkloadName, behaviour: str) -> WorkloadSpec:
        return WorkloadSpec(name, {"BEHAVIOUR": behaviour, "SECRET": "s3cret"})

    @abstractmethod
    def launcher(self) -> Launcher:
        """Return a new launcher on the same world: a second manager, or one after its restart."""

    @abstractmethod
    def running(self, name: WorkloadName) -> int:
        """Return how many bots by that name run, as seen without the launcher."""

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing behind."""


class MemoryWorld(World):
    def __init__(self) -> None:
        self.machine = Machine(_behave)

    def launcher(self) -> Launcher:
        return MemoryLauncher(self.machine)

    def running(self, name: WorkloadName) -> int:
        return self.machine.starts[name] if name in self.machine.running() else 0

    async def close(self) -> None:
        for name in self.machine.running():
            self.machine.crash(name)


class ProcessWorld(World):
    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launched_bot.py"))]

    def launcher(self) -> ProcessLauncher:
        return ProcessLauncher(self.directory, self.command, log_bytes=10_000)

    def processes(self, name: WorkloadName) -> frozenset[Process]:
        return find_marked(str(self.directory / str(name)))

    def bots(self, name: WorkloadName) -> list[Process]:
        return [one for one in self.processes(name) if "launched_bot.py" in self._last_argument(one)]

    def shim(self, name: WorkloadName) -> Process:
        (one,) = [one for one in self.processes(name) if Path((self.arguments(one) + [""] * 4)[3]).name == "shim.py"]
        return one

    def running(self, name: WorkloadName) -> int:
        return len(self.bots(name))

    async def close(self) -> None:
        await self.launcher().stop_all(grace_s=0.0)

    def arguments(self, process: Process) -> list[str]:
        try:
            return Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")
        except OSError:
            return []

    def _last_argument(self, process: Process) -> str:
        arguments = self.arguments(process)
        return arguments[-1] if len(arguments) == len(self.command) else ""


@asynccontextmanager
async def memory_world(_: Path) -> AsyncIterator[MemoryWorld]:
    """Make the world of simulated bots."""
    world = MemoryWorld()
    yield world
    await world.close()


@asynccontextmanager
async def process_world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    """Make the world of processes of this machine."""
    world = ProcessWorld(tmp_path)
    yield world
    await world.close()


async def _behave(workload: Workload) -> int:
    behaviour, _, argument = workload.spec.environment["BEHAVIOUR"].partition(":")
    workload.write(f"{behaviour} {workload.spec.environment['SECRET']}\n".encode())
    if behaviour == "exit":
        return int(argument)
    if behaviour == "bequeath":
        workload.last_words = b"w" * int(argument)
        return 0
    if behaviour == "print":
        workload.write(b"x" * int(argument) + b"end")
        return 0
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if behaviour != "ignore":
            return 0
    await asyncio.Event().wait()
    return 0
