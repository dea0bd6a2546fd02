"""What the contract suites of stores have in common: each test runs on the store in memory and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.store_worlds import World, opened

from usher.ports import Store


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("database_dsn") if request.param == "postgres" else None


@pytest.fixture
async def world(dsn: str | None) -> AsyncIterator[World]:
    async with opened(dsn) as made:
        yield made


@pytest.fixture
def store(world: World) -> Store:
    return world.store
