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
        send_s: For a message to be taken, and for settings to be confirmed.
        finish_s: For the last text after the end of the audio.
        quiet_s: Without new text, until a stock server has heard all it was sent: it does not flush.
        close_s: For the closing handshake.
        retry_s: Between sessions that could not be opened, by the number of failures in a row.
    """

    open_s: float = 10.0
    ready_s: float = 60.0
    send_s: float = 10.0
    finish_s: float = 8.0
    quiet_s: float = 2.0
    close_s: float = 2.0
    retry_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Speech:
    """How to reach the speech service, and what to ask of it."""

    url: str
    token: SecretStr
    language: str | None
    task: Task
    patience: SpeechPatience = SpeechPatience()
