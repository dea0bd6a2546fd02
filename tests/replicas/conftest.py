"""Replicas for tests: `house` is a platform's, one for all tests of a module; `stage` is one call in it.

Tests that use them run in the module's event loop: `pytest.mark.asyncio(loop_scope="module")`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.replicas.stage import House, ReplicaStage, open_house, replica_stage
from tests.support.bot_theatre import Theatre, open_theatre

from usher.domain.meeting import Platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The replica of the platform that is the fixture's parameter."""
    async with open_house(Platform(request.param), tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stage(house: House) -> AsyncIterator[ReplicaStage]:
    """A call on the replica of `house`."""
    async with replica_stage(house) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def theatre(redis_url: str) -> AsyncIterator[Theatre]:
    """Everything that a bot talks to."""
    async with open_theatre(redis_url) as opened:
        yield opened
