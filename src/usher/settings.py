"""Every setting, one frozen tree, read once. The only module that looks at the environment.

Variables begin with `USHER_`, levels are joined with two underscores: `USHER_API__PORT=9000`.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from usher.domain.policy import Deadlines, Policy

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PLAYWRIGHT_BROWSERS_PATH")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True)


class ApiSettings(_Group):
    """Where the API listens and how it is reached."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8056, ge=0, le=65535, description="Port to listen on; 0 for any free one.")
    public_url: str | None = Field(
        default=None, description="How users reach the API, without trailing slash; default: host and port."
    )
    admin_token: SecretStr | None = Field(
        default=None, description="Token of the Admin API (`X-Admin-API-Key`); without one the Admin API is closed."
    )
    cors_origins: list[str] = Field(
        default=[],
        description="Origins of web pages that may call the API from a browser, a JSON list: "
        '`["https://app.example.com"]`; none by default.',
    )
    key_cache_s: float = Field(default=5.0, ge=0, description="How long a checked API key is trusted, in seconds.")
    rate_per_s: float = Field(
        default=100.0, ge=0, description="Requests a second of one API key at one manager; 0 for any number."
    )
    rate_burst: int = Field(default=1000, ge=1, description="Requests of one API key at once, beyond that rate.")


class DatabaseSettings(_Group):
    """PostgreSQL."""

    dsn: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host:port/name. `usher up` starts its own without one."
    )
    pool_size: int = Field(default=10, ge=1, le=200, description="Connections at most.")
    timeout_s: float = Field(default=10.0, gt=0, description="Longest wait for a connection or a statement, seconds.")


class RedisSettings(_Group):
    """Redis."""

    url: SecretStr | None = Field(
        default=None, description="redis://user:password@host:port/0. `usher up` starts its own without one."
    )
    bot_url: str | None = Field(
        default=None, description="redis://host:port/0 as bots reach it, without credentials; default: from url."
    )


class DockerSettings(_Group):
    """Bots as containers of Docker."""

    hosts: dict[str, str] = Field(
        default={"local": "unix:///var/run/docker.sock"},
        min_length=1,
        description="Engines by name, a JSON object: unix:// or tcp:// addresses. A name must keep its address.",
    )
    image: str = Field(default="usher-bot:latest", description="Image of the bot.")
    pull: Literal["missing", "never"] = Field(default="missing", description="Whether a missing image is pulled.")
    network: str = Field(default="usher-bots", description="Network of the bots; made if it is missing.")
    bridge: str = Field(
        default="usher-bots", max_length=15, description="Interface of that network on the host, for firewall rules."
    )
    cpus: float = Field(default=1.0, gt=0, description="Processors of one bot at most.")
    memory_mb: int = Field(default=1500, ge=64, description="Memory of one bot at most, MiB.")
    shm_mb: int = Field(default=512, ge=16, description="Shared memory of one bot at most, MiB; counts as memory.")
    pids: int = Field(default=512, ge=16, description="Processes and threads of one bot at most.")
    max_bots: int | None = Field(default=None, ge=1, description="Bots on one engine at most; default: no limit.")


class NomadSettings(_Group):
    """Bots as jobs of Nomad."""

    url: str = Field(default="http://127.0.0.1:4646", description="Address of the Nomad API.")
    token: SecretStr | None = Field(default=None, description="ACL token.")
    ca_file: Path | None = Field(default=None, description="Certificates that vouch for Nomad; default: the machine's.")
    certificate_file: Path | None = Field(default=None, description="Certificate to show to Nomad, if it asks for one.")
    key_file: Path | None = Field(default=None, description="Private key of that certificate.")
    namespace: str = Field(default="default", description="Namespace of the jobs.")
    region: str | None = Field(default=None, description="Region of the jobs; default: that of the server.")
    datacenters: tuple[str, ...] = Field(default=("*",), min_length=1, description="Data centres, a JSON list.")
    node_pool: str | None = Field(default=None, description="Nodes that bots may run on; default: Nomad's.")
    driver: Literal["docker", "exec", "raw_exec"] = Field(default="docker", description="Task driver.")
    image: str = Field(default="usher-bot:latest", description="Image of the bot, with the docker driver.")
    network: str | None = Field(default=None, description="Network of the bots, with the docker driver.")
    cpu_mhz: int = Field(default=1000, ge=20, description="Processor share of one bot, MHz.")
    memory_mb: int = Field(default=1500, ge=64, description="Memory of one bot, MiB.")
    memory_max_mb: int | None = Field(
        default=None,
        ge=64,
        description="Memory of one bot at most, MiB, where the cluster allows more; default: no more.",
    )
    shm_mb: int = Field(default=512, ge=16, description="Shared memory of one bot at most, MiB; counts as memory.")
    pids: int = Field(default=512, ge=16, description="Processes and threads of one bot at most.")
    lost_after_s: float = Field(
        default=60.0, ge=1.0, description="How long after its node was lost a bot is taken for ended, seconds."
    )
    stop_when_cut_off: bool = Field(
        default=False,
        description="A node without contact for that long stops its bots; needs Nomad 1.10.2, or one bot a node.",
    )


