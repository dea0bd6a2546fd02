"""Checks of PostgreSQL and Redis: the configured ones answer, or embedded ones start."""

import tempfile
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.cli.doctor.finding import Finding
from usher.domain.errors import UsherError

_ANSWER_S = 10.0


async def check_database(dsn: str | None) -> Finding:
    """Ask the configured PostgreSQL for its version, or one that is started in a temporary directory."""
    if dsn is not None:
        return await _ask_database(
            dsn, "configured", "Correct USHER_DATABASE__DSN, or unset it to use an embedded one."
        )
    try:
        with tempfile.TemporaryDirectory(prefix="usher-doctor-") as scratch:
            async with EmbeddedPostgres(Path(scratch), durable=False) as server:
                return await _ask_database(server.dsn, "embedded", "See the log of the server.")
    except UsherError as error:
        return Finding.of_error("database", error)


async def _ask_database(dsn: str, kind: str, remedy: str) -> Finding:
    try:
        connection = await asyncpg.connect(dsn, timeout=_ANSWER_S)
        try:
            version = await connection.fetchval("SHOW server_version", timeout=_ANSWER_S)
        finally:
            await connection.close(timeout=_ANSWER_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return Finding("database", False, f"{kind}: {_words(error)}", remedy)
    return Finding("database", True, f"{kind} PostgreSQL {version}")


async def check_redis(url: str | None) -> Finding:
    """Ask the configured Redis for its version, or one that is started in a temporary directory."""
    if url is not None:
        return await _ask_redis(url, "configured", "Correct USHER_REDIS__URL, or unset it to use an embedded one.")
    try:
        with tempfile.TemporaryDirectory(prefix="usher-doctor-") as scratch:
            async with EmbeddedRedis(Path(scratch), durable=False) as server:
                return await _ask_redis(server.url, "embedded", "See the log of the server.")
    except UsherError as error:
        return Finding.of_error("Redis", error)


async def _ask_redis(url: str, kind: str, remedy: str) -> Finding:
    try:
        async with Redis.from_url(url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S) as client:
            answer = await client.info("server")
    except (OSError, TimeoutError, ValueError, RedisError) as error:
        return Finding("Redis", False, f"{kind}: {_words(error)}", remedy)
    version = answer.get("valkey_version") or answer.get("redis_version")
    return Finding("Redis", True, f"{kind} {answer.get('server_name', 'redis')} {version}")


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
