"""What only a real Nomad can show."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.contract.launcher_worlds import PATIENCE_S, eventually
from tests.contract.nomad_world import NomadWorld, docker_world, raw_exec_world
from tests.support.engines import engine_address
from tests.support.tcp_proxy import TcpProxy

from usher.adapters.launchers.nomad.api import NomadApi
from usher.adapters.launchers.nomad.launcher import NomadLauncher
from usher.adapters.launchers.nomad.tickets import Tickets
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.ports import WorkloadSpec

NAME = WorkloadName(7, 1)
LEFT = Exited(None, "it was ended before it began")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[NomadWorld]:
    async with raw_exec_world(tmp_path) as made:
        yield made


@pytest.fixture
async def containers(tmp_path: Path) -> AsyncIterator[NomadWorld]:
    async with docker_world(tmp_path) as made:
        yield made


@pytest.fixture
async def proxy(world: NomadWorld) -> AsyncIterator[TcpProxy]:
    """A way to Nomad that can be cut."""
    async with TcpProxy([urlsplit(world.nomad.address).port or 0]) as made:
        yield made


def beyond(proxy: TcpProxy) -> str:
    return f"http://127.0.0.1:{proxy.port}"


def environment_of(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return dict(line.decode().split("=", 1) for line in lines if line)


async def begun(world: NomadWorld, launcher: NomadLauncher, behaviour: str = "obey") -> None:
    await launcher.start(world.spec(NAME, behaviour))
    async with asyncio.timeout(PATIENCE_S):
        while behaviour.encode() not in await launcher.logs(NAME, last_bytes=100):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.05)


async def ended(launcher: NomadLauncher) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(observation := await launcher.observe(NAME), Running | Unknown):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.05)
    return observation


async def test_no_secret_is_in_the_job_and_none_is_left_after_the_end(world: NomadWorld) -> None:
    launcher = world.launcher()
    await begun(world, launcher)
    job_id = world.job_id(NAME)
    seen = [world.nomad.ask("GET", f"/v1/job/{job_id}{one}") for one in ("", "/versions", "/allocations")]
    (allocation,) = seen[2]
    seen.append(world.nomad.ask("GET", f"/v1/allocation/{allocation['ID']}"))
    assert "s3cret" not in json.dumps(seen)
    assert "s3cret" in json.dumps(world.nomad.ask("GET", f"/v1/var/nomad/jobs/{job_id}"))
    await launcher.stop(NAME, grace_s=PATIENCE_S)
    assert "s3cret" not in json.dumps(world.nomad.ask("GET", f"/v1/var/nomad/jobs/{job_id}"))
    await launcher.remove(NAME)
    kept = world.nomad.http.get(f"/v1/client/fs/ls/{allocation['ID']}", params={"path": "/"})
    assert kept.status_code >= 400  # what it printed and its last words are gone, too


async def test_the_environment_arrives_unchanged(world: NomadWorld) -> None:
    hard = {
        "BEHAVIOUR": "obey",
        "QUOTED": "\"double\" 'single' `back` \\ # end ",
        "LINES": "a\nb\r\n\tc\x0b\x7f",
        "NO_TEMPLATE": '{{ env "PATH" }} ${NOMAD_ALLOC_ID} $HOME %s <&>',
        "UNICODE": "ü ☃ 😀 \u2028 \ufeff",
        "EMPTY": "",
        "_under.score9": json.dumps({"token": "x" * 30_000}),
    }
    await world.launcher().start(WorkloadSpec(NAME, hard))
    await eventually(lambda: world.running(NAME) == 1)
    (process,) = world.processes(NAME)
    got = environment_of(process)
    assert {key: got.get(key) for key in hard} == hard


@pytest.mark.parametrize(
    "variable",
    [("SIZE", "x" * 70_000), ("NULL", "a\0b"), ("HALF", "\ud83d"), ("a b", ""), ("9", "")],
    ids=["size", "null", "surrogate", "space", "digit"],
)
async def test_what_cannot_be_handed_to_a_bot_is_rejected(world: NomadWorld, variable: tuple[str, str]) -> None:
    launcher = world.launcher()
    with pytest.raises(LaunchRejected):
        await launcher.start(WorkloadSpec(NAME, dict([variable])))
    assert await launcher.list() == {}


async def test_a_job_that_nomad_does_not_take_is_rejected(world: NomadWorld) -> None:
    launcher = world.launcher(memory_mb=1)
    with pytest.raises(LaunchRejected, match="minimum MemoryMB"):
        await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.observe(NAME) == Gone()


async def test_want_of_room_is_told_and_a_bot_that_waits_can_be_stopped(world: NomadWorld) -> None:
    launcher = world.launcher(memory_mb=10_000_000)
    await launcher.start(world.spec(NAME, "obey"))
    async with asyncio.timeout(PATIENCE_S):
        while await launcher.observe(NAME) == Running():  # noqa: ASYNC110 - the scheduler is polled
            await asyncio.sleep(0.02)
    waiting = Running(waiting="no room: memory exhausted on 1 of 1 nodes")
    assert await launcher.observe(NAME) == waiting
    assert await launcher.list() == {NAME: waiting}
    assert await launcher.stop(NAME, grace_s=1.0) == LEFT
    assert await launcher.list() == {NAME: LEFT}
    await launcher.remove(NAME)
    assert await launcher.list() == {}


async def test_a_bot_killed_from_outside_is_told_as_that(world: NomadWorld) -> None:
    launcher = world.launcher()
    await begun(world, launcher)
    (process,) = world.processes(NAME)
    os.kill(process, signal.SIGKILL)
    assert await ended(launcher) == Exited(137, "killed by SIGKILL")


async def test_a_job_that_its_operator_purged_is_gone_and_not_started_again(world: NomadWorld) -> None:
    launcher = world.launcher()
    await begun(world, launcher)
    world.nomad.ask("DELETE", f"/v1/job/{world.job_id(NAME)}", purge="true")
    assert await launcher.observe(NAME) == Gone()
    with pytest.raises(LaunchRejected):
        await launcher.start(world.spec(NAME, "obey"))
    await eventually(lambda: world.running(NAME) == 0)


async def test_what_nomad_places_again_never_begins(world: NomadWorld) -> None:
    """Stopping an allocation makes Nomad replace it, whatever the job says of rescheduling."""
    launcher = world.launcher()
    await begun(world, launcher)
    path = f"/v1/job/{world.job_id(NAME)}/allocations"
    (first,) = world.nomad.ask("GET", path)
    world.nomad.ask("PUT", f"/v1/allocation/{first['ID']}/stop")
    moved = Exited(0, "it had to leave its node", Reason.PREEMPTED)
    assert await ended(launcher) == moved
    await eventually(lambda: len(world.nomad.ask("GET", path)) == 2)
    for _ in range(10):
        assert await world.launcher().list() == {NAME: moved}
        assert world.running(NAME) == 0
        await asyncio.sleep(0.2)
    assert await launcher.stop(NAME, grace_s=1.0) == moved
    await launcher.remove(NAME)
    assert await launcher.list() == {}


async def test_foreign_jobs_and_other_installations_are_left_alone(world: NomadWorld, tmp_path: Path) -> None:
    job_id = world.job_id(NAME)
    program = {"command": "/bin/sleep", "args": ["600"]}
    task = {"Name": "web", "Driver": "raw_exec", "Config": program, "Resources": {"CPU": 20, "MemoryMB": 10}}
    job = {"ID": job_id, "Name": job_id, "Type": "batch", "Datacenters": ["*"]}
    world.nomad.ask("PUT", "/v1/jobs", {"Job": job | {"TaskGroups": [{"Name": "web", "Tasks": [task]}]}})
    launcher = world.launcher()
    async with raw_exec_world(tmp_path) as other:
        await other.launcher().start(other.spec(NAME, "obey"))
        assert await launcher.list() == {}
        with pytest.raises(LaunchRejected, match="not Usher's"):
            await launcher.start(world.spec(NAME, "obey"))
        assert await launcher.stop(NAME, grace_s=0.0) == Gone()
        await launcher.remove(NAME)
        assert not world.nomad.ask("GET", f"/v1/job/{job_id}")["Stop"]
        await eventually(lambda: other.running(NAME) == 1)


@pytest.mark.parametrize("token", ["", "11111111-2222-3333-4444-555555555555", "poor"])
async def test_without_rights_nothing_is_concluded(world: NomadWorld, token: str) -> None:
    await begun(world, world.launcher())
    poor = f"{world.installation}poor"
    made = world.nomad.token(poor, 'namespace "other" { policy = "write" }')
    launcher = world.launcher(token=made if token == "poor" else token)
    with pytest.raises(Unavailable, match="token"):
        await launcher.start(world.spec(WorkloadName(8, 1), "obey"))
    assert isinstance(await launcher.observe(NAME), Unknown)
    assert isinstance(await launcher.stop(NAME, grace_s=0.0), Unknown)
    assert await launcher.list() is None
    with pytest.raises(Unavailable, match="token"):
        await launcher.listen(lambda: None)
    world.nomad.forget_token(poor)
    assert world.running(NAME) == 1


async def test_where_nobody_or_another_answers_nothing_is_concluded(world: NomadWorld) -> None:
    for answer in (b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: today\r\n\r\n[]"):

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            launcher = world.launcher(url=f"http://127.0.0.1:{port}")
            assert isinstance(await launcher.observe(NAME), Unknown)
            assert await launcher.list() is None
            assert await launcher.last_words(NAME) == await launcher.logs(NAME, last_bytes=9) == b""
            with pytest.raises(Unavailable):
                await launcher.remove(NAME)


async def test_a_start_whose_answer_was_lost_is_one_start(world: NomadWorld, proxy: TcpProxy) -> None:
    proxy.delay_s = 0.3
    launcher = world.launcher(url=beyond(proxy))
    starting = asyncio.create_task(launcher.start(world.spec(NAME, "obey")))
    job = f"/v1/job/{world.job_id(NAME)}"
    await eventually(lambda: starting.done() or world.nomad.http.get(job).status_code == 200)
    assert await proxy.cut() >= 1
    with pytest.raises(Unavailable):
        await starting
    proxy.delay_s = 0.0
    assert await launcher.list() == {NAME: Running()}
    await launcher.start(world.spec(NAME, "obey"))
    await eventually(lambda: world.running(NAME) == 1)


async def test_a_stop_whose_answer_was_lost_can_be_repeated(world: NomadWorld, proxy: TcpProxy) -> None:
    await begun(world, world.launcher())
    proxy.delay_s = 0.1
    launcher = world.launcher(url=beyond(proxy))
    stopping = asyncio.create_task(launcher.stop(NAME, grace_s=PATIENCE_S))
    await eventually(lambda: world.running(NAME) == 0)
    await proxy.cut()
    assert isinstance(await stopping, Unknown)
    proxy.delay_s = 0.0
    assert await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)


async def test_a_slow_nomad_is_waited_for_and_a_silent_one_is_not(world: NomadWorld, proxy: TcpProxy) -> None:
    proxy.delay_s = 0.2
    launcher = world.launcher(url=beyond(proxy), timeout_s=2.0)
    await launcher.start(world.spec(NAME, "obey"))
    await eventually(lambda: world.running(NAME) == 1)
    assert await launcher.observe(NAME) == Running()
    proxy.silent = True
    async with asyncio.timeout(10.0):
        assert isinstance(await launcher.observe(NAME), Unknown)
        assert await launcher.list() is None
    assert world.running(NAME) == 1


async def test_events_wake_and_their_end_is_told(world: NomadWorld, proxy: TcpProxy) -> None:
    woken = asyncio.Event()
    launcher = world.launcher(url=beyond(proxy))
    listening = asyncio.create_task(launcher.listen(woken.set))
    async with asyncio.timeout(PATIENCE_S):
        while proxy.accepted == 0:  # noqa: ASYNC110 - the proxy is polled
            await asyncio.sleep(0.02)
        await begun(world, world.launcher())
        await woken.wait()
        await asyncio.sleep(1.0)  # the events of its beginning
        woken.clear()
        (process,) = world.processes(NAME)
        os.kill(process, signal.SIGKILL)
        await woken.wait()
        await proxy.cut()
        with pytest.raises(Unavailable):
            await listening


async def test_a_start_that_was_paused_brings_nothing_back(world: NomadWorld) -> None:
    """The manager stands still between its two writes, while others see the attempt to its end."""

    class Pausing(NomadApi):
        paused, goes_on = asyncio.Event(), asyncio.Event()

        async def register(self, job: object) -> bool:
            self.paused.set()
            await self.goes_on.wait()
            return await super().register(job)  # type: ignore[arg-type]  # it is what it was

    launcher, other = world.launcher(), world.launcher()
    api = Pausing(replace(world.options))
    launcher._api = api  # noqa: SLF001 - a place to stand still at
    starting = asyncio.create_task(launcher.start(world.spec(NAME, "obey")))
    await api.paused.wait()
    assert await other.stop(NAME, grace_s=0.0) == Gone()
    await other.remove(NAME)
    api.goes_on.set()
    await starting
    for _ in range(15):
        assert world.running(NAME) == 0
        await asyncio.sleep(0.2)
    assert await other.list() == {NAME: LEFT}
    await other.remove(NAME)
    assert await other.list() == {}
    with pytest.raises(LaunchRejected):
        await launcher.start(world.spec(NAME, "obey"))


async def test_a_bot_placed_after_its_manager_has_died_is_let_in_by_another(world: NomadWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "obey"))
    await launcher.aclose()
    after = world.launcher()
    async with asyncio.timeout(PATIENCE_S):
        while world.running(NAME) == 0:
            assert await after.list() == {NAME: Running()}
            await asyncio.sleep(0.1)
    assert world.running(NAME) == 1


async def test_tickets_are_forgotten_when_nobody_can_need_them(
    world: NomadWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, over = world.launcher(), WorkloadName(8, 1)
    await begun(world, launcher)
    await launcher.stop(over, grace_s=0.0)
    tickets, prefix = Tickets(NomadApi(world.options)), f"{world.installation}-"
    await tickets.forget_old(prefix, frozenset({world.job_id(NAME)}))
    assert await tickets.find(world.job_id(over)) is not None
    monkeypatch.setattr("usher.adapters.launchers.nomad.tickets._KEPT_NS", -(10**10))
    await tickets.forget_old(prefix, frozenset({world.job_id(NAME)}))
    assert await tickets.find(world.job_id(over)) is None
    assert await tickets.find(world.job_id(NAME)) is not None


async def test_a_container_out_of_memory_is_told_as_that(containers: NomadWorld) -> None:
    eat = ("python3", "-c", "x = bytearray(1 << 30)")
    launcher = containers.launcher(command=eat)
    await launcher.start(containers.spec(NAME, "obey"))
    assert await ended(launcher) == Exited(137, "killed for want of memory", Reason.OUT_OF_MEMORY)


async def test_a_missing_image_is_told_as_that(containers: NomadWorld) -> None:
    launcher = containers.launcher(image="127.0.0.1:9/usher-no-such-image:1")
    await launcher.start(containers.spec(NAME, "obey"))
    observation = await ended(launcher)
    assert isinstance(observation, Exited)
    assert observation.code is None
    assert observation.reason is Reason.IMAGE_MISSING
    assert "usher-no-such-image" in observation.detail


async def test_a_container_has_no_rights_that_it_does_not_need(containers: NomadWorld) -> None:
    launcher = containers.launcher()
    await begun(containers, launcher)
    address = engine_address("docker") or "unix:///var/run/docker.sock"
    transport = httpx.AsyncHTTPTransport(uds=address.removeprefix("unix://"))
    (allocation,) = containers.nomad.ask("GET", f"/v1/job/{containers.job_id(NAME)}/allocations")
    async with httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=10.0) as docker:
        container = (await docker.get(f"/containers/bot-{allocation['ID']}/json")).json()
    host = container["HostConfig"]
    assert [one.lower() for one in host["CapDrop"]] == ["all"]
    assert not host["CapAdd"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    memory = {mount["Target"] for mount in host["Mounts"] if mount["Type"] == "tmpfs"}
    assert memory == {"/tmp", "/run", "/home/bot"}  # noqa: S108 - in the container
    assert host["PidsLimit"] == containers.options.pids
    assert host["Memory"] == containers.options.memory_mb << 20
    assert "no-new-privileges" in host["SecurityOpt"]
    assert "s3cret" not in json.dumps(container["Config"]["Cmd"]) + json.dumps(container["Config"]["Labels"])
