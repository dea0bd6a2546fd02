"""Commands to a bot on `bot_commands:{connection_id}`, and its answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Task = Literal["transcribe", "translate"]


def command_channel(connection_id: str) -> str:
    """Return the name of the Redis Pub/Sub channel that the bot of `connection_id` listens to."""
    return f"bot_commands:{connection_id}"


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int = Field(ge=1, description="Number of the command; grows by one, never repeats within a meeting.")


class Reconfigure(_Command):
    """Change language and task of the transcription, effective for speech from now on."""

    action: Literal["reconfigure"] = "reconfigure"
    language: str | None = Field(default=None, description="ISO 639-1 code, or null to detect the language.")
    task: Task = Field(default="transcribe", description="transcribe, or translate into English.")


class Leave(_Command):
    """Leave the meeting, report and exit."""

    action: Literal["leave"] = "leave"


Command = Annotated[Reconfigure | Leave, Field(discriminator="action")]

_COMMAND: TypeAdapter[Reconfigure | Leave] = TypeAdapter(Command)


def parse_command(message: str | bytes) -> Reconfigure | Leave:
    """Read one message of the channel.

    Raises:
        pydantic.ValidationError: It is not a command that this version knows.
    """
    return _COMMAND.validate_json(message)


class PendingCommands(BaseModel):
    """Answer of `GET /internal/bots/{connection_id}/commands?after=N`, oldest first."""

    commands: list[Command]


class CommandOutcome(BaseModel):
    """Body of `POST /internal/bots/{connection_id}/commands/{seq}`: what the bot did with a command."""

    outcome: Literal["applied", "refused"]
    detail: str = Field(default="", max_length=2000, description="For people: why it was refused.")
