"""What a simulated bot does in its meeting: written in its name, which is all that reaches it from its user."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Script:
    """One visit, in seconds.

    Attributes:
        join_s: From the launch until it is in the lobby, or in the meeting.
        lobby_s: In the lobby; 0 for none.
        stay_s: In the meeting, unless it is stopped.
        talk_s: Between two sentences that it hears; 0 for silence.
        leave_s: For leaving.
    """

    join_s: float = 0.1
    lobby_s: float = 0.0
    stay_s: float = 86_400.0
    talk_s: float = 0.0
    leave_s: float = 0.1

    @property
    def name(self) -> str:
        """The name that carries it."""
        return " ".join(f"{one.name}={getattr(self, one.name):g}" for one in fields(self))

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Read a bot's name; what it does not say is as usual."""
        return cls(**{word: float(value) for word, _, value in (part.partition("=") for part in name.split()) if value})
