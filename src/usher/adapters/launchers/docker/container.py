"""What a bot's container is made of: limits, and what is taken away from it.

A bot runs a browser on pages of strangers, so its container is built as if the browser were going to be taken over: a
user without rights, no capability, no way to gain any, a root folder that cannot be written, a filter on system calls,
a network on which it is alone, and limits on all that can be used up.

The bot's credentials are in its environment, and therefore in the container's document: whoever may speak to the
engine can read them, and is root on that host anyway. They are in no argument, label or log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from usher.adapters.launchers.docker.seccomp import seccomp_profile
from usher.domain.reconcile import WORKLOAD_PREFIX, WorkloadName
from usher.ports import WorkloadSpec
from usher.protocol.last_words import VARIABLE as LAST_WORDS_VARIABLE

INSTALLATION_LABEL = "usher.installation"
MEETING_LABEL = "usher.meeting_id"
ATTEMPT_LABEL = "usher.attempt"

_LEGACY_FOLDER = "/var/lib/usher-bot"
LAST_WORDS_PATH = f"{_LEGACY_FOLDER}/last-words"
"""Where the bot leaves its last words: on an anonymous volume, which outlives the bot and ends with its container.

The image has the folder and gives it to the bot's user; the engine makes the volume in its likeness. A tmpfs would be
emptied when the bot ends.

Source: docs.docker.com/engine/storage/volumes (an empty volume takes over what the image has in its place).
"""

_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """How bots run on Docker engines.

    Attributes:
        image: The bot's image.
        command: Program and arguments, without a secret in them; None for those of the image.
        installation: Tells apart several Ushers on one engine.
        pull: `missing` pulls an image that the host does not have; `never` does not.
        network: Made on each host if it is missing: a bridge on which containers do not reach each other.
        bridge: Name of that network's interface on the host, for firewall rules; at most 15 characters.
        max_bots: Places on each host; None for no limit but the machine's.
        memory_mb: Includes what the bot writes to `/tmp`, `/run`, its home and `/dev/shm`; there is no swap beyond it.
        cpus: May be a fraction.
        pids: Processes and threads; a browser in a meeting has some hundreds.
        shm_mb: Size of `/dev/shm`, over which the browser's processes exchange pictures.
        tmp_mb: Size of `/tmp` and, apart from it, of the bot's home.
        user_id: Who the bot is inside, and the group of the same number; not root.
        home: The bot's home; empty at the start, and kept in memory.
        extra_hosts: `name:address` lines for the bot's `/etc/hosts`.
        environment: Variables of every bot, below those of its spec.
        log_mb: Output is kept in two files of at most this size.
        call_timeout_s: How long the engine may take to answer what is answered at once.
        start_timeout_s: How long a container may take to be made, and how long to be started.
        adopt_timeout_s: How long to wait for another manager that has made the container and not started it yet.
        pull_timeout_s: How long a pull may take.
        kill_timeout_s: How long processes may take to die once they are killed.
    """

    image: str = "usher-bot:latest"
    command: tuple[str, ...] | None = None
    installation: str = WORKLOAD_PREFIX
    pull: str = "missing"
    network: str = "usher-bots"
    bridge: str = "usher-bots"
    max_bots: int | None = None
    memory_mb: int = 1500
    cpus: float = 1.0
    pids: int = 512
    shm_mb: int = 512
    tmp_mb: int = 512
    user_id: int = 1000
    home: str = "/home/bot"
    extra_hosts: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    log_mb: int = 1
    call_timeout_s: float = 5.0
    start_timeout_s: float = 30.0
    adopt_timeout_s: float = 10.0
    pull_timeout_s: float = 600.0
    kill_timeout_s: float = 10.0

    @property
    def label(self) -> Mapping[str, str]:
        """The label on everything of this installation."""
        return {INSTALLATION_LABEL: self.installation}


def labels_of(name: WorkloadName, options: DockerOptions) -> dict[str, str]:
    """Return a container's labels: by them it is known as one of this installation's."""
    numbers = {MEETING_LABEL: str(name.meeting_id), ATTEMPT_LABEL: str(name.attempt)}
    return {**options.label, **numbers}


def document(spec: WorkloadSpec, options: DockerOptions) -> dict[str, object]:
    """Return what the engine is asked to make.

    Source: docs.docker.com/reference/api/engine, "Create a container".
    """
    environment = {**options.environment, "HOME": options.home, **spec.environment}
    environment[LAST_WORDS_VARIABLE] = LAST_WORDS_PATH
    return {
        "Image": options.image,
        "Cmd": options.command,
        "User": f"{options.user_id}:{options.user_id}",
        "Env": [f"{key}={value}" for key, value in environment.items()],
        "Labels": labels_of(spec.name, options),
        "StopSignal": "SIGTERM",
        "Volumes": {_LEGACY_FOLDER: {}},
        "HostConfig": {**_limits(options), **_confinement(options), **_surroundings(options)},
    }


def _limits(options: DockerOptions) -> dict[str, object]:
    """Say how much it may use; as much swap as memory in the engine's terms is none."""
    return {
        "Memory": options.memory_mb * _MB,
        "MemorySwap": options.memory_mb * _MB,
        "NanoCpus": round(options.cpus * 1e9),
        "PidsLimit": options.pids,
        "ShmSize": options.shm_mb * _MB,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": f"{options.log_mb}m", "max-file": "2"}},
    }


def _confinement(options: DockerOptions) -> dict[str, object]:
    own = f"rw,noexec,nosuid,nodev,uid={options.user_id},gid={options.user_id},mode=700"
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={_SECCOMP}"],
        "Privileged": False,
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/tmp": f"rw,noexec,nosuid,nodev,mode=1777,size={options.tmp_mb}m",  # noqa: S108 - the container's own
            "/run": f"{own},size=16m",
            options.home: f"{own},size={options.tmp_mb}m",
        },
    }


def _surroundings(options: DockerOptions) -> dict[str, object]:
    return {
        "NetworkMode": options.network,
        "ExtraHosts": [*options.extra_hosts],
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
    }


_SECCOMP = json.dumps(seccomp_profile(), separators=(",", ":"))
