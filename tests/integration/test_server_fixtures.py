"""The fixtures of tests/conftest.py: what one test leaves, the next does not find."""

import asyncpg
import pytest
from redis.asyncio import Redis


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_has_a_database_with_schema_and_no_rows(database_dsn: str, turn: int) -> None:
    connection = await asyncpg.connect(database_dsn, timeout=30)
    try:
        assert await connection.fetchval("SELECT count(*) FROM users") == 0, turn
        assert await connection.fetchval("SELECT to_regclass('left_behind')") is None, turn
        await connection.execute("CREATE TABLE left_behind ()")
    finally:
        await connection.close()


async def test_a_forgotten_connection_does_not_keep_the_database(database_dsn: str) -> None:
    forgotten = await asyncpg.connect(database_dsn, timeout=30)
    assert await forgotten.fetchval("SELECT 1") == 1


async def test_an_empty_database_has_no_schema(empty_database_dsn: str) -> None:
    connection = await asyncpg.connect(empty_database_dsn, timeout=30)
    try:
        assert await connection.fetchval("SELECT to_regclass('users')") is None
    finally:
        await connection.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_has_a_redis_without_keys_and_users(redis_url: str, turn: int) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.dbsize() == 0, turn
        assert await client.acl_users() == ["default"], turn
        await client.set("left", "behind")
        await client.acl_setuser("left", enabled=True)


def test_a_test_without_a_loop_has_them_too(database_dsn: str, redis_url: str) -> None:
    assert database_dsn.startswith("postgresql://")
    assert redis_url.startswith("redis://")
