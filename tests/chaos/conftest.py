"""Stories with real processes. `-m "not long"` is the part of `make test`; all of it is `make chaos`."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.support.chaos_nursery import Nursery
from tests.support.chaos_theatre import Theatre, is_story

from usher.adapters.embedded.postgres import EmbeddedPostgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let stories come last: while a test with a loop of its own runs, all stories on stage would stand still."""
    items.sort(key=is_story)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where managers come from."""
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def theatre(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    postgres_server: EmbeddedPostgres,
    database_template: str,  # noqa: ARG001 - what worlds' databases are copies of
) -> AsyncIterator[Theatre]:
    """Plays the stories of this session's tests; the first test that asks for it raises the curtain."""
    theatre = Theatre(tmp_path_factory.mktemp("chaos"), nursery.address, postgres_server.dsn)
    theatre.announce(request.session.items)
    yield theatre
    await theatre.close()
