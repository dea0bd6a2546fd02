"""A proxy before a Docker engine that misbehaves on demand, request by request."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16
_REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|HEAD) \S+")

_Matches = Callable[[str], bool]


class DockerProxy:
    """Forwards connections of a Unix socket to an engine's.

    Attributes:
        lose: Requests whose answer is lost: the engine acts, and the connection breaks off before its answer.
        hold: Requests that are kept back until `release` is called.
        silent: Nothing is forwarded to the engine any more; connections stay.
        held: Set when a request was kept back.
        requests: All that were made, as `POST /v1.41/containers/create?name=…`.
    """

    def __init__(self, upstream: str, path: Path) -> None:
        self._upstream = urlsplit(upstream).path
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._released = asyncio.Event()
        self.lose: _Matches = _none
        self.hold: _Matches = _none
        self.silent = False
        self.held = asyncio.Event()
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"unix://{self._path}"

    def release(self) -> None:
        self.hold = _none
        self._released.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await _Connection(self, reader, writer).serve(self._upstream)
        except (asyncio.CancelledError, OSError):
            pass  # asyncio's server would print either as an error
        finally:
            writer.close()
            self._tasks.discard(task)

    async def admit(self, request: str) -> None:
        """Note a request and keep it back if that is wanted."""
        self.requests.append(request)
        if self.hold(request):
            self.held.set()
            await self._released.wait()
        if self.silent:
            await asyncio.Event().wait()


class _Connection:
    def __init__(self, proxy: DockerProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._losing = False

    async def serve(self, upstream: str) -> None:
        reader, writer = await asyncio.open_unix_connection(upstream)
        directions = {asyncio.create_task(self._forth(writer)), asyncio.create_task(self._back(reader))}
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            writer.close()

    async def _forth(self, engine: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await self._reader.read(_CHUNK_BYTES):
                if found := _REQUEST.match(data):
                    request = found[0].decode()
                    self._losing = self._proxy.lose(request)
                    await self._proxy.admit(request)
                engine.write(data)
                await engine.drain()

    async def _back(self, engine: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await engine.read(_CHUNK_BYTES):
                if self._losing:
                    return
                self._writer.write(data)
                await self._writer.drain()


def _none(_: str) -> bool:
    return False


def asks(method: str, *parts: str) -> _Matches:
    """Match requests of a method whose path has all of the parts in it."""
    return lambda request: request.startswith(f"{method} ") and all(part in request for part in parts)
