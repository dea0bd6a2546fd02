"""What a metric of the manager needs around it: durable databases, users, servers, a load generator."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.load import Load, open_load
from bench.metric import Effort
from bench.processes import Server, server
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.postgres.migrate import migrate
from usher.adapters.postgres.store import PostgresStore
from usher.api.keys import digest, new_key
from usher.settings import bare_environment

SECRET = "secret of the benchmark's installation"  # noqa: S105 - it guards a database that is thrown away
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Customer:
    """A user and a key of theirs."""

    user_id: int
    api_key: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything around the servers.

    Attributes:
        directory: Of all that is kept while measuring.
        database: For preparing and counting, beside the servers.
        environment: Of every process.
    """

    directory: Path
    database: "asyncpg.Connection[asyncpg.Record]"
    store: PostgresStore
    load: Load
    environment: Mapping[str, str]
    effort: Effort
    _stack: AsyncExitStack

    async def serve(self, name: str) -> Server:
        """Start one of the servers of `bench.serve`; it runs as long as the world."""
        log = self.directory / f"{name}.log"
        return await self._stack.enter_async_context(
            server(name, environment=self.environment, log=log, profile=self.profile_of(name))
        )

    def profile_of(self, name: str) -> Path | None:
        """Return where the profile of a server goes; None if none is made."""
        return None if self.effort.profile_dir is None else self.effort.profile_dir / f"{name}.prof"

    async def customers(self, group: str, count: int, *, limit: int = 100_000) -> list[Customer]:
        """Create users with a key each.

        Args:
            group: Part of their addresses.
            count: How many.
            limit: How many bots each may have at once.
        """
        made = []
        for number in range(count):
            email = f"{group}-{number}@example.com"
            user = await self.store.create_user(email, name=None, max_concurrent_bots=limit)
            key = new_key()
            await self.store.add_token(user.user_id, digest(key))
            made.append(Customer(user.user_id, key))
        return made


@asynccontextmanager
async def open_world(effort: Effort) -> AsyncIterator[World]:
    """Start databases of their own and a load generator, and leave nothing behind.

    Raises:
        RuntimeError: A commit would not be durable.
        Unavailable: A database does not start.
    """
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="usher-bench-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        redis = await stack.enter_async_context(EmbeddedRedis(directory / "redis", "password"))
        await migrate(postgres.dsn)
        store = await PostgresStore.connect(postgres.dsn)
        stack.push_async_callback(store.close)
        database = await asyncpg.connect(postgres.dsn, timeout=10.0, command_timeout=60.0)
        stack.push_async_callback(database.close, timeout=10.0)
        await _require_durable(database)
        environment = bare_environment() | {
            "USHER_DATABASE__DSN": postgres.dsn,
            "USHER_REDIS__URL": redis.url,
            "USHER_SECRET": SECRET,
            "USHER_DATA_DIR": str(directory / "usher"),
            "USHER_API__RATE_PER_S": "1000000",
            "USHER_API__RATE_BURST": "1000000",
        }
        load = await stack.enter_async_context(open_load(environment=environment, directory=directory))
        yield World(directory, database, store, load, environment, effort, stack)


async def _require_durable(database: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in _DURABLE:
        if await database.fetchval("SELECT current_setting($1)", name) != "on":
            raise RuntimeError(f"{name} is off: what would be measured is not durable")
