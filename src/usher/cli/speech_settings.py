"""From the settings to the configuration of the speech service. Loads no engine."""

from usher.domain.errors import Invalid
from usher.settings import TranscriptionSettings
from usher.transcription.config import EndpointRules, RemoteConfig, ServerConfig


def server_config(wanted: TranscriptionSettings) -> ServerConfig:
    """Return what the settings make of the speech service.

    Raises:
        Invalid: A remote service is wanted, and its URL is not set.
    """
    remote = remote_config(wanted)
    default_s = 0.0 if remote else EndpointRules().partial_every_s
    partial_every_s = default_s if wanted.partial_every_s is None else wanted.partial_every_s
    return ServerConfig(
        host=wanted.host,
        port=wanted.port,
        model=str(wanted.model or "base"),
        device=wanted.device,
        compute_type=wanted.compute_type,
        workers=wanted.workers,
        max_streams=wanted.max_streams,
        max_streams_per_bot=wanted.max_streams_per_bot,
        max_load=wanted.max_load,
        max_lag_s=wanted.max_lag_s,
        endpoint=EndpointRules(partial_every_s=partial_every_s),
        remote=remote,
    )


def remote_config(wanted: TranscriptionSettings) -> RemoteConfig | None:
    """Return where the service is that transcribes; None for a model on this machine.

    Raises:
        Invalid: A remote service is wanted, and its URL is not set.
    """
    if wanted.engine != "openai":
        return None
    if not wanted.remote_url:
        raise Invalid(
            "no_remote_url",
            "USHER_TRANSCRIPTION__ENGINE is openai, and no service is named. Set USHER_TRANSCRIPTION__REMOTE_URL to "
            "its base URL, for example https://api.openai.com/v1.",
        )
    return RemoteConfig(
        url=wanted.remote_url,
        key=wanted.remote_key.get_secret_value() if wanted.remote_key else None,
        model=wanted.remote_model,
        connections=wanted.remote_connections,
        timeout_s=wanted.remote_timeout_s,
    )
