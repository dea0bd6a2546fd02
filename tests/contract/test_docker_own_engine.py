"""What takes an engine of the test's own: it is killed, stopped and started again, and runs out of room."""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.docker_world import DockerWorld, bot_image
from tests.contract.launcher_worlds import PATIENCE_S
from tests.support.docker_api import DockerApi
from tests.support.docker_daemon import DockerDaemon, can_run_docker
from tests.support.engines import needs_engine

from usher.adapters.launchers.docker.launcher import DockerLauncher
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.reconcile import Exited, Gone, Running, Unknown, WorkloadName

_MEETINGS = 6


@pytest.fixture(scope="module")
def daemon() -> Iterator[DockerDaemon]:
    """An engine that is not started yet."""
    if not can_run_docker():
        pytest.skip("only root can start a Docker engine of the test's own")
    directory = Path(tempfile.mkdtemp(prefix="usher-docker-"))  # the path of a socket has to be short
    try:
        with DockerDaemon(directory) as made:
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def image(daemon: DockerDaemon) -> str:
    """The bot's image, brought from the engine of the other tests."""
    api = DockerApi(needs_engine("docker"))
    name = bot_image(api)
    daemon.start(live_restore=False)
    daemon.api.send("POST", "images/load", {}, api.send("GET", f"images/{name}/get", {})[1])
    daemon.stop()
    return name


@pytest.fixture
async def world(daemon: DockerDaemon, image: str, live_restore: bool) -> AsyncIterator[DockerWorld]:
    daemon.start(live_restore=live_restore)
    made = DockerWorld(daemon.address, image, network="none")
    yield made
    await made.close()
    daemon.stop()


@dataclass
class Manager:
    """Does with the launcher what the system does: an attempt that failed is ended for certain, then comes the next."""

    world: DockerWorld
    launcher: DockerLauncher
    meeting_id: int
    attempt: int = 1
    stopped: bool = False

    @property
    def name(self) -> WorkloadName:
        return WorkloadName(self.meeting_id, self.attempt)

    async def keep(self) -> None:
        """Launch until something runs, or a stop was asked for; launch again what ended by itself."""
        while not self.stopped:
            if await self._is_running():
                await asyncio.sleep(0.05)
            else:
                await self._end()
                self.attempt += 1
        await self._end()

    async def _is_running(self) -> bool:
        try:
            await self.launcher.start(self.world.spec(self.name, "obey"))
        except (Unavailable, LaunchRejected):
            return False
        return isinstance(await self.launcher.observe(self.name), Running | Unknown)

    async def _end(self) -> None:
        while not isinstance(await self.launcher.stop(self.name, grace_s=0.5), Exited | Gone):  # noqa: ASYNC110 - the engine is polled
            await asyncio.sleep(0.1)
        with suppress(Unavailable):
            return await self.launcher.remove(self.name)
        await asyncio.sleep(0.1)
        return await self._end()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("live_restore", [False, True])
async def test_after_an_engine_was_killed_and_stopped_exactly_what_should_run_runs(
    world: DockerWorld,
    daemon: DockerDaemon,
    live_restore: bool,
) -> None:
    chance = random.Random(live_restore)  # noqa: S311 - a test's lots
    launchers = [world.launcher(call_timeout_s=2.0, start_timeout_s=5.0, adopt_timeout_s=1.0) for _ in range(2)]
    managers = [Manager(world, launchers[number % 2], number) for number in range(1, _MEETINGS + 1)]
    most: Counter[int] = Counter()
    watching = asyncio.create_task(_watch(world, most))
    keeping = [asyncio.create_task(manager.keep()) for manager in managers]

    for end in (daemon.kill, daemon.stop, daemon.kill):
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        await asyncio.to_thread(end)
        chance.choice([manager for manager in managers if not manager.stopped]).stopped = True
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        await asyncio.to_thread(daemon.start, live_restore=live_restore)

    wanted = [manager for manager in managers if not manager.stopped]
    async with asyncio.timeout(4 * PATIENCE_S):
        while not await _is_settled(world, managers, keeping):  # noqa: ASYNC110 - the engine is polled
            await asyncio.sleep(0.1)
    assert world.containers() == sorted(world.called(manager.name) for manager in wanted)
    assert max(most.values()) == 1, most
    watching.cancel()
    for task in keeping:
        task.cancel()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("live_restore", [False, True])
async def test_what_runs_outlives_a_killed_engine_if_that_is_so_configured(
    world: DockerWorld,
    daemon: DockerDaemon,
    live_restore: bool,
) -> None:
    launcher, name = world.launcher(call_timeout_s=2.0), WorkloadName(1, 1)
    await launcher.start(world.spec(name, "obey"))
    daemon.kill()
    assert isinstance(await launcher.observe(name), Unknown)
    assert await launcher.list() is None
    daemon.start(live_restore=live_restore)
    observation = await launcher.observe(name)
    assert isinstance(observation, Running if live_restore else Exited), observation
    assert world.running(name) == int(live_restore)
    assert await launcher.list() == {name: observation}


@pytest.mark.parametrize("live_restore", [False])
async def test_a_full_disk_is_want_of_room(world: DockerWorld, daemon: DockerDaemon) -> None:
    launcher, name = world.launcher(), WorkloadName(1, 1)
    with daemon.small_disk_for_containers() as disk:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        with pytest.raises(NoRoom, match="no space left"):
            await launcher.start(world.spec(name, "obey"))
        assert await launcher.list() == {}
        filler.unlink()
        await launcher.start(world.spec(name, "obey"))
        assert world.running(name) == 1
        await launcher.remove(name)


async def _watch(world: DockerWorld, most: "Counter[int]") -> None:
    """Look for two live workloads of one meeting, whenever the engine answers."""
    label = f"usher.installation={world.options.installation}"
    while True:
        with suppress(OSError, ValueError):
            rows = await asyncio.to_thread(world.api.containers, label=[label], status=["running"])
            for meeting_id, live in Counter(int(row["Labels"]["usher.meeting_id"]) for row in rows).items():
                most[meeting_id] = max(most[meeting_id], live)
        await asyncio.sleep(0.02)


async def _is_settled(world: DockerWorld, managers: list[Manager], keeping: list[asyncio.Task[None]]) -> bool:
    """Say whether the stopped are over and the others run."""
    for task in keeping:
        if task.done():
            task.result()
    over = all(task.done() == manager.stopped for task, manager in zip(keeping, managers, strict=True))
    return over and all(manager.stopped or world.running(manager.name) == 1 for manager in managers)
