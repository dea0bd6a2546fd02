"""Brings a database to the schema of this version."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from usher.adapters.postgres.pool import answering

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x7573_6865_72  # "usher": any number would do, as long as every version of Usher takes the same one
_CONNECT_TIMEOUT_S = 10.0


async def migrate(dsn: str, *, timeout_s: float = 300.0) -> None:
    """Apply the revisions that the database lacks, all in one transaction. Idempotent.

    Several managers may start together: an advisory lock lets one migrate while the others wait, and then find
    nothing left to do.

    Args:
        dsn: `postgresql://…`, in any form that asyncpg reads.
        timeout_s: How long it may take, waiting for others included.

    Raises:
        Unavailable: The database does not answer, or not in time.
    """

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        with answering():
            async with asyncio.timeout(timeout_s), engine.begin() as connection:
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock($1)", (_LOCK_KEY,))
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
