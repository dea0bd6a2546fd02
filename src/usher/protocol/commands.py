"""Commands to a bot on `bot_commands:{connection_id}`, and its answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Task = Literal["transcribe", "translate"]

MOST_CHAT_CHARACTERS = 2000
"""Of one message that a bot is told to write; a platform may take less."""

MOST_NAME_CHARACTERS = 100
"""Of a bot's name."""


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


class Say(_Command):
    """Write a message into the meeting's chat. Every one counts: no later command makes it void."""

    action: Literal["chat"] = "chat"
    text: str = Field(min_length=1, max_length=MOST_CHAT_CHARACTERS, description="What to write.")


class Rename(_Command):
    """Go under another name from now on."""

    action: Literal["rename"] = "rename"
    name: str = Field(min_length=1, max_length=MOST_NAME_CHARACTERS, description="The name that others shall see.")


Command = Annotated[Reconfigure | Leave | Say | Rename, Field(discriminator="action")]

_COMMAND: TypeAdapter[Reconfigure | Leave | Say | Rename] = TypeAdapter(Command)


def parse_command(message: str | bytes) -> Reconfigure | Leave | Say | Rename:
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
