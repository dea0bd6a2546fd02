"""Stories that take their time, played beside each other: most of it is waiting for leases, claims and sweeps."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.chaos_story import tell
from tests.support.chaos_world import World, open_world
from tests.support.servers import fresh_database

from usher.adapters.embedded.ports import free_port
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.postgres.migrate import migrate
from usher.settings import LifecycleSettings

STAGES = 6
"""Stories at a time: enough to keep two cores busy, few enough that each gets its turn."""

TIMEOUT_S = 900
"""Of one test: it may have to wait for others to leave the stage."""

_MIGRATING = asyncio.Lock()
"""Alembic keeps what it is doing in global variables."""

Play = Callable[..., Awaitable[None]]


class Stage:
    """Where one story is played."""

    def __init__(self, directory: Path, nursery: Path, server_dsn: str) -> None:
        self.directory, self._nursery, self._server_dsn = directory, nursery, server_dsn

    @asynccontextmanager
    async def world(
        self, *, dsn: str | None = None, pace: LifecycleSettings | None = None, proxied: bool = False
    ) -> AsyncIterator[World]:
        """Open a world; what goes wrong in it is told with its story.

        Args:
            dsn: Of a migrated database; one on the session's server if left out.
            pace: Limits of meetings' lives, if not the usual.
            proxied: See `open_world`.
        """
        if dsn is None:
            async with (
                fresh_database(self._server_dsn) as own,
                self.world(dsn=own, pace=pace, proxied=proxied) as world,
            ):
                yield world
            return
        options = {} if pace is None else {"pace": pace}
        directory = self.directory / f"world-{len(list(self.directory.iterdir())) + 1}"
        async with open_world(directory, self._nursery, dsn, proxied=proxied, **options) as world:
            try:
                yield world
            except BaseException as error:
                error.add_note(await tell(world))
                raise

    @asynccontextmanager
    async def postgres(self, directory: Path | None = None) -> AsyncIterator[EmbeddedPostgres]:
        """Start a migrated PostgreSQL of the story's own, which keeps its port and what was committed."""
        home = directory or self.directory / "disk"
        home.mkdir(exist_ok=True)
        async with EmbeddedPostgres(home / "postgres", port=free_port()) as server:
            async with _MIGRATING:
                await migrate(server.dsn)
            yield server


class Theatre:
    """Plays the stories of the tests that were selected, some at a time."""

    def __init__(self, directory: Path, nursery: Path, server_dsn: str) -> None:
        self._directory, self._nursery, self._server_dsn = directory, nursery, server_dsn
        self._stages = asyncio.Semaphore(STAGES)
        self._plays: dict[str, asyncio.Task[None]] = {}

    def announce(self, items: list[pytest.Item]) -> None:
        """Begin all stories among the tests of a session."""
        for item in items:
            if isinstance(item, pytest.Function) and is_story(item):
                parameters = item.callspec.params if hasattr(item, "callspec") else {}
                playing = self._perform(item.function.play, f"story-{len(self._plays) + 1}", parameters)
                self._plays[item.nodeid] = asyncio.create_task(playing, name=item.nodeid)

    async def outcome(self, item: pytest.Item) -> None:
        """Wait for the end of a test's story, and raise what went wrong in it."""
        await self._plays[item.nodeid]

    async def close(self) -> None:
        """End what is still played."""
        for play in self._plays.values():
            play.cancel()
        if self._plays:
            await asyncio.wait(self._plays.values())

    async def _perform(self, play: Play, name: str, parameters: dict[str, Any]) -> None:
        async with self._stages:
            directory = self._directory / name
            directory.mkdir()
            await play(Stage(directory, self._nursery, self._server_dsn), **parameters)


def is_story(item: pytest.Item) -> bool:
    """Say whether a test is a story."""
    return hasattr(getattr(item, "function", None), "play")


def story(play: Play) -> Callable[..., Awaitable[None]]:
    """Make a test of a coroutine function that takes a `Stage` first, and then the test's parameters."""

    async def test(theatre: Theatre, request: pytest.FixtureRequest, **_: object) -> None:
        await theatre.outcome(request.node)

    _, *parameters = inspect.signature(play).parameters.values()
    fixtures = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("theatre", "request")]
    vars(test).update(__signature__=inspect.Signature([*fixtures, *parameters]), play=play)
    test.__name__, test.__doc__, test.__module__ = play.__name__, play.__doc__, play.__module__
    marked: Callable[..., Awaitable[None]] = pytest.mark.timeout(TIMEOUT_S)(
        pytest.mark.asyncio(loop_scope="session")(test)
    )
    return marked
