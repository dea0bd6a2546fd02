"""A TCP proxy that misbehaves on demand: it delays, cuts, refuses, or goes silent without hanging up."""

import asyncio
import itertools
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_CONNECT_S = 5.0
_END_S = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class _Connection:
    ends: list[_Stream]
    forsaken: bool = False


class TcpProxy:
    """Forwards connections to servers in turn, skipping those that refuse.

    Faults are attributes: they hold from the moment they are set, for old and new connections, until they are set back.

    Args:
        upstreams: Ports on 127.0.0.1; may be replaced at any time.

    Attributes:
        delay_s: Added to every piece of data in both directions.
        silent: Half-open: connections stay, new ones are accepted, and nothing is forwarded, in either direction.
        closed: New connections are reset at once.
        accepted: Number of connections so far.
    """

    def __init__(self, upstreams: Sequence[int] = ()) -> None:
        self.upstreams = list(upstreams)
        self.delay_s = 0.0
        self.closed = False
        self.accepted = 0
        self._audible = asyncio.Event()
        self._audible.set()
        self._turns = itertools.count()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that it listens on."""
        if self._server is None:
            raise RuntimeError("the proxy does not listen")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def silent(self) -> bool:
        """Whether nothing is forwarded."""
        return not self._audible.is_set()

    @silent.setter
    def silent(self, value: bool) -> None:
        if value:
            self._audible.clear()
        else:
            self._audible.set()

    def forsake(self) -> int:
        """Forward nothing more, ever, over the connections that there are, and return how many those are.

        Nobody is told, as where a firewall has forgotten them. New connections work.
        """
        for connection in self._connections.values():
            connection.forsaken = True
        return len(self._connections)

    async def cut(self) -> int:
        """Reset every connection that there is, at both ends, and return how many those were."""
        tasks = list(self._connections)
        for task in tasks:
            for _, writer in self._connections[task].ends:
                _reset(writer)
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_S)
        return len(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        connection = self._connections[task] = _Connection([(reader, writer)])
        try:
            upstream = None if self.closed else await self._connect()
            if upstream is None:
                _reset(writer)
                return
            connection.ends.append(upstream)
            await self._forward_both(connection)
        except asyncio.CancelledError:
            pass  # by `cut`: asyncio's server would print the end of a cancelled handler as an error
        finally:
            for _, end in connection.ends:
                end.close()
            del self._connections[task]

    async def _connect(self) -> _Stream | None:
        """Connect to the next server that accepts; None if none does."""
        await self._audible.wait()
        first = next(self._turns)
        for offset in range(len(self.upstreams)):
            port = self.upstreams[(first + offset) % len(self.upstreams)]
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection(LOOPBACK, port)
        return None

    async def _forward_both(self, connection: _Connection) -> None:
        client, server = connection.ends
        directions = {
            asyncio.create_task(self._forward(client[0], server[1], connection)),
            asyncio.create_task(self._forward(server[0], client[1], connection)),
        }
        try:
            await asyncio.wait(directions)
        finally:
            for direction in directions:
                direction.cancel()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, connection: _Connection) -> None:
        """Forward one direction to its end; a reset of one side becomes a reset of the other."""
        try:
            while data := await source.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._may_speak(connection)
                sink.write(data)
                await sink.drain()
            await self._may_speak(connection)
            if sink.can_write_eof():
                sink.write_eof()
        except OSError:
            _reset(sink)

    async def _may_speak(self, connection: _Connection) -> None:
        await self._audible.wait()
        if connection.forsaken:
            await asyncio.Event().wait()  # until it is cut


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST in the place of FIN, as a host does that has lost the connection.

    Source: socket(7), SO_LINGER with a time of zero.
    """
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
