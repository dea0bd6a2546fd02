"""Connections to PostgreSQL: a bounded pool, and what its errors mean to a caller."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, TypeAlias

import asyncpg

from usher.domain.errors import Invalid, InvariantBroken, Unavailable

Row = asyncpg.Record
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_SILENT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ReadOnlySQLTransactionError,
)
_IDLE_IN_TRANSACTION_MS = 5000
_BROKEN = asyncpg.IntegrityConstraintViolationError


@contextmanager
def answering() -> Iterator[None]:
    """Translate errors of the driver.

    Raises:
        Invalid: `unstorable_value`: a number is out of its column's range, or a text too long or not text.
        Unavailable: The database does not answer, or not in time. What was asked may have been done.
        InvariantBroken: A key or a check of the schema refused the statement; nothing was written.
    """
    # The first two are not chained: the driver's message quotes values, and a value may be a passcode.
    try:
        yield
    except asyncpg.DataError:
        raise Invalid(
            "unstorable_value", "A value is too large, too long, or has characters that are no text."
        ) from None
    except _BROKEN as error:
        raise InvariantBroken(f"the database refuses it: {type(error).__name__} {error.constraint_name}") from None
    except _SILENT as error:
        raise Unavailable(f"The database does not answer ({type(error).__name__}).") from error


class Database:
    """A pool of connections. Every call has a timeout, for a connection and for the statement.

    Args:
        pool: The pool.
        timeout_s: For each of the two.
    """

    def __init__(self, pool: "asyncpg.Pool[Row]", timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    @classmethod
    async def connect(cls, dsn: str, *, pool_size: int, timeout_s: float) -> Self:
        """Open a pool of up to `pool_size` connections; one is opened at once.

        Raises:
            Unavailable: The database does not answer.
        """
        with answering():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=pool_size,
                timeout=timeout_s,
                command_timeout=timeout_s,
                init=_prepare,
                reset=_keep,
                server_settings=_session(timeout_s),
            )
        return cls(pool, timeout_s)

    async def close(self) -> None:
        """Close the pool; statements under way may finish within the timeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection.

        Raises:
            Unavailable: The database does not answer, or all connections stay busy.
        """
        with answering():
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                yield connection

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement, in a transaction of its own, and return its rows."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    async def row(self, sql: str, *arguments: object) -> Row | None:
        """Run one statement, in a transaction of its own, and return its first row."""
        with answering():  # not `connection()`: on the hot path another generator is 5 % of a request
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                return await connection.fetchrow(sql, *arguments)

    async def value(self, sql: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Run one statement, in a transaction of its own, and return its first value."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *arguments)

    async def ping(self, timeout_s: float) -> None:
        """Ask the database for a sign of life.

        Raises:
            Unavailable: There is none within `timeout_s`.
        """
        with answering():
            async with asyncio.timeout(timeout_s):
                await self.value("SELECT 1")


class Part:
    """One port's share of the store, on the common pool."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _session(timeout_s: float) -> dict[str, str]:
    """Return how the server treats a connection whose other end may have gone without a word.

    What it holds, a lane's turn above all, would else be held until the server's TCP gives up, which takes hours.
    """
    return {
        "application_name": "usher",
        "statement_timeout": str(int(timeout_s * 1000)),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


async def _prepare(connection: "asyncpg.Connection[Row]") -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _keep(_connection: "asyncpg.Connection[Row]") -> None:
    """Reset nothing: no statement of the store changes its session, and a reset would cost a round trip each time."""