class KubernetesSettings(_Group):
    """Bots as pods of Kubernetes."""

    kubeconfig: Path | None = Field(default=None, description="File that names the cluster; default: the one inside.")
    context: str | None = Field(default=None, description="Context of that file; default: its current one.")
    namespace: str = Field(default="usher", description="Namespace of the pods.")
    image: str = Field(default="usher-bot:latest", description="Image of the bot.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When the image is pulled."
    )
    pull_secrets: tuple[str, ...] = Field(default=(), description="Secrets to pull it with, a JSON list.")
    service_account: str = Field(default="usher-bot", description="Service account of the pods; needs no rights.")
    cpus: float = Field(default=1.0, gt=0, description="Processors of one bot: what is asked for, and the limit.")
    memory_mb: int = Field(default=1500, ge=64, description="Memory of one bot: what is asked for, and the limit, MiB.")
    shm_mb: int = Field(default=512, ge=16, description="Shared memory of one bot at most, MiB; counts as memory.")
    node_selector: dict[str, str] = Field(default={}, description="Labels that a node has to have, a JSON object.")
    tolerations: tuple[dict[str, str | int], ...] = Field(
        default=(), description="Taints that a node may have, a JSON list as in a pod."
    )
    priority_class: str | None = Field(default=None, description="Priority class; default: that of the cluster.")
    runtime_class: str | None = Field(default=None, description="Runtime class; default: that of the cluster.")
    seccomp_profile: str | None = Field(
        default=None, description="A profile of the nodes, below the kubelet's directory; default: the runtime's."
    )


class LauncherSettings(_Group):
    """What runs the bots. `USHER_LAUNCHER=docker` is short for `USHER_LAUNCHER__KIND=docker`."""

    kind: Literal["process", "docker", "nomad", "kubernetes"] = Field(
        default="process", description="process: local processes of this machine; or an engine."
    )
    installation: str = Field(
        default="usher",
        pattern="^[a-z][a-z0-9]{0,15}$",
        description="Begins the names of workloads, so that several Ushers can share an engine. "
        "`usher up` draws one of its own.",
    )
    command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Program and arguments that run a bot, a JSON list; default: this Python with `-m usher.cli.bot`, "
        "in an image that of the image.",
    )
    docker: DockerSettings = DockerSettings()
    nomad: NomadSettings = NomadSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()

    @property
    def has_image(self) -> bool:
        """Whether bots bring their own programs in an image, rather than use those of the machine that they run on."""
        return self.kind in {"docker", "kubernetes"} or (self.kind == "nomad" and self.nomad.driver == "docker")


class BotSettings(_Group):
    """How bots run."""

    chromium: Path | None = Field(default=None, description="Path of a Chromium or Chrome; default: the first found.")
    headless: bool | None = Field(
        default=None, description="Without a display; default: only outside of images, which bring a virtual one."
    )
    guests: Path | None = Field(
        default=None,
        description="Directory with what bots of single users bring: USER_ID.profile.json, a signed-in browser's "
        "storage state, and USER_ID.proxy, the URL of a proxy.",
    )
    sandbox: bool | None = Field(
        default=None,
        description="Chromium's own sandbox; default: on, save for root, where Chromium refuses it, and in images that "
        "are not run by the docker launcher, which alone brings a profile that allows it.",
    )
    speech_backlog_min: float = Field(
        default=60.0,
        ge=0,
        le=24 * 60,
        description="Minutes of speech, of all speakers of a meeting together, that a bot keeps in its folder for "
        "temporary files while the speech service is away or behind; each takes up to 2 MB.",
    )
    janus_url: str | None = Field(
        default=None, description="Page of Janus' video room demo that bots may join, …/mvideoroomtest.html."
    )
    host: str | None = Field(
        default=None, description="Address to listen on for bots alone, who then need not reach the API."
    )
    port: int = Field(default=8057, ge=0, le=65535, description="Port to listen on for bots alone.")
    manager_url: str | None = Field(
        default=None, description="How bots reach the manager; default: the address for bots alone, else the API's."
    )

    @property
    def uses_sandbox(self) -> bool:
        """Whether browsers keep their own sandbox: as set, else unless root."""
        return self.sandbox if self.sandbox is not None else not is_root()


