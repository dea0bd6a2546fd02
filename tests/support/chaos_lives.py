"""What ran when, by the word of the machine: the processes that carry a workload's mark."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.invariants.evidence import Life

from usher.adapters.launchers.process.shim import start_ticks
from usher.adapters.launchers.process.table import MARK
from usher.domain.reconcile import parse_workload_name

_LOOK_S = 0.2
_GROWN_UP_S = 3.0
_HERTZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Process:
    start: int
    mark: str | None


class ProcessTable:
    """The marked processes of this machine; one look serves all who ask within a fifth of a second.

    Attributes:
        looked_s: When it looked last, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.looked_s = 0.0
        self._known: dict[int, _Process] = {}
        self._marked: Mapping[int, str] = {}
        self._seen_s = 0.0

    def marked(self) -> Mapping[int, str]:
        """Return the marks of living processes by process id, in the order of their starts."""
        if time.monotonic() - self._seen_s > _LOOK_S:
            self.looked_s = time.time()
            self._look()
            self._seen_s = time.monotonic()
        return self._marked

    def _look(self) -> None:
        known = {pid: process for pid in _pids() if (process := self._read(pid)) is not None}
        self._known = {pid: one for pid, one in known.items() if one.mark or _age_s(one.start) > _GROWN_UP_S}
        ordered = sorted(known.items(), key=lambda item: (item[1].start, item[0]))
        self._marked = {pid: process.mark for pid, process in ordered if process.mark is not None}

    def _read(self, pid: int) -> _Process | None:
        """Return a process; None if it has ended. A young one may be about to become something else."""
        start = start_ticks(pid)
        if start is None:
            return None
        known = self._known.get(pid)
        return known if known is not None and known.start == start else _Process(start, _read_mark(pid))


class Lives:
    """Looks at the process table a few times a second, and remembers which workloads had processes.

    A life begins when it is first seen and ends when it is last seen, so that it is never longer than it was.

    Args:
        root: The launcher's directory, which is in the mark.
        table: Where processes are found.
    """

    def __init__(self, root: Path, table: ProcessTable) -> None:
        self._prefix = f"{root.resolve()}{os.sep}"
        self._table = table
        self._living: dict[str, Life] = {}
        self._dead: list[Life] = []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> frozenset[str]:
        """Look once, and return the names of the workloads that have living processes."""
        names = {name for name in self._processes().values() if parse_workload_name(name)}
        self._dead += [life for name, life in self._living.items() if name not in names]
        self._living = {name: self._life_of(name, self._table.looked_s) for name in names}
        return frozenset(names)

    def lives(self) -> list[Life]:
        """Return what was seen so far."""
        self.look()
        return [*self._dead, *(replace(life, ended_s=None) for life in self._living.values())]

    def pids(self, name: str) -> list[int]:
        """Return the living processes of a workload, oldest first: the shim, then the bot."""
        return [pid for pid, known in self._processes().items() if known == name]

    def _life_of(self, name: str, seen_s: float) -> Life:
        """Return the life of what was just seen: one that goes on, or one that begins."""
        workload = parse_workload_name(name)
        assert workload is not None
        begun = self._living.get(name, Life(workload, seen_s))
        return replace(begun, ended_s=seen_s)

    def _processes(self) -> dict[int, str]:
        marked = self._table.marked().items()
        return {pid: mark.removeprefix(self._prefix) for pid, mark in marked if mark.startswith(self._prefix)}


def _read_mark(pid: int) -> str | None:
    prefix = f"{MARK}=".encode()
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(prefix):
            return os.fsdecode(variable.removeprefix(prefix))
    return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - names are all that is needed


def _age_s(start: int) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / _HERTZ
