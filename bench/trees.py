"""What whole trees of processes use: a browser is a dozen of them."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

_PSS = "Pss:"


class Tree:
    """A process and all that it has started, as far as `belongs` says.

    Args:
        roots: Where it begins.
        belongs: Which of the processes count.
    """

    def __init__(self, roots: Iterable[int], belongs: Callable[[psutil.Process], bool] = lambda _: True) -> None:
        self._roots = list(roots)
        self._belongs = belongs
        self._cpu_s: dict[int, float] = {}

    def cpu_s(self) -> float:
        """CPU seconds used so far, those of processes included that have ended since they were last looked at."""
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._cpu_s[process.pid] = times.user + times.system
        return sum(self._cpu_s.values())

    def memory_bytes(self) -> int:
        """Memory in use; what several processes share is divided among them (PSS)."""
        return sum(map(_pss_bytes, self._processes()))

    def _processes(self) -> list[psutil.Process]:
        found = []
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                found += [process, *process.children(recursive=True)]
        return [process for process in found if self._counts(process)]

    def _counts(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return self._belongs(process)
        return False


def is_chromium(process: psutil.Process) -> bool:
    """Say whether a process is of a browser, not of what drives it."""
    return process.name().startswith(("chromium", "chrome", "headless_shell"))


def _pss_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(_PSS):
                return int(line.split()[1]) * 1024
    return 0
