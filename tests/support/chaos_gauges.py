"""How full what has a limit was, by the word of the machine: the connections that managers' processes have open."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.chaos_managers import Manager
from tests.support.invariants.evidence import Fill

_LOOK_S = 1.0
# Source: proc_pid_net(5), /proc/net/tcp: the remote port in hexadecimal, the state (1 established, 2 connecting), seven
# numbers, of which the last is the inode.
_SOCKET = re.compile(rb":([0-9A-F]{4}) 0[12] \S+ \S+ \S+ +\d+ +\d+ (\d+) ")
_LINK = re.compile(r"socket:\[(\d+)\]")


class SocketTable:
    """The open TCP connections of this machine; one look serves all who ask within a second.

    To read them takes longer the more there are, and a benchmark beside may have tens of thousands.
    """

    def __init__(self) -> None:
        self._ports: Mapping[int, int] = {}
        self._seen_s = 0.0
        self._turn = threading.Lock()

    def ports(self) -> Mapping[int, int]:
        """Return the remote port of each connection by its inode."""
        with self._turn:
            if time.monotonic() - self._seen_s > _LOOK_S:
                found = _SOCKET.findall(Path("/proc/net/tcp").read_bytes())
                self._ports = {int(inode): int(port, 16) for port, inode in found}
                self._seen_s = time.monotonic()
            return self._ports


@dataclass(frozen=True, slots=True)
class Server:
    """A server that managers connect to, and to how many connections each of them is entitled."""

    name: str
    limit: int


class Gauges:
    """Counts each manager's connections to each server again and again, and remembers the most.

    Args:
        servers: By the port on this machine at which they, or proxies in front of them, are reached.
        table: Where connections are found.
    """

    def __init__(self, servers: Mapping[int, Server], table: SocketTable) -> None:
        self._servers, self._table = servers, table
        self._peaks: dict[tuple[str, Server], int] = {}

    async def run(self, managers: Sequence[Manager]) -> None:
        """Look until cancelled; managers may be added meanwhile."""
        while True:
            for manager in [one for one in managers if one.code is None]:
                await asyncio.to_thread(self.look, manager.name, manager.pid)
            await asyncio.sleep(_LOOK_S)

    def look(self, name: str, pid: int) -> None:
        """Count the connections of one process; one that has ended has none."""
        known = self._table.ports()
        ports = [known[inode] for inode in _inodes(pid) if inode in known]
        for server in {*self._servers.values()}:
            count = sum(self._servers.get(port) == server for port in ports)
            self._peaks[name, server] = max(count, self._peaks.get((name, server), 0))

    def fills(self) -> list[Fill]:
        """Return the peaks."""
        return [
            Fill(f"connections of {name} to {server.name}", peak, server.limit)
            for (name, server), peak in sorted(self._peaks.items(), key=str)
        ]


def _inodes(pid: int) -> Collection[int]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as files:
        for file in files:
            with suppress(OSError):
                if link := _LINK.fullmatch(str(Path(file.path).readlink())):
                    found.add(int(link[1]))
    return found
