"""Hints between processes that there is work, over a real Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from usher.adapters.redis.connection import connect
from usher.adapters.redis.hints import RedisHints

PATIENCE_S = 30.0


class Ear:
    """Counts what is heard."""

    def __init__(self) -> None:
        self.heard = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.heard += 1
        self._news.set()

    async def next(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._news.wait()
        self._news.clear()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    made = connect(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
async def ear(client: Redis) -> AsyncIterator[Ear]:
    made = Ear()

    async def listen() -> None:
        while True:
            await RedisHints(client).listen(made)

    listening = asyncio.create_task(listen())
    await made.next()  # being connected counts as a hint: some may have been missed before
    yield made
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_hint_is_heard(client: Redis, ear: Ear) -> None:
    RedisHints(client).send()
    await ear.next()
    assert ear.heard == 2


async def test_many_hints_at_once_become_few(client: Redis, ear: Ear) -> None:
    hints = RedisHints(client)
    for _ in range(1000):
        hints.send()
    await ear.next()
    await asyncio.sleep(0.2)
    assert ear.heard <= 3


async def test_a_lost_connection_is_made_anew_and_counts_as_a_hint(client: Redis, ear: Ear) -> None:
    await client.execute_command("CLIENT KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    await ear.next()
    RedisHints(client).send()
    await ear.next()


async def test_a_hint_without_redis_is_no_error() -> None:
    nobody = connect("redis://127.0.0.1:1/0")
    RedisHints(nobody).send()
    await asyncio.sleep(0.1)
    await nobody.aclose()
