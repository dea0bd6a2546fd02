"""An HTTP/1.1 client that costs little: keep-alive connections, with one request on each at a time."""

import asyncio
from typing import cast

from bench.wire import take_answer

_HOST = "127.0.0.1"


class Connections:
    """Connections to one server on this machine.

    An idle one is used again within `idle_s`, as clients do it.

    Args:
        port: Of the server.
        idle_s: How long a connection is kept without use, seconds.
    """

    def __init__(self, port: int, *, idle_s: float = 5.0) -> None:
        self._port = port
        self._idle_s = idle_s
        self._idle: list[tuple[float, _Connection]] = []

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send one request and return the status and the body of its answer.

        Raises:
            OSError: There is no server, or it hung up.
        """
        connection = self._take() or await self._open()
        try:
            answer = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        self._idle.append((asyncio.get_running_loop().time(), connection))
        return answer

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> "_Connection | None":
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while self._idle:
            since, connection = self._idle.pop()
            if connection.is_open and since >= oldest:
                return connection
            connection.close()
        return None

    async def _open(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, _HOST, self._port))[1]


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def send(self, request: bytes) -> tuple[int, bytes]:
        if self._transport is None:
            raise ConnectionResetError("the server hung up")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answer = take_answer(self._buffer)
        if answer is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server hung up"))
