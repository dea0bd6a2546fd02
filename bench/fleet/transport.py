"""What carries a simulated bot's requests to the manager: connections of its own, without a general client's cost."""

import re
from collections.abc import Callable

import httpx

from bench.connections import Connections
from usher.bot.line import KEEP_ALIVE_S

_ACKNOWLEDGEMENT = re.compile(r"/commands/(\d+)$")


class BotTransport(httpx.AsyncBaseTransport):
    """Sends what httpx made, byte for byte, and keeps connections for as long as httpx does.

    Args:
        port: Of the manager.
        acknowledged: Told the number of each command of which the manager has taken word.
    """

    def __init__(self, port: int, acknowledged: Callable[[int], None]) -> None:
        self._connections = Connections(port, idle_s=KEEP_ALIVE_S)
        self._acknowledged = acknowledged

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer.

        Raises:
            httpx.NetworkError: There is no manager, or it hung up.
        """
        path = request.url.raw_path
        head = b"".join(b"%s: %s\r\n" % pair for pair in request.headers.raw)
        whole = b"%s %s HTTP/1.1\r\n%s\r\n%s" % (request.method.encode(), path, head, await request.aread())
        try:
            status, body = await self._connections.send(whole)
        except OSError as error:
            raise httpx.NetworkError(str(error)) from error
        if status < 300 and (found := _ACKNOWLEDGEMENT.search(path.decode())):
            self._acknowledged(int(found[1]))
        return httpx.Response(status, content=body)

    async def aclose(self) -> None:
        """Close the connections."""
        self._connections.close()
