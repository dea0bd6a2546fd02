"""What is Docker's own in the launcher: images, places, several managers and hosts, names, events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.docker_world import DockerWorld, docker_world
from tests.contract.launcher_worlds import PATIENCE_S, eventually
from tests.support.docker_proxy import DockerProxy, asks

from usher.adapters.launchers.docker.engine import Engine
from usher.adapters.launchers.docker.hosts import home_of
from usher.adapters.launchers.docker.launcher import DockerLauncher
from usher.adapters.launchers.docker.spent import SpentNames
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.protocol.last_words import MOST_BYTES

NAME = WorkloadName(7, 1)
_GORGE = ("python3", "-c", "kept = []\nwhile True: kept.append(b'x' * (1 << 20))")


@pytest.fixture
async def world() -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


async def ended(launcher: DockerLauncher, name: WorkloadName = NAME) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(observation := await launcher.observe(name), Running):  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.02)
    return observation


async def begun(launcher: DockerLauncher, name: WorkloadName, word: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while word not in await launcher.logs(name, last_bytes=100):  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.02)


async def test_a_bot_that_takes_too_much_memory_is_told_as_that(world: DockerWorld) -> None:
    launcher = world.launcher(command=_GORGE, memory_mb=32)
    await launcher.start(world.spec(NAME, "obey"))
    told = Exited(137, "out of memory", Reason.OUT_OF_MEMORY)
    assert await ended(launcher) == told
    assert await launcher.list() == {NAME: told}
    assert await world.launcher().stop(NAME, grace_s=1.0) == told


async def test_a_bot_killed_by_somebody_else_is_told_as_that(world: DockerWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "obey"))
    world.api.post(f"containers/{world.called(NAME)}/kill")
    assert await ended(launcher) == Exited(137, "killed by SIGKILL")
    assert await launcher.list() == {NAME: Exited(137, "killed by SIGKILL")}


async def test_a_paused_bot_runs_and_can_be_stopped(world: DockerWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "ignore"))
    await begun(launcher, NAME, b"ignore")
    world.api.post(f"containers/{world.called(NAME)}/pause")
    assert await launcher.observe(NAME) == Running()
    assert await launcher.list() == {NAME: Running()}
    assert await launcher.stop(NAME, grace_s=0.2) == Exited(137, "killed by SIGKILL")


@pytest.mark.parametrize("pull", ["never", "missing"])
async def test_a_missing_image_is_told_as_that(world: DockerWorld, pull: str) -> None:
    launcher = world.launcher(image="localhost:1/no-such-image:1", pull=pull)
    with pytest.raises(LaunchRejected, match="no-such-image") as caught:
        await launcher.start(world.spec(NAME, "obey"))
    assert caught.value.reason is Reason.IMAGE_MISSING
    assert await launcher.list() == {}


async def test_what_the_engine_will_not_make_is_rejected_and_leaves_nothing(world: DockerWorld) -> None:
    launcher = world.launcher(memory_mb=1)
    with pytest.raises(LaunchRejected, match="emory"):
        await launcher.start(world.spec(NAME, "obey"))
    assert world.containers() == []
    assert await launcher.observe(NAME) == Gone()


async def test_a_command_that_is_not_there_has_its_exit_code(world: DockerWorld) -> None:
    launcher = world.launcher(command=("/no/such/program",))
    await launcher.start(world.spec(NAME, "obey"))
    assert await ended(launcher) == Exited(127)
    assert b"/no/such/program" in await launcher.logs(NAME, last_bytes=1000)


async def test_no_host_gets_more_bots_than_it_has_places(world: DockerWorld) -> None:
    managers = [world.launcher(max_bots=2) for _ in range(2)]
    names = [WorkloadName(number, 1) for number in range(1, 7)]
    seen = 0

    async def watch() -> None:
        nonlocal seen
        label = f"usher.installation={world.options.installation}"
        while True:
            seen = max(seen, len(await asyncio.to_thread(world.api.containers, label=[label], status=["running"])))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    told = await asyncio.gather(
        *(managers[index % 2].start(world.spec(name, "obey")) for index, name in enumerate(names)),
        return_exceptions=True,
    )
    watching.cancel()
    started = [name for name, answer in zip(names, told, strict=True) if answer is None]
    assert [type(answer) for answer in told if answer is not None] == [NoRoom] * 4
    assert len(started) == 2 >= seen
    assert sorted(await managers[0].list() or ()) == sorted(started)

    refused = next(name for name in names if name not in started)
    with pytest.raises(NoRoom, match="all 2 places"):
        await managers[1].start(world.spec(refused, "obey"))
    await managers[0].stop(started[0], grace_s=0.0)
    await managers[1].start(world.spec(refused, "obey"))
    assert await managers[1].observe(refused) == Running()


async def test_a_place_that_was_counted_for_and_not_taken_yet_is_taken(world: DockerWorld, tmp_path: Path) -> None:
    async with DockerProxy(world.address, tmp_path / "proxy.sock") as proxy:
        proxy.hold = asks("POST", "/start")
        slow = world.launcher({"local": proxy.address}, max_bots=1)
        starting = asyncio.create_task(slow.start(world.spec(NAME, "obey")))
        await asyncio.wait_for(proxy.held.wait(), PATIENCE_S)
        with pytest.raises(NoRoom):
            await world.launcher(max_bots=1).start(world.spec(WorkloadName(8, 1), "obey"))
        proxy.release()
        await starting
    assert world.containers() == [world.called(NAME)]
    await eventually(lambda: world.running(NAME) == 1)


async def test_a_foreign_container_by_the_same_name_is_neither_adopted_nor_touched(world: DockerWorld) -> None:
    foreign = world.api.run(world.options.image, ["sleep", "600"], name=world.called(NAME))
    try:
        launcher = world.launcher()
        with pytest.raises(LaunchRejected, match="not Usher's"):
            await launcher.start(world.spec(NAME, "obey"))
        assert await launcher.observe(NAME) == Gone()
        assert await launcher.stop(NAME, grace_s=0.0) == Gone()
        await launcher.remove(NAME)
        assert await launcher.list() == {}
        assert world.api.get(f"containers/{foreign}/json")["State"]["Running"]
    finally:
        world.api.delete(f"containers/{foreign}", force=1)


async def test_another_installation_is_not_touched(world: DockerWorld) -> None:
    async with docker_world() as neighbour:
        theirs = neighbour.launcher()
        await theirs.start(neighbour.spec(NAME, "obey"))
        launcher = world.launcher()
        assert await launcher.list() == {}
        await launcher.start(world.spec(NAME, "obey"))
        await launcher.remove(NAME)
        assert await theirs.list() == {NAME: Running()}
        assert await theirs.observe(NAME) == Running()


async def test_only_its_maker_starts_a_container_and_an_abandoned_one_is_cleaned_up(world: DockerWorld) -> None:
    """Its maker died before it could start it. Nobody else can know that it will not be started in this moment."""
    config = {"Image": world.options.image, "Labels": await _labels(world)}
    world.api.post("containers/create", config, name=world.called(NAME))
    launcher = world.launcher(adopt_timeout_s=0.3)
    with pytest.raises(Unavailable, match="another manager"):
        await launcher.start(world.spec(NAME, "obey"))
    assert world.running(NAME) == 0
    assert await launcher.list() == {NAME: Running()}
    assert await launcher.stop(NAME, grace_s=1.0) == Gone()
    assert world.containers() == []


@pytest.mark.parametrize("at", ["create", "start"])
async def test_a_manager_paused_in_a_launch_does_not_bring_back_what_was_ended(
    world: DockerWorld, tmp_path: Path, at: str
) -> None:
    async with DockerProxy(world.address, tmp_path / "proxy.sock") as proxy:
        proxy.hold = asks("POST", f"/{at}")
        slow = world.launcher({"local": proxy.address})
        starting = asyncio.create_task(slow.start(world.spec(NAME, "obey")))
        await asyncio.wait_for(proxy.held.wait(), PATIENCE_S)
        other = world.launcher()
        assert await other.stop(NAME, grace_s=1.0) == Gone()
        await other.remove(NAME)
        proxy.release()
        with pytest.raises(LaunchRejected, match="ended before it began"):
            await starting
    assert world.containers() == []


async def test_a_stop_during_the_start_ends_it(world: DockerWorld) -> None:
    for number in range(1, 11):
        name = WorkloadName(number, 1)
        starting = asyncio.create_task(_attempt(world.launcher().start(world.spec(name, "obey"))))
        await asyncio.sleep(number * 0.02)
        left = await world.launcher().stop(name, grace_s=0.0)
        assert isinstance(left, Gone | Exited)
        await starting
        assert world.running(name) == 0


async def test_a_bot_is_asked_to_end_once_however_many_want_it_to(world: DockerWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "ignore"))
    await begun(launcher, NAME, b"ignore")
    told = await asyncio.gather(*(launcher.stop(NAME, grace_s=1.5) for _ in range(3)))
    assert told == [Exited(137, "killed by SIGKILL")] * 3
    assert (await launcher.logs(NAME, last_bytes=1000)).count(b"ignored") == 1


async def test_the_note_of_a_spent_name_is_forgotten_after_its_time(world: DockerWorld) -> None:
    engine = Engine(world.address, timeout_s=5.0)
    try:
        notes = SpentNames(engine, world.options, kept=timedelta(seconds=0.5))
        await notes.add(world.called(NAME))
        await asyncio.sleep(2.0)
        fresh = SpentNames(engine, world.options, kept=timedelta(seconds=0.5))
        await fresh.add(world.called(WorkloadName(8, 1)))
        assert not await fresh.has(world.called(NAME))
        assert await fresh.has(world.called(WorkloadName(8, 1)))
    finally:
        await engine.aclose()


async def test_events_wake(world: DockerWorld) -> None:
    launcher, woken = world.launcher(), asyncio.Event()
    listening = asyncio.create_task(world.launcher().listen(woken.set))
    try:
        await _stirring(woken, lambda: launcher.start(world.spec(NAME, "obey")))
        await _stirring(woken, lambda: launcher.stop(NAME, grace_s=PATIENCE_S))
        async with docker_world() as neighbour:
            await asyncio.sleep(0.2)
            woken.clear()
            await neighbour.launcher().start(neighbour.spec(NAME, "obey"))
            assert not woken.is_set()
    finally:
        listening.cancel()


async def test_the_output_is_bounded(world: DockerWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "print:5000000"))
    await ended(launcher)
    assert (await launcher.logs(NAME, last_bytes=100))[-5:] == b"xxend"
    assert len(await launcher.logs(NAME, last_bytes=10_000_000)) <= 2 << 20


async def test_last_words_that_are_too_long_are_not_read(world: DockerWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, f"bequeath:{MOST_BYTES}"))
    other = WorkloadName(8, 1)
    await launcher.start(world.spec(other, f"bequeath:{MOST_BYTES + 1}"))
    assert await ended(launcher) == await ended(launcher, other) == Exited(0)
    assert await launcher.last_words(NAME) == b"w" * MOST_BYTES
    assert await launcher.last_words(other) == b""


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/1/environ"])
async def test_a_link_in_the_place_of_last_words_leads_nowhere(world: DockerWorld, target: str) -> None:
    link = f"import os; os.symlink({target!r}, os.environ['USHER_LAST_WORDS'])"
    launcher = world.launcher(command=("python3", "-c", link))
    await launcher.start(world.spec(NAME, "obey"))
    assert await ended(launcher) == Exited(0)
    assert b"root" not in await launcher.last_words(NAME)


async def test_nothing_is_left_of_a_removed_workload_but_the_note(world: DockerWorld) -> None:
    launcher = world.launcher()
    before = _anonymous_volumes(world)
    await launcher.start(world.spec(NAME, "obey"))
    assert len(_anonymous_volumes(world) - before) == 1
    await launcher.remove(NAME)
    assert not _anonymous_volumes(world) - before
    assert world.containers() == []


async def test_a_silent_host_makes_its_own_workloads_unknown_and_no_others(world: DockerWorld, tmp_path: Path) -> None:
    hosts = {"here": world.address, "there": f"unix://{tmp_path}/nobody.sock"}
    launcher = world.launcher(hosts)
    names = [WorkloadName(number, 1) for number in range(1, 21)]
    here = [name for name in names if home_of(world.called(name), hosts) == "here"]
    there = next(name for name in names if name not in here)
    await launcher.start(world.spec(here[0], "obey"))
    with pytest.raises(Unavailable):
        await launcher.start(world.spec(there, "obey"))

    listed = await launcher.list()
    assert listed is not None
    assert [*listed] == [here[0]]
    assert listed.get(here[0]) == Running()
    assert listed.get(here[1]) is None
    assert listed.get(here[1], Gone()) == Gone()
    assert isinstance(listed.get(there), Unknown)
    assert isinstance(listed.get(there, Gone()), Unknown)
    assert isinstance(await launcher.observe(there), Unknown)
    assert isinstance(await launcher.stop(there, grace_s=0.0), Unknown)
    with pytest.raises(Unavailable):
        await launcher.remove(there)
    assert await launcher.observe(here[1]) == Gone()
    await begun(launcher, here[0], b"obey")
    assert await launcher.stop(here[0], grace_s=PATIENCE_S) == Exited(0)


async def test_a_workload_of_former_hosts_is_found_where_it_is(world: DockerWorld) -> None:
    """Both names are of one engine here: what counts is that the workload is not looked for at home alone."""
    await world.launcher().start(world.spec(NAME, "bequeath:5"))
    await ended(world.launcher())
    others = {f"host{number}": world.address for number in range(2)}
    launcher = world.launcher(others)
    assert await launcher.observe(NAME) == Exited(0)
    assert await launcher.last_words(NAME) == b"wwwww"
    await launcher.remove(NAME)
    assert world.containers() == []


async def test_the_network_is_made_once_and_made_again(world: DockerWorld) -> None:
    own = {"network": world.options.installation, "bridge": f"ub-{world.options.installation}"[:15]}
    managers = [world.launcher(**own) for _ in range(3)]
    label = f"usher.installation={world.options.installation}"
    try:
        starts = [m.start(world.spec(WorkloadName(n, 1), "obey")) for n, m in enumerate(managers, 1)]
        await asyncio.gather(*starts)
        networks = world.api.get("networks", filters={"label": [label]})
        assert [(one["Name"], one["Options"]["com.docker.network.bridge.enable_icc"]) for one in networks] == [
            (own["network"], "false")
        ]
        for number in range(1, 4):
            await managers[0].remove(WorkloadName(number, 1))
        world.api.delete(f"networks/{own['network']}")
        with pytest.raises(Unavailable, match="network"):
            await managers[0].start(world.spec(WorkloadName(4, 1), "obey"))
        assert world.containers() == []
        await managers[0].start(world.spec(WorkloadName(4, 2), "obey"))
    finally:
        world.api.sweep(label)


async def test_a_slow_engine_is_unknown_in_time(world: DockerWorld, tmp_path: Path) -> None:
    await world.launcher().start(world.spec(NAME, "obey"))
    async with DockerProxy(world.address, tmp_path / "proxy.sock") as proxy:
        launcher = world.launcher({"local": proxy.address}, call_timeout_s=0.3, start_timeout_s=0.5)
        assert await launcher.observe(NAME) == Running()
        proxy.silent = True
        async with asyncio.timeout(PATIENCE_S):
            assert isinstance(await launcher.observe(NAME), Unknown)
            assert isinstance(await launcher.stop(NAME, grace_s=0.1), Unknown)
            assert await launcher.list() is None
            assert await launcher.last_words(NAME) == b""
            for call in (
                launcher.start(world.spec(NAME, "obey")),
                launcher.remove(NAME),
                launcher.listen(lambda: None),
            ):
                with suppress(TimeoutError), pytest.raises(Unavailable):
                    await asyncio.wait_for(call, 2.0)
        proxy.silent = False
        assert await launcher.observe(NAME) == Running()


@pytest.mark.parametrize("lost", ["/create", "/start"])
async def test_an_answer_lost_after_the_engine_acted(world: DockerWorld, tmp_path: Path, lost: str) -> None:
    """The launch fails, because nobody knows; what came of it is ended like any other, and the next attempt runs."""
    async with DockerProxy(world.address, tmp_path / "proxy.sock") as proxy:
        launcher = world.launcher({"local": proxy.address})
        proxy.lose = asks("POST", "/containers/", lost)
        with pytest.raises(Unavailable):
            await launcher.start(world.spec(NAME, "obey"))
        proxy.lose = lambda _: False
        await eventually(lambda: world.containers() == [world.called(NAME)])
        assert await launcher.list() == {NAME: Running()}
        assert sum("/start" in request for request in proxy.requests) == (lost == "/start")
        assert isinstance(await launcher.stop(NAME, grace_s=PATIENCE_S), Exited | Gone)
        await launcher.remove(NAME)
        await launcher.start(world.spec(WorkloadName(7, 2), "obey"))
        assert await launcher.list() == {WorkloadName(7, 2): Running()}


async def _labels(world: DockerWorld) -> dict[str, str]:
    numbers = {"usher.meeting_id": str(NAME.meeting_id), "usher.attempt": str(NAME.attempt)}
    return {"usher.installation": world.options.installation, **numbers}


async def _attempt(start: Awaitable[None]) -> None:
    with suppress(LaunchRejected, Unavailable):
        await start


async def _stirring(woken: asyncio.Event, act: Callable[[], Awaitable[object]]) -> None:
    woken.clear()
    await act()
    await asyncio.wait_for(woken.wait(), PATIENCE_S)


def _anonymous_volumes(world: DockerWorld) -> set[str]:
    found = world.api.get("volumes")["Volumes"] or ()
    return {one["Name"] for one in found if len(one["Name"]) == 64}
