"""A Docker engine of a test's own, to be killed and started again. Every call waits, and blocks."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.docker_api import DockerApi

_PATIENCE_S = 60.0
_CONTAINERD = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'


def can_run_docker() -> bool:
    """Say whether this process may start an engine."""
    return os.geteuid() == 0 and all(map(shutil.which, ("dockerd", "containerd")))


class DockerDaemon:
    """An engine without networks: its containers have none, and nothing of the machine's firewall is touched.

    Args:
        directory: Holds all of it; the path has to be short enough for a socket.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._containerd: subprocess.Popen[bytes] | None = None
        self._dockerd: subprocess.Popen[bytes] | None = None
        self.address = f"unix://{directory}/docker.sock"
        self.api = DockerApi(self.address)

    def __enter__(self) -> Self:
        (self._directory / "containerd.toml").write_text(_CONTAINERD)
        self._containerd = self._spawn(
            "containerd",
            *("--config", f"{self._directory}/containerd.toml", "--address", self._containerd_socket),
            *("--root", f"{self._directory}/containerd", "--state", f"{self._directory}/run/containerd"),
        )
        _until(lambda: Path(self._containerd_socket).exists())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.api.answers():
            for one in self.api.containers():
                self.api.delete(f"containers/{one['Id']}", force=1, v=1)
        for process in (self._dockerd, self._containerd):
            _end(process, signal.SIGTERM)
        _kill_trees(self._containerd_socket)
        for mount in _mounts_below(self._directory):  # an engine leaves some, a killed one more
            subprocess.run(["umount", "--lazy", mount], check=False)  # noqa: S603, S607 - root's own

    def start(self, *, live_restore: bool) -> None:
        """Start the engine and wait until it answers."""
        for left in ("docker.sock", "docker.pid"):
            (self._directory / left).unlink(missing_ok=True)
        self._dockerd = self._spawn(
            "dockerd",
            *("--host", self.address, "--containerd", self._containerd_socket),
            *("--data-root", f"{self._directory}/data", "--exec-root", f"{self._directory}/run/docker"),
            *("--pidfile", f"{self._directory}/docker.pid", f"--live-restore={str(live_restore).lower()}"),
            *("--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"),
        )
        _until(self.api.answers)

    def kill(self) -> None:
        """Kill the engine; its containers live on for now."""
        _end(self._dockerd, signal.SIGKILL)

    def stop(self) -> None:
        """Stop the engine as a service manager does."""
        _end(self._dockerd, signal.SIGTERM)

    @contextmanager
    def small_disk_for_containers(self) -> Iterator[Path]:
        """Give the engine, which has no container, a small disk for what it keeps of containers; yields its path."""
        path = self._directory / "data" / "containers"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "usher", path], check=True)  # noqa: S603, S607 - root's own
        try:
            yield path
        finally:
            subprocess.run(["umount", path], check=True)  # noqa: S603, S607 - as above

    @property
    def _containerd_socket(self) -> str:
        return f"{self._directory}/containerd.sock"

    def _spawn(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._directory / f"{program}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the test's own arguments
                [program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def _kill_trees(containerd_socket: str) -> None:
    """Kill what an engine has forgotten that was killed in the middle of a start: a shim each, and what is under it."""
    for shim in _listed_by("pgrep", "-f", "--", f"-address {containerd_socket}"):
        for process in (*_listed_by("pgrep", "-P", str(shim)), shim):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _listed_by(*command: str) -> list[int]:
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the test's own
    return [int(line) for line in found.stdout.split()]


def _mounts_below(directory: Path) -> list[str]:
    """Return what is mounted in a directory, the innermost first."""
    mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted((path for path in mounted if path.startswith(f"{directory}/")), reverse=True)


def _end(process: "subprocess.Popen[bytes] | None", number: signal.Signals) -> None:
    if process is not None and process.poll() is None:
        process.send_signal(number)
        process.wait(_PATIENCE_S)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "the engine does not come up"
        time.sleep(0.1)
