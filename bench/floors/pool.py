"""The connections of a floor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

_TIMEOUT_S = 10.0


@asynccontextmanager
async def open_pool(dsn: str, pool_size: int) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Open a pool as quick as asyncpg's can be: a released connection is not reset, which is a round trip less."""
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=pool_size, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S, reset=_keep
    ) as pool:
        yield pool


async def _keep(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Reset nothing: the floor changes nothing of its session."""
