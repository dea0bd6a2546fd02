"""Whether whoever is at the other end of a connection is still there."""

import asyncio
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


class Life:
    """Watches a connection. Any message is a sign of life, and so is the answer to a ping.

    WebSocket's own keepalive knows only the latter, and takes a server that is behind and does not read for dead.

    Args:
        stall_s: How long there may be no sign.
    """

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._alive_s = 0.0

    def note(self) -> None:
        """Take that a message came."""
        self._alive_s = asyncio.get_running_loop().time()

    async def watch(self, socket: ClientConnection) -> None:
        """End when there was no sign for too long.

        Raises:
            TimeoutError: There was none.
        """
        loop = asyncio.get_running_loop()
        self.note()
        while (left_s := self._alive_s + self._stall_s - loop.time()) > 0:
            # Of a connection that is closed, whoever reads from it knows.
            with suppress(TimeoutError, ConnectionClosed):
                async with asyncio.timeout(left_s):
                    await (await socket.ping())
                    self.note()
            await asyncio.sleep(self._stall_s / 3)
        raise TimeoutError
