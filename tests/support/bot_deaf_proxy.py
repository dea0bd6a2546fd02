"""A proxy whose connections can turn half-open: they stay, and nothing comes through them any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16


class DeafProxy:
    """Passes bytes on, on every connection until it is deafened.

    Attributes:
        url: Like the address of the server behind it.
    """

    def __init__(self, url: str) -> None:
        self._behind = urlsplit(url)
        self._hearing: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def deafen(self) -> None:
        """Let nothing more through the connections that are open now; new ones are as good as any."""
        while self._hearing:
            self._hearing.pop().clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        hearing = asyncio.Event()
        hearing.set()
        self._hearing.append(hearing)
        assert self._behind.port is not None
        server_reader, server_writer = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            task = asyncio.create_task(_pass_on(source, sink, hearing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def begun_at(self, port: int) -> None:
        """Take the port that it listens on."""
        credentials, at, _ = self._behind.netloc.rpartition("@")
        self.url = self._behind._replace(netloc=f"{credentials}{at}127.0.0.1:{port}").geturl()

    async def close(self) -> None:
        """Cut everything."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def deaf_proxy(url: str) -> AsyncIterator[DeafProxy]:
    """Serve a proxy before the server of a URL."""
    proxy = DeafProxy(url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.begun_at(server.sockets[0].getsockname()[1])
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, hearing: asyncio.Event) -> None:
    try:
        while data := await source.read(_CHUNK_BYTES):
            await hearing.wait()
            sink.write(data)
            await sink.drain()
    except OSError:
        return
    finally:
        sink.close()
