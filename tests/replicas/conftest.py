"""Replicas for tests: `house` is a platform's, one for all tests of a module; `stage` is one call in it.

Tests that use them run in the module's event loop: `pytest.mark.asyncio(loop_scope="module")`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.replicas.scenarios import NOT_THERE
from tests.replicas.stage import House, ReplicaStage, open_house, replica_stage
from tests.support.bot_theatre import Theatre, open_theatre

from usher.domain.meeting import Platform


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the scenarios that do not exist on a platform."""
    absent = [item for item in items if _platform_and_scenario(item) in NOT_THERE]
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in absent]


def _platform_and_scenario(item: pytest.Item) -> tuple[str, str]:
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return str(given.get("house", "")), str(given.get("scenario", ""))


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
