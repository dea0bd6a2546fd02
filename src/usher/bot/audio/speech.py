"""How to reach the speech service, what to ask of it, and how long to wait for it."""

from dataclasses import dataclass

from pydantic import SecretStr

from usher.protocol.commands import Task


@dataclass(frozen=True, slots=True)
class SpeechPatience:
    """How long a bot waits for the speech service, in seconds.

    Attributes:
        open_s: For the connection.
        ready_s: For the server to be ready; a stock server may load its model first.
        send_s: For settings to be taken and confirmed, and for the end of the audio to be taken.
        stall_s: For any sign of life, a text or an answer to a ping. A service that is behind takes no audio meanwhile.
        finish_s: Between two of the last texts after the end of the audio, when the bot leaves.
        last_s: For all that is left when the bot leaves, because it was told to.
        quiet_s: Without new text, until a stock server has heard all it was sent: it does not flush.
        close_s: For the closing handshake.
        retry_s: Between sessions that could not be opened, by the number of failures in a row.
    """

    open_s: float = 10.0
    ready_s: float = 60.0
    send_s: float = 10.0
    stall_s: float = 60.0
    finish_s: float = 8.0
    last_s: float = 18.0
    quiet_s: float = 2.0
    close_s: float = 2.0
    retry_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Speech:
    """How to reach the speech service, and what to ask of it."""

    url: str
    token: SecretStr
    language: str | None
    task: Task
    patience: SpeechPatience = SpeechPatience()
