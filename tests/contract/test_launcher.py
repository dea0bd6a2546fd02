"""What every launcher has to do. `make engines` starts the engines; without one, its part is skipped and says so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from tests.contract import docker_world, kubernetes_world, nomad_world
from tests.contract.launcher_worlds import PATIENCE_S, World, eventually, memory_world, process_world

from usher.domain.errors import LaunchRejected
from usher.domain.reconcile import Exited, Gone, Observation, Running, WorkloadName
from usher.ports import Launcher

NAME = WorkloadName(7, 1)


WORLDS: dict[str, Callable[[Path], AbstractAsyncContextManager[World]]] = {
    "memory": memory_world,
    "process": process_world,
    "docker": docker_world.docker_world,
    "nomad-raw_exec": nomad_world.raw_exec_world,
    "nomad-docker": nomad_world.docker_world,
    "kubernetes": kubernetes_world.kubernetes_world,
}


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with WORLDS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def launcher(world: World) -> Launcher:
    return world.launcher()


async def ended(launcher: Launcher, name: WorkloadName = NAME) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(observation := await launcher.observe(name), Running):  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.02)
    return observation


async def printed(launcher: Launcher, word: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while word not in await launcher.logs(NAME, last_bytes=1000):  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.02)


async def test_a_started_workload_runs(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.observe(NAME) == Running()
    assert await launcher.list() == {NAME: Running()}
    await eventually(lambda: world.running(NAME) == 1)


async def test_a_second_start_is_none(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "obey"))
    await launcher.start(world.spec(NAME, "obey"))
    await eventually(lambda: world.running(NAME) == 1)


async def test_starts_at_once_by_two_managers_are_one(world: World) -> None:
    managers = [world.launcher(), world.launcher()]
    spec = world.spec(NAME, "obey")
    await asyncio.gather(*(manager.start(spec) for manager in managers * 4))
    await eventually(lambda: world.running(NAME) == 1)
    assert await managers[0].stop(NAME, grace_s=PATIENCE_S)
    assert world.running(NAME) == 0


async def test_a_workload_that_has_ended_is_not_started_again(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "exit:3"))
    assert await ended(launcher) == Exited(3)
    await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.observe(NAME) == Exited(3)
    assert world.running(NAME) == 0


@pytest.mark.parametrize("code", [0, 1, 42])
async def test_the_exit_code_is_told(world: World, launcher: Launcher, code: int) -> None:
    await launcher.start(world.spec(NAME, f"exit:{code}"))
    assert await ended(launcher) == Exited(code)
    assert await launcher.list() == {NAME: Exited(code)}


async def test_a_bot_that_obeys_ends_by_itself(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "obey"))
    await printed(launcher, b"obey")
    assert await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)
    assert world.running(NAME) == 0


async def test_a_bot_that_ignores_the_request_is_killed_after_the_grace(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "ignore"))
    await printed(launcher, b"ignore")
    assert await launcher.stop(NAME, grace_s=0.2) == Exited(137, "killed by SIGKILL")
    assert world.running(NAME) == 0


async def test_a_second_stop_says_the_same(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "obey"))
    await printed(launcher, b"obey")
    first, second = await asyncio.gather(*(launcher.stop(NAME, grace_s=PATIENCE_S) for _ in range(2)))
    assert first == second == await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)


async def test_what_was_never_started_is_gone(launcher: Launcher) -> None:
    assert await launcher.observe(NAME) == Gone()
    assert await launcher.stop(NAME, grace_s=1.0) == Gone()
    assert await launcher.list() == {}
    assert await launcher.logs(NAME, last_bytes=10) == b""
    await launcher.remove(NAME)


async def test_removing_kills_and_forgets(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "ignore"))
    await printed(launcher, b"ignore")
    await launcher.remove(NAME)
    assert world.running(NAME) == 0
    assert await launcher.observe(NAME) == Gone()
    assert await launcher.list() == {}
    await launcher.remove(NAME)


async def test_one_workload_is_not_another(world: World, launcher: Launcher) -> None:
    other = WorkloadName(7, 11)
    await launcher.start(world.spec(NAME, "obey"))
    await launcher.start(world.spec(other, "obey"))
    await eventually(lambda: world.running(other) == 1)
    await launcher.stop(NAME, grace_s=PATIENCE_S)
    assert await launcher.observe(other) == Running()
    assert world.running(other) == 1


async def test_the_end_of_the_output_is_kept(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "print:5000"))
    await ended(launcher)
    # Nomad tells of the end of a container before it has written all of its output.
    await printed(launcher, b"xxend")
    assert await launcher.logs(NAME, last_bytes=5) == b"xxend"
    assert (await launcher.logs(NAME, last_bytes=100_000)).startswith(b"print s3cret\nxxx")


async def test_a_restarted_manager_adopts_what_runs(world: World, launcher: Launcher) -> None:
    await launcher.start(world.spec(NAME, "obey"))
    await printed(launcher, b"obey")
    after = world.launcher()
    assert await after.list() == {NAME: Running()}
    await after.start(world.spec(NAME, "obey"))
    assert world.running(NAME) == 1
    assert await after.stop(NAME, grace_s=PATIENCE_S) == Exited(0)


async def test_last_words_outlive_the_bot_and_end_with_the_workload(world: World, launcher: Launcher) -> None:
    assert await launcher.last_words(NAME) == b""
    await launcher.start(world.spec(NAME, "bequeath:1000"))
    assert isinstance(await ended(launcher), Exited)
    assert await world.launcher().last_words(NAME) == b"w" * 1000
    await launcher.remove(NAME)
    assert await launcher.last_words(NAME) == b""


@pytest.mark.parametrize("ran", [True, False])
async def test_a_name_that_was_ended_is_not_started_again(world: World, launcher: Launcher, *, ran: bool) -> None:
    """A manager that was paused in the middle of a launch goes on when others have seen the attempt to its end."""
    if ran:
        await launcher.start(world.spec(NAME, "obey"))
        await launcher.remove(NAME)
    else:
        assert await launcher.stop(NAME, grace_s=0.0) == Gone()
    with pytest.raises(LaunchRejected):
        await world.launcher().start(world.spec(NAME, "obey"))
    assert world.running(NAME) == 0
    assert await launcher.list() == {}


async def test_a_start_and_a_stop_at_once_leave_nothing_running(world: World) -> None:
    for number in range(1, 6):
        name = WorkloadName(number, 1)
        await asyncio.gather(
            world.launcher().start(world.spec(name, "obey")),
            world.launcher().stop(name, grace_s=0.0),
            return_exceptions=True,
        )
        await eventually(lambda name=name: world.running(name) == 0)  # type: ignore[misc]  # mypy does not infer it
