"""A Nomad of the test's own: agents are killed, nodes are lost, drained, and taken by something more important."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contract.launcher_worlds import PATIENCE_S, eventually
from tests.contract.nomad_world import Nomad, NomadWorld, has_driver
from tests.support.nomad_agent import OwnNomad

from usher.adapters.launchers.nomad.launcher import NomadLauncher
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName

NAME = WorkloadName(7, 1)
NAMES = [WorkloadName(number, 1) for number in range(1, 7)]
CUT_OFF_S = 2.0


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnNomad]:
    made = OwnNomad(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["raw_exec"])
async def world(own: OwnNomad, request: pytest.FixtureRequest) -> AsyncIterator[NomadWorld]:
    nomad = Nomad(own.address, own.token)
    if not has_driver(nomad, request.param):
        pytest.skip(f"Nomad has no driver {request.param} here: `make engines` starts a Docker")
    made = NomadWorld(nomad, request.param, lost_after_s=CUT_OFF_S, kill_timeout_s=1.0)
    yield made
    await made.close()


async def again(call: Callable[[], Coroutine[Any, Any, Observation | None]]) -> Observation | None:
    """Call until the engine is sure, as the outbox does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if not isinstance(said := await call(), Unknown):
                    return said
            except Unavailable:
                pass
            await asyncio.sleep(0.2)


async def seen(launcher: NomadLauncher, wanted: Callable[[Observation], bool]) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(observation := await launcher.observe(NAME)):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.1)
    return observation


async def obeying(launcher: NomadLauncher, world: NomadWorld, name: WorkloadName) -> None:
    """Start a bot, and wait until it obeys a request to end."""
    await launcher.start(world.spec(name, "obey"))
    async with asyncio.timeout(PATIENCE_S):
        while b"obey" not in await launcher.logs(name, last_bytes=100):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.05)


def placed(world: NomadWorld) -> list[Any]:
    return list(world.nomad.ask("GET", "/v1/allocations", filter=f'JobID matches "^{world.installation}-"'))


def mostly(world: NomadWorld) -> int:
    return max(map(world.running, NAMES))


@pytest.mark.parametrize("world", ["docker"], indirect=True)  # see the ADR for what raw_exec makes of this
async def test_an_agent_killed_during_launches_and_stops_doubles_nothing_and_loses_nothing(
    own: OwnNomad, world: NomadWorld
) -> None:
    launcher, most = world.launcher(), 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, mostly(world))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    starts = [asyncio.create_task(again(partial(launcher.start, world.spec(name, "obey")))) for name in NAMES]
    await eventually(lambda: mostly(world) == 1)
    own.kill()
    assert await launcher.list() is None
    assert isinstance(await launcher.observe(NAMES[0]), Unknown)
    await own.start()
    await asyncio.gather(*starts)
    async with asyncio.timeout(PATIENCE_S):
        while any(world.running(name) != 1 for name in NAMES):
            await launcher.list()
            await asyncio.sleep(0.1)
    # What an agent started in the moment of its death it knows again only when it has looked: see the ADR.
    await eventually(lambda: [one["ClientStatus"] for one in placed(world)] == ["running"] * len(NAMES))
    assert await launcher.list() == dict.fromkeys(NAMES, Running())
    stops = [asyncio.create_task(again(partial(launcher.stop, name, grace_s=5.0))) for name in NAMES]
    await eventually(lambda: any(world.running(name) == 0 for name in NAMES))
    own.kill()
    await own.start()
    ends = await asyncio.gather(*stops)
    assert all(isinstance(end, Exited) for end in ends)
    await eventually(lambda: mostly(world) == 0)
    for name in NAMES:
        await launcher.remove(name)
    assert await launcher.list() == {}
    watching.cancel()
    assert most == 1


async def test_a_lost_node_is_no_verdict_until_its_bots_have_stopped_by_themselves(
    own: OwnNomad, world: NomadWorld
) -> None:
    nomad = world.nomad
    (first,) = nomad.ask("GET", "/v1/nodes")
    await own.start_second()
    await eventually(lambda: [one["Status"] for one in nomad.ask("GET", "/v1/nodes")] == ["ready", "ready"])
    closed = {"Eligibility": "ineligible", "NodeID": first["ID"]}
    nomad.ask("PUT", f"/v1/node/{first['ID']}/eligibility", closed)
    launcher = world.launcher(stop_when_cut_off=True)
    await launcher.start(world.spec(NAME, "obey"))
    await eventually(lambda: world.running(NAME) == 1)
    assert await launcher.observe(NAME) == Running()
    nomad.ask("PUT", f"/v1/node/{first['ID']}/eligibility", closed | {"Eligibility": "eligible"})
    await own.kill_second()
    assert await seen(launcher, lambda one: one != Running()) == Unknown(
        "its node does not answer; the bot may still run there"
    )
    # Nomad has placed it again, on the first node; and the bot of a killed agent runs on.
    path = f"/v1/job/{world.job_id(NAME)}/allocations"
    await eventually(lambda: len(nomad.ask("GET", path)) == 2)
    assert world.running(NAME) == 1
    assert await launcher.list() == {NAME: await launcher.observe(NAME)}
    assert await seen(launcher, lambda one: not isinstance(one, Unknown)) == Exited(
        None, "its node was lost", Reason.NODE_LOST
    )
    assert world.running(NAME) == 1
    await own.start_second()
    await eventually(lambda: world.running(NAME) == 0)
    await launcher.remove(NAME)
    assert await launcher.observe(NAME) == Gone()


async def test_a_drain_and_something_more_important_are_told_as_that(world: NomadWorld) -> None:
    nomad, launcher = world.nomad, world.launcher()
    (node,) = nomad.ask("GET", "/v1/nodes")
    await obeying(launcher, world, NAME)
    deadline = {"DrainSpec": {"Deadline": 100_000_000}}
    nomad.ask("PUT", f"/v1/node/{node['ID']}/drain", {"NodeID": node["ID"], **deadline})
    assert await seen(launcher, lambda one: isinstance(one, Exited)) == Exited(
        0, "it had to leave its node", Reason.PREEMPTED
    )
    await eventually(lambda: not nomad.ask("GET", f"/v1/node/{node['ID']}")["DrainStrategy"])
    nomad.ask("PUT", f"/v1/node/{node['ID']}/drain", {"NodeID": node["ID"], "MarkEligible": True})
    await launcher.remove(NAME)

    policy = {"PreemptionConfig": {"BatchSchedulerEnabled": True}, "SchedulerAlgorithm": "binpack"}
    nomad.ask("PUT", "/v1/operator/scheduler/configuration", policy)
    memory_mb = nomad.ask("GET", f"/v1/node/{node['ID']}")["NodeResources"]["Memory"]["MemoryMB"] * 2 // 3
    second = WorkloadName(8, 1)
    big = world.launcher(memory_mb=memory_mb)
    await obeying(big, world, second)
    job_id = f"{world.installation}-other"
    resources = {"CPU": 20, "MemoryMB": memory_mb}
    task = {"Name": "web", "Driver": "raw_exec", "Config": {"command": "/bin/true"}, "Resources": resources}
    job = {"ID": job_id, "Name": job_id, "Type": "batch", "Datacenters": ["*"], "Priority": 90}
    nomad.ask("PUT", "/v1/jobs", {"Job": job | {"TaskGroups": [{"Name": "web", "Tasks": [task]}]}})
    await eventually(lambda: world.running(second) == 0)
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(end := await big.observe(second), Running):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.1)
    assert end == Exited(0, "its place was taken by something more important", Reason.PREEMPTED)
