"""What a bot can do in its container, seen from inside, and what of its secrets can be seen from outside."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.docker_world import DockerWorld, docker_world

from usher.domain.reconcile import WorkloadName

NAME = WorkloadName(7, 1)
_INSIDE = Path(__file__).with_name("docker_inside.py")
_MB = 1 << 20
_CLOSED = ("/", "/etc", "/usr/bin", "/var/tmp", "/opt")  # noqa: S108 - the container's
_OPEN = ("/tmp", "/run", "/home/bot", "/dev/shm", "/var/lib/usher-bot")  # noqa: S108 - the container's


@pytest.fixture
async def world() -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


async def inside(world: DockerWorld) -> dict[str, Any]:
    """Start a bot like any other and look around beside it."""
    launcher = world.launcher(shm_mb=64, tmp_mb=32)
    await launcher.start(world.spec(NAME, "obey"))
    code, said = world.api.execute(world.called(NAME), ["python3", "-c", _INSIDE.read_text(), *_CLOSED, *_OPEN])
    assert code == 0, said
    told: dict[str, Any] = json.loads(said)
    return told


async def test_a_bot_has_no_rights_and_cannot_get_any(world: DockerWorld) -> None:
    told = await inside(world)
    assert (told["uid"], told["gid"], told["groups"]) == (1000, 1000, [1000])
    assert told["capabilities"] == [0, 0, 0, 0, 0]
    assert told["no_new_privileges"] == "1"
    assert told["seccomp"] == "2"
    denied = ("chroot", "mount", "ptrace", "keyctl", "bpf", "io_uring")
    assert {call: told[call] for call in denied} == dict.fromkeys(denied, "EPERM")
    assert told["sockets"] == {"2": True, "38": False, "17": False}


async def test_the_sandbox_of_the_browser_can_be_built_and_nothing_more(world: DockerWorld) -> None:
    told = await inside(world)
    assert told["namespaces"] == {"user": "", "pid": "", "net": "", "mount": "EPERM", "uts": "EPERM"}
    assert told["mount_namespace_alone"] == "EPERM"
    assert told["chroot_in_own_namespace"] == ""
    assert told["clone3"] == "ENOSYS"


async def test_a_bot_writes_only_where_it_is_forgotten(world: DockerWorld) -> None:
    told = await inside(world)
    assert told["writable"] == dict.fromkeys(_CLOSED, False) | dict.fromkeys(_OPEN, True)
    assert told["shm_bytes"] == 64 * _MB
    assert told["tmp_bytes"] == 32 * _MB


async def test_a_bot_has_limits(world: DockerWorld) -> None:
    await inside(world)
    container = world.api.get(f"containers/{world.called(NAME)}/json")
    host = container["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (256 * _MB, 256 * _MB)
    assert (host["NanoCpus"], host["PidsLimit"]) == (10**9, 512)
    limits = _cgroup_limits(container["State"]["Pid"])
    assert limits == {"memory": str(256 * _MB), "pids": "512"}


async def test_a_fork_bomb_stays_inside(world: DockerWorld) -> None:
    launcher = world.launcher(pids=32)
    await launcher.start(world.spec(NAME, "obey"))
    bomb = "import os, time\nfor n in range(100):\n  if os.fork() == 0: time.sleep(5); os._exit(0)"
    code, said = world.api.execute(world.called(NAME), ["python3", "-c", bomb])
    assert code != 0
    assert "BlockingIOError" in said


async def test_secrets_are_in_the_environment_alone(world: DockerWorld) -> None:
    told = await inside(world)
    assert not [arguments for arguments in told["arguments"] if "s3cret" in arguments]
    assert told["first_process"].endswith("init")
    container = world.api.get(f"containers/{world.called(NAME)}/json")
    assert "SECRET=s3cret" in container["Config"].pop("Env")
    assert "s3cret" not in json.dumps(container)


def _cgroup_limits(pid: int) -> dict[str, str]:
    """Read what the kernel enforces, with either version of cgroups."""
    paths = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    files = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}
    root = Path("/sys/fs/cgroup")
    if "memory" in paths:
        return {
            kind: (root / kind / paths[kind].lstrip("/") / one).read_text().strip() for kind, (one, _) in files.items()
        }
    return {kind: (root / paths[""].lstrip("/") / two).read_text().strip() for kind, (_, two) in files.items()}
