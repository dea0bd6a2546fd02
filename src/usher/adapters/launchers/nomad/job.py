"""What Nomad is told to run: the options of the launcher, and the job of one workload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from usher.domain.reconcile import WorkloadName
from usher.protocol.last_words import VARIABLE as LAST_WORDS_VARIABLE

TASK = "bot"
INSTALLATION_META = "usher_installation"
LAST_WORDS_PATH = "alloc/data/last_words"
"""In the directory of an allocation, as the file system API of Nomad names it."""

_NS = 1_000_000_000
_LOG_FILE_MB, _LOG_FILES = 5, 2
_DISK_MB = 100

Driver = Literal["docker", "exec", "raw_exec"]


@dataclass(frozen=True, slots=True)
class NomadOptions:
    """How to reach Nomad, and what every bot is given.

    Attributes:
        url: Address of the API of any agent.
        token: ACL token; None where ACLs are off.
        installation: Begins the names of jobs, so that several Ushers can share a cluster.
        namespace: Namespace of the jobs.
        region: Region of the jobs; None for that of the server.
        datacenters: Where bots may run; `*` stands for any.
        node_pool: Nodes that bots may run on; None for the default of Nomad.
        driver: Task driver. With raw_exec an agent that is killed while it starts a bot may start it twice.
        image: Image of the bot, for the docker driver.
        command: Program and arguments; with the docker driver it may be empty, for that of the image.
        environment: Variables of every bot, below those of its spec; they stand in the job for all to read.
        cpu_mhz: Share of the processor of one bot, MHz.
        memory_mb: Memory that is kept for one bot, MiB.
        memory_max_mb: Most memory that one bot may take where the cluster lets it take more; None for no more.
        shm_mb: Shared memory of one bot, MiB (docker).
        tmp_mb: Size of its `/tmp`, and of its home; both are memory, MiB (docker).
        home: Home of the image's user (docker).
        pids: Most processes and threads of one bot (docker).
        network: Network of the container (docker); None for the default.
        kill_timeout_s: How long a bot has to end when somebody else than Usher stops it: an operator, a drain.
        lost_after_s: How long after its node was lost a bot is taken for ended.
        stop_when_cut_off: A node that hears from no server for `lost_after_s` stops its bots. Off, because up to Nomad
            1.10.1 a client that does so with two at once starts and stops nothing any more until it is restarted
            (hashicorp/nomad pull request 25946).
        ca_file: Certificates that vouch for the server; None for those of the machine.
        certificate_file: Certificate of this client, if the server asks for one; its key is in `key_file`.
        key_file: Private key of this client.
        timeout_s: How long Nomad has for an answer.
    """

    url: str = "http://127.0.0.1:4646"
    token: str | None = field(default=None, repr=False)
    installation: str = "usher"
    namespace: str = "default"
    region: str | None = None
    datacenters: tuple[str, ...] = ("*",)
    node_pool: str | None = None
    driver: Driver = "docker"
    image: str = "usher-bot:latest"
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_mhz: int = 1000
    memory_mb: int = 1500
    memory_max_mb: int | None = None
    shm_mb: int = 512
    tmp_mb: int = 512
    home: str = "/home/bot"
    pids: int = 512
    network: str | None = None
    kill_timeout_s: float = 10.0
    lost_after_s: float = 60.0
    stop_when_cut_off: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = 10.0


def ticket_path(job_id: str) -> str:
    """Return the path of the variable that the tasks of a job, and of no other, may read with their own identity.

    Source: Nomad documentation, "Nomad Variables", task access to variables.
    """
    return f"nomad/jobs/{job_id}"


def job_document(name: WorkloadName, options: NomadOptions) -> dict[str, Any]:
    """Return the job of one workload, as the API takes it. It holds no secret: many may read jobs.

    It runs at most once: nothing of it is restarted or rescheduled, and where Nomad replaces an allocation all the same
    (a lost node, a drain), the replacement waits for a ticket that it never gets.

    Source: Nomad documentation, "JSON job specification".
    """
    job_id = name.engine_name(options.installation)
    group: dict[str, Any] = {
        "Name": TASK,
        "Count": 1,
        "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 3600 * _NS, "Delay": _NS},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
        "PreventRescheduleOnLost": True,  # Nomad 1.8 and later; older ones ignore it
        "EphemeralDisk": {"SizeMB": _DISK_MB, "Sticky": False, "Migrate": False},
        "Tasks": [_task(job_id, options)],
    }
    document = {
        "ID": job_id,
        "Name": job_id,
        "Type": "batch",
        "Namespace": options.namespace,
        "Datacenters": list(options.datacenters),
        "Meta": {
            INSTALLATION_META: options.installation,
            "usher_meeting_id": str(name.meeting_id),
            "usher_attempt": str(name.attempt),
        },
        "TaskGroups": [group],
    }
    if options.stop_when_cut_off:
        group["StopAfterClientDisconnect"] = int(options.lost_after_s * _NS)
    chosen = {"Region": options.region, "NodePool": options.node_pool}
    return document | {key: value for key, value in chosen.items() if value is not None}


def _task(job_id: str, options: NomadOptions) -> dict[str, Any]:
    resources = {"CPU": options.cpu_mhz, "MemoryMB": options.memory_mb}
    if options.memory_max_mb is not None:
        resources["MemoryMaxMB"] = options.memory_max_mb
    return {
        "Name": TASK,
        "Driver": options.driver,
        "Config": _container(options) if options.driver == "docker" else _program(options.command),
        "Env": {**options.environment, LAST_WORDS_VARIABLE: "${NOMAD_ALLOC_DIR}/data/last_words"},
        "KillSignal": "SIGTERM",
        "KillTimeout": int(options.kill_timeout_s * _NS),
        "Resources": resources,
        "LogConfig": {"MaxFiles": _LOG_FILES, "MaxFileSizeMB": _LOG_FILE_MB},
        "Templates": [
            {
                "EmbeddedTmpl": _admission(ticket_path(job_id)),
                "DestPath": "secrets/bot.env",
                "Envvars": True,
                "ChangeMode": "noop",
                "Perms": "0600",
            }
        ],
    }


def _admission(path: str) -> str:
    """Return the template of the bot's environment; it waits until the ticket is for its own allocation.

    A variable that is missing holds a template up, and the task with it. The inner one is never written.

    Source: Nomad documentation, template block and its function `nomadVar`; observed with 1.6.1.
    """
    return (
        f'{{{{ with nomadVar "{path}" }}}}'
        '{{ if eq .allocation.Value (env "NOMAD_ALLOC_ID") }}{{ .environment.Value }}'
        f'{{{{ else }}}}{{{{ with nomadVar "{path}/{TASK}" }}}}{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}'
    )


def _program(command: tuple[str, ...]) -> dict[str, Any]:
    return {"command": command[0], "args": list(command[1:])}


def _container(options: NomadOptions) -> dict[str, Any]:
    """Return the container's settings: no capability, nothing to write to but memory and the task's own directories."""
    container: dict[str, Any] = {
        "image": options.image,
        "init": True,
        "cap_drop": ["all"],
        "security_opt": ["no-new-privileges"],
        "readonly_rootfs": True,
        "pids_limit": options.pids,
        "shm_size": options.shm_mb << 20,
        "mount": [_memory(folder, options.tmp_mb) for folder in ("/tmp", "/run", options.home)],  # noqa: S108 - in the container
    }
    if options.command:
        container |= {"command": options.command[0], "args": list(options.command[1:])}
    if options.network is not None:
        container["network_mode"] = options.network
    return container


def _memory(folder: str, most_mb: int) -> dict[str, Any]:
    return {"type": "tmpfs", "target": folder, "tmpfs_options": {"size": most_mb << 20}}
