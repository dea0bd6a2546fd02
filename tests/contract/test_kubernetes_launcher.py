"""The Kubernetes launcher in a real cluster, beyond the contract: what only Kubernetes does, and what can befall it."""

import asyncio
import os
import secrets
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.kubernetes_world import IMAGE, KubernetesWorld, kubernetes_world
from tests.contract.launcher_worlds import PATIENCE_S, eventually
from tests.support.engines import engine_address
from tests.support.kubernetes_cluster import BOT_ACCOUNT, NAMESPACE, namespaced
from tests.support.tcp_proxy import TcpProxy

from usher.adapters.launchers.kubernetes import api, spent
from usher.adapters.launchers.kubernetes.launcher import KubernetesLauncher
from usher.adapters.launchers.kubernetes.pod import FINALIZER
from usher.adapters.launchers.kubernetes.spent import SpentNames
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.ports import Launcher

NAME = WorkloadName(7, 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KubernetesWorld]:
    async with kubernetes_world(tmp_path) as made:
        yield made


async def seen(
    launcher: Launcher, wanted: Callable[[Observation], bool], *, within_s: float = PATIENCE_S
) -> Observation:
    """Return the first observation that is wanted."""
    said: Observation = Gone()
    try:
        async with asyncio.timeout(within_s):
            while not wanted(said := await launcher.observe(NAME)):  # noqa: ASYNC110  no event to wait for
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"the last that was seen is {said}") from None
    return said


def is_exited(said: Observation) -> bool:
    return isinstance(said, Exited)


async def running(world: KubernetesWorld, launcher: Launcher, behaviour: str = "obey") -> None:
    """Start a bot, and wait until it has set up its signal handlers."""
    await launcher.start(world.spec(NAME, behaviour))
    async with asyncio.timeout(PATIENCE_S):
        while b"s3cret" not in await launcher.logs(NAME, last_bytes=1000):  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.05)


async def holds(condition: Callable[[], bool], *, for_s: float) -> None:
    """Make sure that something stays so."""
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        assert condition()
        await asyncio.sleep(0.1)


async def test_what_has_no_room_waits_and_says_so(world: KubernetesWorld) -> None:
    launcher = world.launcher(cpus=1000.0)
    await launcher.start(world.spec(NAME, "obey"))
    said = await seen(launcher, lambda said: isinstance(said, Running) and said.waiting != "")
    assert isinstance(said, Running)
    assert said.waiting.startswith("no room: 0/1 nodes are available")
    assert await launcher.list() == {NAME: said}
    assert await launcher.stop(NAME, grace_s=5.0) == Exited(None, "it was ended before it began")


async def test_a_quota_that_is_used_up_is_no_room(world: KubernetesWorld) -> None:
    launcher, path = world.launcher(), namespaced("resourcequotas", world.installation)
    quota = {"metadata": {"name": world.installation}, "spec": {"hard": {"pods": "0"}}}
    world.cluster.post(namespaced("resourcequotas"), quota)
    try:
        await eventually(lambda: "hard" in (world.cluster.get(path) or {}).get("status", {}))
        with pytest.raises(NoRoom):
            await launcher.start(world.spec(NAME, "obey"))
        assert await launcher.list() == {}
    finally:
        world.cluster.delete(path)
    await running(world, launcher)


@contextmanager
def empty_registry() -> Iterator[int]:
    """A registry that has no image; yields its port on this machine."""

    class Refuse(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        do_GET = do_HEAD  # noqa: N815  the library calls it by this name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [
        ("usher.test/missing:1", "Never", Reason.IMAGE_MISSING),
        ("127.0.0.1:{port}/missing:1", "IfNotPresent", Reason.IMAGE_MISSING),
        ("usher.test/missing:1", "IfNotPresent", Reason.LAUNCH_FAILED),
    ],
)
async def test_a_missing_image_is_told_apart_from_a_missing_registry(
    world: KubernetesWorld, image: str, policy: str, reason: Reason
) -> None:
    with empty_registry() as port:
        launcher = world.launcher(image=image.format(port=port), pull_policy=policy)
        await launcher.start(world.spec(NAME, "obey"))
        said = await seen(launcher, is_exited)
    assert isinstance(said, Exited)
    assert (said.code, said.reason) == (None, reason)
    assert isinstance(await launcher.stop(NAME, grace_s=5.0), Exited)
    await launcher.remove(NAME)
    assert await launcher.list() == {}


