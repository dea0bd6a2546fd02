"""What ran when, by the word of the machine: the processes that carry a workload's mark."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

from tests.support.invariants.evidence import Life

from usher.adapters.launchers.process_table import MARK
from usher.adapters.launchers.shim import start_ticks
from usher.domain.reconcile import parse_workload_name

_LOOK_S = 0.2
_GROWN_UP_S = 3.0
_HERTZ = os.sysconf("SC_CLK_TCK")
_Key = tuple[int, int]


class Lives:
    """Looks at the process table a few times a second, and remembers which workloads had processes.

    A life begins when it is first seen and ends when it is last seen, so that it is never longer than it was.

    Args:
        root: The launcher's directory, which is in the mark.
    """

    def __init__(self, root: Path) -> None:
        self._prefix = f"{MARK}={root.resolve()}{os.sep}".encode()
        self._living: dict[str, Life] = {}
        self._dead: list[Life] = []
        self._strangers: set[_Key] = set()
        self._known: dict[_Key, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> frozenset[str]:
        """Look once, and return the names of the workloads that have living processes."""
        now_s = time.time()
        names = {name for pid in _pids() if (name := self._name_of(pid))}
        self._dead += [life for name, life in self._living.items() if name not in names]
        self._living = {name: self._life_of(name, now_s) for name in names}
        return frozenset(names)

    def lives(self) -> list[Life]:
        """Return what was seen so far."""
        self.look()
        return [*self._dead, *(replace(life, ended_s=None) for life in self._living.values())]

    def _life_of(self, name: str, now_s: float) -> Life:
        """Return the life of what was just seen: one that goes on, or one that begins."""
        workload = parse_workload_name(name)
        assert workload is not None
        begun = self._living.get(name, Life(workload, now_s))
        return replace(begun, ended_s=now_s)

    def pids(self, name: str) -> list[int]:
        """Return the living processes of a workload, oldest first: the shim, then the bot."""
        self.look()
        mine = [key for key, known in self._known.items() if known == name and start_ticks(key[0]) == key[1]]
        return [pid for pid, _ in sorted(mine, key=lambda key: (key[1], key[0]))]

    def _name_of(self, pid: int) -> str | None:
        start = start_ticks(pid)
        if start is None or (pid, start) in self._strangers:
            return None
        key = (pid, start)
        if key not in self._known:
            name = self._read_mark(pid)
            if name is not None and parse_workload_name(name):
                self._known[key] = name
            elif _age_s(start) > _GROWN_UP_S:  # a younger one may be about to become something else
                self._strangers.add(key)
        return self._known.get(key)

    def _read_mark(self, pid: int) -> str | None:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        for variable in environment.split(b"\0"):
            if variable.startswith(self._prefix):
                return os.fsdecode(variable.removeprefix(self._prefix))
        return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - names are all that is needed


def _age_s(start: int) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start / _HERTZ
