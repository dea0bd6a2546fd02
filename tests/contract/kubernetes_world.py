"""The tests' cluster as a world of the launcher contract."""

import asyncio
import fcntl
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.launcher_worlds import World
from tests.support.engines import engine_home
from tests.support.kubernetes_cluster import BOT_ACCOUNT, NAMESPACE, Cluster, namespaced, open_cluster

from usher.adapters.launchers.kubernetes.api import Document
from usher.adapters.launchers.kubernetes.launcher import KubernetesLauncher
from usher.adapters.launchers.kubernetes.pod import KubernetesOptions, secret_name
from usher.domain.reconcile import WorkloadName

IMAGE = "usher.test/python:1"
_BOT = Path(__file__).with_name("launched_bot.py")


class KubernetesWorld(World):
    """An installation of its own in the tests' namespace.

    Attributes:
        cluster: The cluster, as its administrator sees it.
        options: What launchers are made with.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.installation = f"t{secrets.token_hex(5)}"
        kubeconfig = directory / "kubeconfig"
        cluster.write_kubeconfig(kubeconfig)
        self.options = KubernetesOptions(
            installation=self.installation,
            kubeconfig=kubeconfig,
            namespace=NAMESPACE,
            image=IMAGE,
            command=("python3", "-I", "-S", "-c", _BOT.read_text()),
            pull_policy="Never",
            service_account=BOT_ACCOUNT,
            cpus=0.2,
            memory_mb=64,
            shm_mb=16,
            scratch_mb=16,
        )
        self._launchers: list[KubernetesLauncher] = []

    def launcher(self, **options: object) -> KubernetesLauncher:
        launcher = KubernetesLauncher(replace(self.options, **options))  # type: ignore[arg-type]  # tests name them
        self._launchers.append(launcher)
        return launcher

    def running(self, name: WorkloadName) -> int:
        return len(self.processes(name))

    def processes(self, name: WorkloadName) -> list[int]:
        """Return the process ids of a workload's bots: the cluster is not asked."""
        host = f"HOSTNAME={self.engine_name(name)}".encode()
        return [pid for pid in _process_ids() if host in _environment(pid)]

    def facts(self, name: WorkloadName) -> dict[str, str]:
        """Return what the kernel knows of a bot's process."""
        status = Path(f"/proc/{self.processes(name)[0]}/status").read_text()
        return dict(line.split(":\t", 1) for line in status.splitlines())

    def engine_name(self, name: WorkloadName) -> str:
        return name.engine_name(self.installation)

    def pod_path(self, name: WorkloadName) -> str:
        return namespaced("pods", self.engine_name(name))

    def find_pod(self, name: WorkloadName) -> Document | None:
        return self.cluster.get(self.pod_path(name))

    def pod(self, name: WorkloadName) -> Document:
        """Return the document of a workload's pod, which is there."""
        found = self.find_pod(name)
        assert found is not None
        return found

    def secret_path(self, name: WorkloadName) -> str:
        """Return the path of the secret that a workload's pod waits for."""
        return namespaced("secrets", secret_name(self.pod(name)))

    async def close(self) -> None:
        launcher = self.launcher()
        for name in await launcher.list() or ():
            await launcher.remove(name)
        for one in self._launchers:
            await one.aclose()


@asynccontextmanager
async def kubernetes_world(directory: Path) -> AsyncIterator[KubernetesWorld]:
    """Yield a world; skip the test where there is no cluster."""
    async with _alone():
        cluster = open_cluster()
        if cluster is None:
            pytest.skip("no Kubernetes cluster answers; `make engines` starts one")
        world = KubernetesWorld(cluster, directory)
        try:
            yield world
        finally:
            await world.close()
            cluster.close()


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """Let no other run of the tests use the cluster meanwhile: some of them kill parts of it."""
    home = engine_home("kubernetes")
    if not home.is_dir():
        yield
        return
    with (home / "tests.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


def _process_ids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
