"""The one document that a bot is started with, in the environment variable `USHER_BOT`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, SerializationInfo, field_serializer

from usher.domain.meeting import Platform
from usher.protocol.commands import Task

VARIABLE = "USHER_BOT"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are looked for where no browser is named, in this order."""


class Patience(BaseModel):
    """How long a bot waits for things, in seconds."""

    model_config = ConfigDict(frozen=True)

    join_s: float = Field(default=150.0, gt=0, description="For the way to the lobby or the meeting.")
    help_s: float = Field(default=0.0, ge=0, description="For a person to deal with what is in the way.")
    host_s: float = Field(default=600.0, ge=0, description="For the host to begin a meeting without a lobby.")
    host_every_s: float = Field(default=15.0, gt=0, description="Between two looks whether the host has begun.")
    admission_s: float = Field(default=900.0, gt=0, description="In the lobby.")
    reconnect_s: float = Field(default=60.0, gt=0, description="For the page to get back into the meeting.")
    alone_s: float = Field(default=120.0, gt=0, description="Alone in the meeting after others were there.")
    no_one_joined_s: float = Field(default=600.0, gt=0, description="Alone in the meeting from the start.")
    leave_s: float = Field(default=8.0, gt=0, description="For leaving through the page before the browser is closed.")
    heartbeat_s: float = Field(default=10.0, gt=0, description="Between two heartbeats.")
    manager_away_s: float = Field(default=600.0, gt=0, description="Without an answer of the manager, before leaving.")


class BotConfiguration(BaseModel):
    """Everything a bot process knows when it starts."""

    model_config = ConfigDict(frozen=True)

    meeting_id: int = Field(description="The meeting's id at the manager.")
    connection_id: str = Field(description="UUID of this attempt's bot process.")
    attempt: int = Field(ge=1, description="Launch number.")
    platform: Platform
    native_meeting_id: str
    meeting_url: SecretStr = Field(description="Where to join; may hold a passcode.")
    bot_name: str = Field(min_length=1, max_length=100, description="The name to join under.")
    language: str | None = None
    task: Task = "transcribe"
    recording: bool = Field(default=False, description="Whether what is heard is kept as sound, too.")
    token: SecretStr = Field(description="Bearer token for reports and transcription; also signs stream entries.")
    manager_url: str = Field(description="Base URL of the manager, without trailing slash.")
    redis_url: SecretStr = Field(description="Redis with the bot's own account.")
    transcription_url: str = Field(description="WebSocket URL of a WhisperLive server.")
    speech_backlog_min: float = Field(
        default=60.0, ge=0, description="Minutes of speech that are kept on disk while the speech service is away."
    )
    chromium: Path | None = Field(default=None, description="Browser to use; None for the first one found.")
    headless: bool = True
    sandbox: bool = Field(default=True, description="Chromium's own sandbox; off only where the system forbids it.")
    proxy: SecretStr | None = Field(default=None, description="URL of the proxy that the browser goes through.")
    profile: SecretStr | None = Field(
        default=None, description="Cookies and storage of a signed-in user: Playwright's storage state, JSON."
    )
    patience: Patience = Patience()

    @field_serializer("meeting_url", "token", "redis_url", "proxy", "profile", when_used="json")
    def _dump_secret(self, value: SecretStr | None, info: SerializationInfo) -> str | None:
        revealed = bool(info.context and info.context.get("reveal"))
        if value is None:
            return None
        return value.get_secret_value() if revealed else str(value)

    def to_environment(self) -> dict[str, str]:
        """Return the environment variables that carry this document, secrets included."""
        return {VARIABLE: self.model_dump_json(context={"reveal": True})}
