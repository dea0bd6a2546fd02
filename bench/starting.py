"""A race between the launcher of processes and a bare start of the same program, until the program has loaded."""

import asyncio
import random
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.floors import loaded
from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.domain.reconcile import WorkloadName
from usher.ports import WorkloadSpec
from usher.settings import bare_environment

_LOADED_S = 60.0


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds from the call until the program said that it had loaded; one of each side per round."""

    launcher_s: Sequence[float]
    bare_s: Sequence[float]


async def race(directory: Path, *, rounds: int, warmup: int) -> Starts:
    """Start the program by the launcher and bare in turn; who comes first in a round is drawn by lot.

    Args:
        directory: For the workloads.
        rounds: That count.
        warmup: Rounds before them that are thrown away.
    """
    directory.mkdir()  # noqa: ASYNC240 - nothing else is to be done meanwhile
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as finish:
        finish.bind(str(directory / "finish"))
        finish.setblocking(False)
        runner = _Runner(directory, finish)
        chance = random.Random(1)  # noqa: S311 - an order, not a secret
        took: dict[str, list[float]] = {"launcher": [], "bare": []}
        for number in range(1, warmup + rounds + 1):
            for side in chance.sample(("launcher", "bare"), 2):
                seconds = await (runner.by_launcher(number) if side == "launcher" else runner.bare())
                if number > warmup:
                    took[side].append(seconds)
    return Starts(took["launcher"], took["bare"])


class _Runner:
    def __init__(self, directory: Path, finish: socket.socket) -> None:
        self._finish = finish
        self._command = (sys.executable, loaded.__file__, str(directory / "finish"))
        self._environment = bare_environment()
        self._launcher = ProcessLauncher(directory, self._command)

    async def by_launcher(self, number: int) -> float:
        name = WorkloadName(number, 1)
        began = time.perf_counter()
        await self._launcher.start(WorkloadSpec(name, self._environment))
        took = await self._seconds_since(began)
        await self._launcher.remove(name)
        return took

    async def bare(self) -> float:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        took = await self._seconds_since(began)
        await process.wait()
        return took

    async def _seconds_since(self, began: float) -> float:
        async with asyncio.timeout(_LOADED_S):
            await asyncio.get_running_loop().sock_recv(self._finish, 1)
        return time.perf_counter() - began