class TranscriptionSettings(_Group):
    """The speech service."""

    url: str | None = Field(
        default=None, description="WebSocket URL of a WhisperLive server; without one `usher up` starts its own."
    )
    host: str = Field(default="127.0.0.1", description="Address that `usher transcribe` listens on.")
    port: int = Field(default=9090, ge=0, le=65535, description="Port that `usher transcribe` listens on.")
    model: Path | None = Field(
        default=None, description="Directory of a CTranslate2 Whisper model; default: installed."
    )
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Where the model runs.")
    compute_type: str = Field(default="int8", description="Number format of the model: int8, float16, float32.")
    workers: int = Field(default=2, ge=1, le=64, description="Inferences at a time.")
    max_streams: int = Field(
        default=256, ge=1, le=4096, description="Streams at a time at most; further ones are told to wait."
    )
    max_streams_per_bot: int = Field(default=128, ge=1, description="Streams of one bot at a time at most.")
    max_load: float = Field(
        default=1.2,
        gt=0,
        le=100,
        description="Share of the workers' time up to which streams are let in; partial texts count, and give way.",
    )
    max_lag_s: float = Field(
        default=2.0, gt=0, description="Wait of final texts for a worker up to which streams are let in, seconds."
    )
    engine: Literal["faster_whisper", "openai"] = Field(
        default="faster_whisper",
        description="What transcribes: a model on this machine, or a service with the audio API of OpenAI.",
    )
    remote_url: str | None = Field(
        default=None, description="Base URL of that service, for example https://api.openai.com/v1."
    )
    remote_key: SecretStr | None = Field(default=None, description="API key of that service, if it wants one.")
    remote_model: str = Field(default="whisper-1", description="Name of the model at that service.")
    remote_connections: int = Field(default=8, ge=1, le=256, description="Calls to that service at a time.")
    remote_timeout_s: float = Field(
        default=25.0, gt=0, le=60, description="Longest wait for a text of that service, with all tries, seconds."
    )
    partial_every_s: float | None = Field(
        default=None,
        ge=0,
        description="New speech before the next partial text, seconds; 0 for none. Default: 0.9 with a model on "
        "this machine, 0 with a service, where each partial text is paid for.",
    )


class LifecycleSettings(_Group):
    """Limits of a meeting's life."""

    max_attempts: int = Field(default=3, ge=1, le=20, description="Launches of one meeting at most.")
    start_timeout_s: float = Field(default=120.0, gt=0, description="From launch to the bot's first report, seconds.")
    join_timeout_s: float = Field(
        default=180.0, gt=0, description="From the first report to lobby or meeting, seconds."
    )
    help_timeout_s: float = Field(
        default=0.0, ge=0, description="For a person to deal with a captcha or a sign-in that a bot meets, seconds."
    )
    admission_timeout_s: float = Field(default=900.0, gt=0, description="In the lobby, seconds.")
    reconnect_timeout_s: float = Field(
        default=60.0, gt=0, description="For a bot that dropped out of its meeting to get back, seconds."
    )
    max_duration_s: float = Field(default=4 * 3600.0, gt=0, description="In the meeting, seconds.")
    alone_timeout_s: float = Field(default=120.0, gt=0, description="Alone after others were there, seconds.")
    no_one_joined_timeout_s: float = Field(default=600.0, gt=0, description="Alone from the start, seconds.")
    reconfigure_timeout_s: float = Field(default=30.0, gt=0, description="For a change of configuration, seconds.")
    leave_grace_s: float = Field(default=20.0, gt=0, description="For a graceful leave before the kill, seconds.")
    heartbeat_s: float = Field(default=10.0, gt=0, description="Between two heartbeats of a bot, seconds.")
    lease_s: float = Field(default=22.0, gt=0, description="Without a heartbeat until a bot counts as dead, seconds.")

    def policy(self) -> Policy:
        """Return the policy that these limits make."""
        return Policy(
            deadlines=Deadlines(
                starting_s=self.start_timeout_s,
                # A bot that was helped has the whole time for the way in again.
                joining_s=self.join_timeout_s + (self.help_timeout_s and self.help_timeout_s + self.join_timeout_s),
                awaiting_admission_s=self.admission_timeout_s + 30.0,
                active_s=self.max_duration_s,
                reconfiguring_s=self.reconfigure_timeout_s,
                stopping_s=self.leave_grace_s + 40.0,
            ),
            max_attempts=self.max_attempts,
            leave_grace_s=self.leave_grace_s,
            heartbeat_s=self.heartbeat_s,
            lease_s=self.lease_s,
            admission_timeout_s=self.admission_timeout_s,
        )


