"""A PostgreSQL of our own, for one machine."""

import signal
from pathlib import Path
from typing import ClassVar

import asyncpg

from usher.adapters.embedded.cluster import SUPERUSER, Cluster, find_programs
from usher.adapters.embedded.identity import choose_identity
from usher.adapters.embedded.ports import LOOPBACK
from usher.adapters.embedded.process import Farewell, ServerProcess
from usher.adapters.embedded.server import EmbeddedServer, own_password

_START_S = 60.0
_CONNECT_S = 10.0
# Fast shutdown, immediate shutdown, kill. Source: PostgreSQL manual, "Shutting Down the Server".
_FAREWELL = Farewell(((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)))


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on a loopback port, with a password of its own.

    Args:
        data_dir: Directory of everything it keeps.
        port: TCP port on 127.0.0.1; None for any free one.
        durable: False for tests: faster, and a power cut loses data.
        database: The database to make and to name in the DSN.
    """

    name: ClassVar[str] = "PostgreSQL"

    def __init__(
        self, data_dir: Path, *, port: int | None = None, durable: bool = True, database: str = SUPERUSER
    ) -> None:
        super().__init__(data_dir, port=port, durable=durable)
        self._database = database
        self._dsn = ""

    @property
    def dsn(self) -> str:
        """`postgresql://user:password@127.0.0.1:port/database`, once started."""
        return self._dsn

    async def _start_in(self, directory: Path) -> None:
        programs = find_programs()
        identity = choose_identity(programs / "postgres", directory)
        cluster = Cluster(directory / "cluster", programs, identity, self._durable)
        password = own_password(directory)
        await cluster.create_if_missing(password)
        await cluster.clean_up_after_crash()
        port = await self._start_on_some_port(lambda port: self._start_on(port, cluster, directory / "server.log"))
        server_dsn = f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}"
        await _create_database(server_dsn, self._database)
        self._dsn = f"{server_dsn}/{self._database}"

    async def _start_on(self, port: int, cluster: Cluster, log_path: Path) -> None:
        server = await ServerProcess.start(
            self.name, cluster.arguments(port), identity=cluster.identity, log_path=log_path, farewell=_FAREWELL
        )
        self._server = server

        async def is_ready() -> bool:
            return cluster.is_ready(server.pid)

        await server.wait_ready(is_ready, _START_S)


async def _create_database(server_dsn: str, name: str) -> None:
    connection = await asyncpg.connect(f"{server_dsn}/postgres", timeout=_CONNECT_S)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name, timeout=_CONNECT_S)
        if not known:
            quoted = name.replace('"', '""')
            await connection.execute(f'CREATE DATABASE "{quoted}"', timeout=_START_S)
    finally:
        await connection.close(timeout=_CONNECT_S)
