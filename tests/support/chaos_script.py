"""What a scripted bot does in its meeting. It travels in the bot's name, which the manager hands on untouched."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from usher.domain.lifecycle import Reason

NEVER_S = 3600.0
_MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Script:
    """A visit.

    Attributes:
        lobby_s: Time in the lobby.
        stay_s: Time in the meeting until it ends by itself.
        talk_s: Between two segments of text; 0 for none.
        leave_s: How long leaving takes.
        fails: Attempts up to this number die, without a word, once the manager knows that they are in the meeting.
        mute: The process runs and never says anything.
        reason: Why the meeting ends by itself.
    """

    lobby_s: float = 0.1
    stay_s: float = NEVER_S
    talk_s: float = 0.0
    leave_s: float = 0.1
    fails: int = 0
    mute: bool = False
    reason: Reason = Reason.MEETING_ENDED

    def to_name(self) -> str:
        """Return a bot's name that says all this."""
        usual = asdict(Script())
        name = json.dumps({key: value for key, value in asdict(self).items() if value != usual[key]})
        if len(name) > _MOST_CHARACTERS:
            raise ValueError(f"too long for a bot's name: {name}")
        return name

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Read a bot's name."""
        told = json.loads(name)
        return cls(**{**told, "reason": Reason(told.get("reason", Reason.MEETING_ENDED))})
