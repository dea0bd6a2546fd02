"""Processes of this machine: who is whom, who belongs to a workload, and signals that cannot hit the wrong one.

Source: proc_pid_stat(5), proc_pid_environ(5), pidfd_open(2).
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from usher.adapters.launchers.process.shim import start_ticks

MARK = "USHER_WORKLOAD"
"""Environment variable that a workload's processes inherit: the path of its directory, unique on the machine."""

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process; the pair of id and start is never used twice between two boots.

    Attributes:
        start: Clock ticks from boot to the process's start.
    """

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Say whether it runs; a zombie does not."""
        return start_ticks(self.pid) == self.start

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; False if the process is gone. A process that took over the id is never hit."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


@dataclass(frozen=True, slots=True)
class _Row:
    process: Process
    parent: int
    session: int
    mark: str | None


def find_marked(mark: str) -> frozenset[Process]:
    """Find the processes of one workload: those that carry `mark`, their sessions and their descendants.

    Sessions and descendants matter because Chromium's zygotes write their command line over their environment.
    """
    rows = list(_rows())
    marked = {row.process.pid for row in rows if row.mark == mark}
    members = set(marked)
    grown = True
    while grown:
        more = {row.process.pid for row in rows if row.parent in members or row.session in marked}
        grown = not more <= members
        members |= more
    return frozenset(row.process for row in rows if row.process.pid in members)


def find_marks(root: Path) -> frozenset[str]:
    """Find the marks under `root` that living processes carry."""
    prefix = f"{root}{os.sep}"
    return frozenset(row.mark for row in _rows() if row.mark is not None and row.mark.startswith(prefix))


def _rows() -> Iterator[_Row]:
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            environ = (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        if fields[0] not in "ZX":
            yield _Row(Process(int(entry.name), int(fields[19])), int(fields[1]), int(fields[3]), _mark(environ))


def _mark(environ: bytes) -> str | None:
    prefix = f"{MARK}=".encode()
    for variable in environ.split(b"\0"):
        if variable.startswith(prefix):
            return os.fsdecode(variable.removeprefix(prefix))
    return None