async def test_a_program_that_is_not_in_the_image_is_told(world: KubernetesWorld) -> None:
    launcher = world.launcher(command=("/missing",))
    await launcher.start(world.spec(NAME, "obey"))
    said = await seen(launcher, is_exited)
    assert isinstance(said, Exited)
    assert said.reason is Reason.LAUNCH_REJECTED
    assert "/missing" in said.detail


async def test_a_pod_that_may_not_be_is_rejected(world: KubernetesWorld) -> None:
    """The namespace's rules refuse root."""
    launcher = world.launcher(uid=0)
    with pytest.raises(LaunchRejected, match="runAsUser"):
        await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.list() == {}


async def test_want_of_memory_is_told(world: KubernetesWorld) -> None:
    launcher = world.launcher(memory_mb=24, shm_mb=8, command=("python3", "-c", "b'x' * (1 << 27)"))
    await launcher.start(world.spec(NAME, "obey"))
    assert await seen(launcher, is_exited) == Exited(137, "out of memory", Reason.OUT_OF_MEMORY)


async def test_an_eviction_gives_the_bot_its_grace_and_leaves_the_evidence(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await running(world, launcher)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": world.engine_name(NAME)}}
    world.cluster.post(f"{world.pod_path(NAME)}/eviction", eviction)
    said = await seen(launcher, is_exited)
    assert isinstance(said, Exited)
    assert (said.code, said.reason) == (0, Reason.PREEMPTED)
    assert "EvictionByEvictionAPI" in said.detail
    assert world.running(NAME) == 0
    await launcher.remove(NAME)
    await eventually(lambda: world.find_pod(NAME) is None)


async def test_a_pod_that_somebody_deletes_leaves_its_exit_code_and_last_words(world: KubernetesWorld) -> None:
    farewell = "import os, signal, sys, time\ndef end(*_):\n open(os.environ['USHER_LAST_WORDS'], 'w').write('bye')\n"
    farewell += " sys.exit(5)\nsignal.signal(signal.SIGTERM, end)\nprint('s3cret', flush=True)\ntime.sleep(600)"
    launcher = world.launcher(command=("python3", "-c", farewell))
    await running(world, launcher)
    world.cluster.delete(world.pod_path(NAME))
    assert await seen(launcher, is_exited) == Exited(5)
    assert await launcher.last_words(NAME) == b"bye"


async def test_a_bot_that_is_killed_from_outside_is_told(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await running(world, launcher)
    os.kill(world.processes(NAME)[0], signal.SIGKILL)
    assert await seen(launcher, is_exited) == Exited(137, "killed by SIGKILL")
    assert await launcher.logs(NAME, last_bytes=100) == b"obey s3cret\n"


async def test_a_bot_that_is_killed_after_the_pods_own_grace_leaves_its_output(world: KubernetesWorld) -> None:
    launcher = world.launcher(grace_s=2)
    await running(world, launcher, "ignore")
    assert await launcher.stop(NAME, grace_s=4.0) == Exited(137, "killed by SIGKILL")
    await asyncio.sleep(2.0)
    assert await launcher.logs(NAME, last_bytes=100) == b"ignore s3cret\nignored\n"
    assert await launcher.logs(NAME, last_bytes=3) == b"ed\n"


async def test_a_bot_that_is_killed_sooner_leaves_what_it_printed_before(world: KubernetesWorld) -> None:
    launcher = world.launcher(grace_s=30)
    await running(world, launcher, "ignore")
    begun = time.monotonic()
    assert await launcher.stop(NAME, grace_s=4.0) == Exited(137, "killed by SIGKILL")
    assert 3.0 < time.monotonic() - begun < 15.0
    await asyncio.sleep(2.0)
    assert await launcher.logs(NAME, last_bytes=100) == b"ignore s3cret\n"
    assert await launcher.logs(NAME, last_bytes=3) == b"et\n"


async def test_credentials_are_in_the_pods_own_secret_alone(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await running(world, launcher)
    pod = world.pod(NAME)
    assert "s3cret" not in str(pod)
    path = world.secret_path(NAME)
    (owner,) = (world.cluster.get(path) or {})["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Pod", pod["metadata"]["uid"])
    await launcher.remove(NAME)
    await eventually(lambda: world.cluster.get(path) is None)


async def test_a_pod_has_no_rights(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await running(world, launcher)
    spec = world.pod(NAME)["spec"]
    assert spec["serviceAccountName"] == BOT_ACCOUNT
    assert not any("serviceAccountToken" in str(volume) for volume in spec["volumes"])
    facts = world.facts(NAME)
    assert facts["Uid"].split() == ["1000"] * 4
    assert (facts["CapEff"], facts["CapBnd"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "0" * 16, "1", "2")


async def test_the_managers_account_reads_no_secret(world: KubernetesWorld) -> None:
    assert world.options.kubeconfig is not None
    assert world.cluster.reads(namespaced("pods"), world.options.kubeconfig)
    for forbidden in (namespaced("secrets"), namespaced("configmaps"), "/api/v1/pods", "/api/v1/nodes"):
        assert not world.cluster.reads(forbidden, world.options.kubeconfig)


async def test_another_installation_is_not_touched(world: KubernetesWorld, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    mine, other = world.launcher(), KubernetesWorld(world.cluster, tmp_path / "other")
    try:
        await running(other, other.launcher())
        assert await mine.list() == {}
        assert await mine.observe(NAME) == await mine.stop(NAME, grace_s=0.0) == Gone()
        await mine.remove(NAME)
        assert await other.launcher().list() == {NAME: Running()}
        assert other.running(NAME) == 1
    finally:
        await other.close()


async def test_somebody_elses_pod_of_the_name_is_left_alone(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    container = {
        "name": "theirs",
        "image": IMAGE,
        "command": ["/usr/local/bin/python3", "-c", "import time; time.sleep(600)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security}
    theirs = {"metadata": {"name": world.engine_name(NAME)}, "spec": spec}
    world.cluster.post(namespaced("pods"), theirs)
    try:
        with pytest.raises(LaunchRejected, match="not Usher's"):
            await launcher.start(world.spec(NAME, "obey"))
        assert await launcher.list() == {}
        await launcher.remove(NAME)
        assert "deletionTimestamp" not in world.pod(NAME)["metadata"]
    finally:
        world.cluster.delete(world.pod_path(NAME), gracePeriodSeconds=0)


@contextmanager
def paused_after_the_look(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Hold starts up where they have seen that a name is not spent; yields what says so, and what lets them go on."""
    looked, go_on, has = asyncio.Event(), asyncio.Event(), SpentNames.has

    async def has_and_wait(self: SpentNames, name: str) -> bool:
        found = await has(self, name)
        looked.set()
        await go_on.wait()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(SpentNames, "has", has_and_wait)
        yield looked, go_on


@pytest.mark.parametrize("end", ["stop", "remove"])
async def test_a_manager_that_was_paused_in_a_launch_brings_nothing_back(
    world: KubernetesWorld, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    launcher, other = world.launcher(), world.launcher()
    with paused_after_the_look(monkeypatch) as (looked, go_on):
        starting = asyncio.create_task(launcher.start(world.spec(NAME, "obey")))
        await looked.wait()
        secret = world.secret_path(NAME)
        if end == "stop":
            assert isinstance(await other.stop(NAME, grace_s=0.0), Exited | Gone)
        else:
            await other.remove(NAME)
        go_on.set()
        await starting
    await holds(lambda: world.running(NAME) == 0, for_s=5.0)
    await other.remove(NAME)
    assert await launcher.list() == {}
    await eventually(lambda: world.cluster.get(secret) is None)


async def test_a_launch_that_was_broken_off_is_taken_up_by_another(
    world: KubernetesWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first manager dies between pod and secret."""
    with paused_after_the_look(monkeypatch) as (looked, _):
        starting = asyncio.create_task(world.launcher().start(world.spec(NAME, "obey")))
        await looked.wait()
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
    launcher = world.launcher()
    await holds(lambda: world.running(NAME) == 0, for_s=3.0)
    assert await launcher.observe(NAME) == Running()
    await running(world, launcher)
    assert world.running(NAME) == 1


async def test_an_earlier_pods_secret_lets_no_later_one_begin(world: KubernetesWorld) -> None:
    """The name of the secret is the pod's own, and the account cannot guess the next."""
    launcher = world.launcher()
    await running(world, launcher)
    first = world.secret_path(NAME)
    await launcher.remove(NAME)
    with pytest.raises(LaunchRejected):
        await launcher.start(world.spec(NAME, "obey"))
    other = WorkloadName(7, 2)
    await launcher.start(world.spec(other, "obey"))
    assert world.secret_path(other).rsplit("-", 1)[1] != first.rsplit("-", 1)[1]


async def test_a_listing_of_many_pages_has_all(world: KubernetesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PAGE", 2)
    launcher, names = world.launcher(cpus=1000.0), [WorkloadName(number, 1) for number in range(1, 6)]
    await asyncio.gather(*(launcher.start(world.spec(name, "obey")) for name in names))
    assert set(await launcher.list() or ()) == set(names)


async def test_spent_names_are_forgotten_in_time(world: KubernetesWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spent, "_KEPT", timedelta(seconds=1))
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{world.engine_name(NAME)}"
    await world.launcher().stop(NAME, grace_s=0.0)
    assert world.cluster.get(path) is not None
    await asyncio.sleep(2.1)
    await world.launcher().stop(WorkloadName(8, 1), grace_s=0.0)
    assert world.cluster.get(path) is None


async def test_the_watch_wakes_at_begin_and_end(world: KubernetesWorld) -> None:
    launcher, woken = world.launcher(), asyncio.Event()
    listening = asyncio.create_task(world.launcher().listen(woken.set))
    try:
        await asyncio.wait_for(woken.wait(), PATIENCE_S)
        woken.clear()
        await asyncio.sleep(1.0)
        assert not woken.is_set()
        await running(world, launcher)
        await asyncio.sleep(2.0)
        woken.clear()
        (bot,) = world.processes(NAME)
        os.kill(bot, signal.SIGKILL)
        assert not listening.done()
        await asyncio.wait_for(woken.wait(), PATIENCE_S)
    finally:
        listening.cancel()


async def test_the_api_server_dies_and_comes_back(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await running(world, launcher)
    (bot,) = world.processes(NAME)
    listening = asyncio.create_task(launcher.listen(lambda: None))
    await asyncio.sleep(1.0)
    try:
        os.kill(world.cluster.process_id("kube-apiserver"), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(listening, PATIENCE_S)
        assert isinstance(await launcher.observe(NAME), Unknown)
        assert await launcher.list() is None
        assert isinstance(await launcher.stop(WorkloadName(7, 2), grace_s=0.0), Unknown)
        assert await launcher.logs(NAME, last_bytes=10) == await launcher.last_words(NAME) == b""
        for refused in (launcher.start(world.spec(WorkloadName(7, 3), "obey")), launcher.remove(NAME)):
            with pytest.raises(Unavailable):
                await refused
    finally:
        await asyncio.to_thread(world.cluster.restart_api)
    assert await seen(launcher, lambda said: not isinstance(said, Unknown)) == Running()
    assert world.processes(NAME) == [bot]
    assert await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)


async def through(world: KubernetesWorld, proxy: TcpProxy, path: Path) -> KubernetesLauncher:
    """Return a launcher whose connections go through a proxy, with one of them open."""
    proxy.upstreams = [urlsplit(engine_address("kubernetes")).port or 0]
    world.cluster.write_kubeconfig(path, f"https://127.0.0.1:{proxy.port}")
    launcher = world.launcher(kubeconfig=path)
    assert await launcher.list() == {}
    return launcher


async def test_an_answer_that_is_lost_after_the_pod_was_made(world: KubernetesWorld, tmp_path: Path) -> None:
    async with TcpProxy() as proxy:
        launcher = await through(world, proxy, tmp_path / "proxied")
        proxy.delay_s = 1.0
        starting = asyncio.create_task(launcher.start(world.spec(NAME, "obey")))
        await eventually(lambda: world.find_pod(NAME) is not None)
        await proxy.cut()
        with pytest.raises(Unavailable):
            await starting
        proxy.delay_s = 0.0
        made = world.pod(NAME)["metadata"]["uid"]
        await running(world, launcher)
        assert (world.running(NAME), world.pod(NAME)["metadata"]["uid"]) == (1, made)


async def test_an_api_server_that_goes_silent_is_given_up(world: KubernetesWorld, tmp_path: Path) -> None:
    async with TcpProxy() as proxy:
        launcher = await through(world, proxy, tmp_path / "proxied")
        hasty = world.launcher(kubeconfig=tmp_path / "proxied", timeout_s=1.0)
        assert await hasty.list() == {}
        proxy.silent = True
        begun = time.monotonic()
        assert await hasty.list() is None
        assert isinstance(await hasty.observe(NAME), Unknown)
        assert time.monotonic() - begun < 6.0
        proxy.silent = False
        assert await launcher.list() == {}


@pytest.fixture
def kubelet(world: KubernetesWorld) -> Iterator[int]:
    """The kubelet, which goes on in the end, with its node as it was."""
    pid = world.cluster.process_id("kubelet")
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    world.cluster.taint([taint for taint in world.cluster.taints() if "out-of-service" not in taint["key"]])


async def test_a_node_that_is_silent_ends_nothing_and_one_that_is_given_up_is_lost(
    world: KubernetesWorld, kubelet: int
) -> None:
    launcher = world.launcher(kill_timeout_s=3.0)
    await running(world, launcher)
    os.kill(kubelet, signal.SIGSTOP)
    assert isinstance(await seen(launcher, lambda said: not isinstance(said, Running), within_s=60.0), Unknown)
    assert isinstance(await launcher.stop(NAME, grace_s=1.0), Unknown)
    with pytest.raises(Unavailable):
        await launcher.remove(NAME)
    assert world.running(NAME) == 1
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    world.cluster.taint([*world.cluster.taints(), taint])
    said = await seen(launcher, is_exited, within_s=60.0)
    assert isinstance(said, Exited)
    assert (said.code, said.reason) == (None, Reason.NODE_LOST)
    os.kill(kubelet, signal.SIGCONT)
    await eventually(lambda: world.running(NAME) == 0)


async def test_a_pod_that_somebody_else_keeps_is_forgotten_all_the_same(world: KubernetesWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, "exit:0"))
    await seen(launcher, is_exited)
    world.cluster.patch(world.pod_path(NAME), {"metadata": {"finalizers": [FINALIZER, "example.com/theirs"]}})
    try:
        await launcher.remove(NAME)
        assert world.pod(NAME)["metadata"]["finalizers"] == ["example.com/theirs"]
        assert await launcher.observe(NAME) == Gone()
        assert await launcher.list() == {}
        with pytest.raises(LaunchRejected):
            await launcher.start(world.spec(NAME, "obey"))
    finally:
        world.cluster.patch(world.pod_path(NAME), {"metadata": {"finalizers": []}})


async def test_a_cluster_that_is_not_known_does_not_answer(world: KubernetesWorld, tmp_path: Path) -> None:
    options = replace(world.options, kubeconfig=tmp_path / secrets.token_hex(4))
    launcher = KubernetesLauncher(options)
    assert await launcher.list() is None
    with pytest.raises(Unavailable):
        await launcher.start(world.spec(NAME, "obey"))
    await launcher.aclose()
