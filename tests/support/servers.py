"""PostgreSQL and Redis for tests: one of each per session, an empty one for each test."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from usher.adapters.postgres.migrate import migrate

TEMPLATE = "usher_template"
_TIMEOUT_S = 60.0

_numbers = itertools.count(1)


async def prepare_template(dsn: str) -> None:
    """Bring the template database to the present schema; every test's database is a copy of it."""
    await migrate(dsn)


def with_database(dsn: str, name: str) -> str:
    """Return the DSN of another database on the same server."""
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def fresh_database(server_dsn: str, template: str = TEMPLATE) -> AsyncIterator[str]:
    """Yield the DSN of a new copy of the template; it is dropped in the end, whoever is still connected."""
    name = f"test_{next(_numbers)}"
    await execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield with_database(server_dsn, name)
    finally:
        await execute(server_dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def execute(dsn: str, statement: str) -> None:
    """Run one statement over a connection of its own."""
    connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
    try:
        await connection.execute(statement, timeout=_TIMEOUT_S)
    finally:
        await connection.close()


async def empty_redis(url: str) -> None:
    """Make a Redis as new: no keys, no users but the default one, no connections of earlier tests."""
    async with Redis.from_url(url, decode_responses=True) as client:
        await client.flushall()
        for user in await client.acl_users():
            if user != "default":
                await client.acl_deluser(str(user))
        for kind in ("pubsub", "normal"):
            await client.client_kill_filter(_type=kind, skipme=True)
