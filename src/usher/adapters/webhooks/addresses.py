"""Finds the addresses of users' hosts."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from usher.protocol.webhook_urls import Address

_THREADS = 16

Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Finds the addresses of a host and port.

Raises:
    OSError: The name has none, or nobody knows.
"""


class SystemResolver:
    """Asks the system's resolver, in threads of its own.

    A thread is busy for as long as the name's server takes, which may be hostile. In the loop's few common threads it
    would keep the database and Redis from being found.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "webhook-names")

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host, in the system's order.

        Raises:
            OSError: The name has none, or nobody knows.
        """
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [ipaddress.ip_address(address[0]) for *_, address in found]

    def close(self) -> None:
        """Ask nothing more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
