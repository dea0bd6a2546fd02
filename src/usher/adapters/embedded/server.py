"""What the embedded servers have in common: a directory of their own, a port, and a life tied to this process."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from usher.adapters.embedded.directory import DirectoryLock, keep_secret, make_private
from usher.adapters.embedded.ports import free_port, is_free, require_free
from usher.adapters.embedded.process import ServerProcess
from usher.domain.errors import Unavailable

_PORT_TRIES = 5
_SECRET_BYTES = 24


class EmbeddedServer(ABC):
    """A server on a loopback port that keeps everything in one directory.

    It dies with this process, even if that is killed (on Linux, by the kernel). The directory survives both, and the
    next start carries on with it.

    Args:
        data_dir: Directory of everything it keeps; made if missing, private, for one process at a time.
        port: TCP port on 127.0.0.1; None for any free one.
        durable: False for tests: faster, and what it holds may be lost.
    """

    name: ClassVar[str]

    def __init__(self, data_dir: Path, *, port: int | None = None, durable: bool = True) -> None:
        self._data_dir = data_dir
        self._wanted_port = port
        self._durable = durable
        self._lock: DirectoryLock | None = None
        self._server: ServerProcess | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the server while it is started."""
        return self._server.pid if self._server else None

    async def start(self) -> None:
        """Start the server and wait until it serves.

        Raises:
            Conflict: The directory is in use by another process, or the port is taken.
            Unavailable: It is not installed or does not start; the message says why.
        """
        directory = make_private(self._data_dir)
        lock = DirectoryLock(directory)
        lock.acquire()
        self._lock = lock
        try:
            await self._start_in(directory)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut the server down and let go of the directory. Idempotent."""
        if self._server is not None:
            await self._server.stop()
        if self._lock is not None:
            self._lock.release()
        self._server = self._lock = None

    async def wait_dead(self) -> int:
        """Wait until the server has ended, by whatever cause; return its exit code.

        Raises:
            Unavailable: It was not started.
        """
        if self._server is None:
            raise Unavailable(f"{self.name} is not started.")
        return await self._server.wait_dead()

    @abstractmethod
    async def _start_in(self, directory: Path) -> None:
        """Start in the directory, which is locked, and set `_server` before anything can fail."""

    async def _start_on_some_port(self, start_on: Callable[[int], Awaitable[None]]) -> int:
        """Start on the wanted port, or on a free one: again on another if somebody is faster to take that."""
        for _ in range(_PORT_TRIES - 1 if self._wanted_port is None else 0):
            port = free_port()
            try:
                await start_on(port)
            except Unavailable:
                if is_free(port):
                    raise
            else:
                return port
        port = free_port() if self._wanted_port is None else require_free(self._wanted_port, self.name)
        await start_on(port)
        return port


def own_password(directory: Path) -> str:
    """Return the password that the server in this directory keeps; it is made once."""
    return keep_secret(directory / "password", secrets.token_urlsafe(_SECRET_BYTES))
