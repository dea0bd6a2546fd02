"""Loopback ports."""

import socket

import psutil

from usher.domain.errors import Conflict

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that is free now; another process may still be faster to take it."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def require_free(port: int, server: str) -> int:
    """Return the port if a server may have it.

    Raises:
        Conflict: It is taken; the message says by whom, as far as that can be seen.
    """
    if not is_free(port):
        raise Conflict(
            "port_taken",
            f"{server} cannot listen on {LOOPBACK}:{port}: {holder(port)} has it. Stop that, or choose another port.",
        )
    return port


def holder(port: int) -> str:
    """Name the process that listens on the port, as far as this user may see it."""
    try:
        found = next((c.pid for c in psutil.net_connections("tcp") if _listens(c.laddr, c.status, port)), None)
        return f"process {found} ({psutil.Process(found).name()})" if found else "another process"
    except psutil.Error:
        return "another process"


def _listens(address: object, status: str, port: int) -> bool:
    return status == psutil.CONN_LISTEN and getattr(address, "port", None) == port
