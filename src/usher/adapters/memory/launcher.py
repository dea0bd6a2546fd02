"""Launcher whose workloads are tasks of the running event loop: for tests and for simulations of many bots.

Time is the loop's own, so a loop with a simulated clock simulates the bots as well.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from usher.domain.errors import LaunchRejected
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.ports import WorkloadSpec

_LOG_WRITES = 1000


class Workload:
    """What a simulated bot gets to know, and what is known of it.

    Attributes:
        last_words: What the bot leaves behind for the manager.
    """

    def __init__(self, spec: WorkloadSpec) -> None:
        self.spec = spec
        self.last_words = b""
        self._output: deque[bytes] = deque(maxlen=_LOG_WRITES)
        self._task: asyncio.Task[int] | None = None
        self._ended: Exited | None = None

    def write(self, data: bytes) -> None:
        """Print something."""
        self._output.append(data)

    def begin(self, bot: "Bot") -> None:
        """Run the bot."""
        self._task = asyncio.ensure_future(_run(bot, self))

    def ask(self) -> None:
        """Send the bot what SIGTERM is to a process: a cancellation, which it may ignore once."""
        if self._task is not None:
            self._task.cancel()

    def end(self, exited: Exited) -> None:
        """Let the workload be over, whatever its bot thinks."""
        if isinstance(self.observe(), Running):
            self._ended = exited
            self.ask()

    async def wait(self, timeout_s: float) -> None:
        """Wait for the bot's own end, at most so long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_s)

    def observe(self) -> Exited | Running:
        """Say how the workload is."""
        if self._ended is None and self._task is not None and self._task.done():
            self._ended = _outcome(self._task)
        return self._ended or Running()

    def output(self) -> bytes:
        """Return what is remembered of what the bot printed."""
        return b"".join(self._output)


Bot = Callable[[Workload], Awaitable[int]]
"""A simulated bot: a coroutine function that returns the exit code; an exception stands for exit code 1."""


async def live_for_ever(_: Workload) -> int:
    """Do nothing until asked to end."""
    await asyncio.Event().wait()
    return 0


class Machine:
    """What outlives a launcher: the workloads, and how they behave.

    Attributes:
        bot: Run for each workload.
        workloads: Those that were started and not removed.
        starts: How often a workload was really started, by name.
        spent: Names that were stopped or removed, and never run again.
    """

    def __init__(self, bot: Bot = live_for_ever) -> None:
        self.bot = bot
        self.workloads: dict[WorkloadName, Workload] = {}
        self.starts: dict[WorkloadName, int] = {}
        self.spent: set[WorkloadName] = set()

    def running(self) -> frozenset[WorkloadName]:
        """Return the workloads that run."""
        return frozenset(name for name, one in self.workloads.items() if isinstance(one.observe(), Running))

    def crash(self, name: WorkloadName, *, code: int = 137, detail: str = "killed by SIGKILL") -> None:
        """End a workload from outside, as an out-of-memory killer does."""
        self.workloads[name].end(Exited(code, detail))


class MemoryLauncher:
    """Runs workloads as tasks. Several launchers on one machine are several managers, or one after its restart."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload once; a name that was started before is left as it is."""
        if spec.name in self.machine.workloads:
            return
        if spec.name in self.machine.spent:
            raise LaunchRejected(f"{spec.name} was ended before it began")
        workload = self.machine.workloads[spec.name] = Workload(spec)
        self.machine.starts[spec.name] = self.machine.starts.get(spec.name, 0) + 1
        workload.begin(self.machine.bot)
        await asyncio.sleep(0)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Cancel the bot, and declare it dead if it is still there after `grace_s`."""
        self.machine.spent.add(name)
        workload = self.machine.workloads.get(name)
        if workload is None:
            return Gone()
        if isinstance(workload.observe(), Running):
            workload.ask()
            await workload.wait(grace_s)
            workload.end(Exited(128 + signal.SIGKILL, "killed by SIGKILL"))
        return workload.observe()

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        workload = self.machine.workloads.get(name)
        return Gone() if workload is None else workload.observe()

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all workloads that were not removed."""
        return {name: workload.observe() for name, workload in self.machine.workloads.items()}

    async def remove(self, name: WorkloadName) -> None:
        """Kill what is left of a workload and forget it."""
        observation = await self.stop(name, grace_s=0.0)
        if not isinstance(observation, Unknown):
            self.machine.workloads.pop(name, None)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of what the bot printed."""
        workload = self.machine.workloads.get(name)
        return b"" if workload is None or last_bytes <= 0 else workload.output()[-last_bytes:]

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left behind."""
        workload = self.machine.workloads.get(name)
        return b"" if workload is None else workload.last_words

    async def listen(self, wake: Callable[[], None]) -> None:  # noqa: ARG002 - it is the port's
        """Wait for ever."""
        await asyncio.Event().wait()


async def _run(bot: Bot, workload: Workload) -> int:
    return await bot(workload)


def _outcome(task: asyncio.Task[int]) -> Exited:
    if task.cancelled():
        return Exited(128 + signal.SIGTERM, "killed by SIGTERM")
    error = task.exception()
    return Exited(task.result()) if error is None else Exited(1, repr(error))