class WebhookSettings(_Group):
    """Messages to users' servers."""

    allow_private: bool = Field(
        default=False,
        description="Also to inner addresses and without TLS: for development, never where others have keys.",
    )


class LogSettings(_Group):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level to print.")
    format: Literal["json", "console"] = Field(default="json", description="json for machines, console for people.")


class ClientSettings(_Group):
    """How the command line reaches the API."""

    url: str | None = Field(default=None, description="Base URL of the API; default: the running `usher up`.")
    api_key: SecretStr | None = Field(default=None, description="API key; default: that of the running `usher up`.")


class S3Settings(_Group):
    """Storage that speaks the protocol of Amazon S3."""

    bucket: str | None = Field(default=None, description="Bucket; it has to be there.")
    prefix: str = Field(default="", description="Begins the name of each object, for example `usher/`.")
    endpoint: str | None = Field(default=None, description="URL of the server; default: Amazon's for the region.")
    region: str = Field(default="us-east-1", description="Region of the bucket.")
    access_key_id: str | None = Field(default=None, description="Who writes; default: the role of the machine.")
    secret_access_key: SecretStr | None = Field(default=None, description="The secret of that key.")
    virtual_hosted: bool = Field(default=False, description="The bucket is part of the host name, not of the path.")
    timeout_s: float = Field(default=15.0, gt=0, description="For one request, with what is tried again, seconds.")


class RecordingSettings(_Group):
    """Where recordings are kept, of meetings for which they were asked."""

    kind: Literal["disk", "s3"] = Field(
        default="disk", description="disk: a directory, which managers on several machines have to share; or s3."
    )
    directory: Path | None = Field(default=None, description="Directory; default: `recordings` in the data directory.")
    s3: S3Settings = S3Settings()


class _Environment(EnvSettingsSource):
    """The environment, where one word for the launcher names its kind."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: str) -> object:
        """Return what a variable of a whole group says."""
        if field_name == "launcher" and value.isalpha():
            return {"kind": value}
        return super().decode_complex_value(field_name, field, value)


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="USHER_", env_nested_delimiter="__", frozen=True, extra="ignore", env_ignore_empty=True
    )

    data_dir: Path = Field(
        default=Path(".usher"), description="Directory of everything that `usher up` keeps: databases, model, bots."
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Secret of the installation, from which bots' credentials are derived; `usher up` makes its own.",
    )
    api: ApiSettings = ApiSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    launcher: LauncherSettings = LauncherSettings()
    bots: BotSettings = BotSettings()
    transcription: TranscriptionSettings = TranscriptionSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    webhooks: WebhookSettings = WebhookSettings()
    recordings: RecordingSettings = RecordingSettings()
    log: LogSettings = LogSettings()
    client: ClientSettings = ClientSettings()

    @property
    def bots_are_headless(self) -> bool:
        """Whether bots' browsers go without a display: as set, else where no image brings one."""
        return self.bots.headless if self.bots.headless is not None else not self.launcher.has_image

    @property
    def bots_use_sandbox(self) -> bool:
        """Whether bots' browsers keep their own sandbox: as set, else where the launcher lets them have it."""
        if self.launcher.has_image and self.bots.sandbox is None:
            return self.launcher.kind == "docker"
        return self.bots.uses_sandbox

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: object, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first and the environment second, and nothing else."""
        return init_settings, _Environment(settings_cls)


def bare_environment() -> dict[str, str]:
    """Return the variables that a bot's process may inherit: nothing that could hold a secret."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def environment_with(**variables: str) -> dict[str, str]:
    """Return this process's environment with variables added, for a child that is part of the system."""
    return {**os.environ, **variables}


def bot_document(variable: str) -> str | None:
    """Return the document that a bot was started with and take it out of the environment of its children."""
    return os.environ.pop(variable, None)


def last_words_path(variable: str) -> Path | None:
    """Return where a bot may leave its last words; None if its launcher named no place."""
    path = os.environ.pop(variable, None)
    return Path(path) if path else None


def last_words_bytes(variable: str) -> int | None:
    """Return how many bytes of last words the bot's launcher keeps; None if it named no limit."""
    most_bytes = os.environ.pop(variable, None)
    return int(most_bytes) if most_bytes else None


def is_root() -> bool:
    """Say whether this process runs as root."""
    return os.geteuid() == 0
