"""What the bot asks of a platform."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


class Presence(Enum):
    """Where the bot is, by what the page shows."""

    CONNECTING = auto()
    LOBBY = auto()
    INSIDE = auto()
    REJECTED = auto()
    REMOVED = auto()
    ENDED = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the meeting."""

    name: str
    is_self: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at the page.

    Attributes:
        people: Everybody in the meeting, the bot included.
        voices: Who speaks on which track: name by the page's id of the track.
    """

    presence: Presence
    people: tuple[Person, ...]
    voices: Mapping[str, str]


class JoinFailed(Exception):
    """The way into the meeting is not as expected; `step` says which step did not work."""

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(f"{step}: {detail}")
        self.step = step


def first_line(error: Exception) -> str:
    """Return the first line of a browser's complaint, without addresses: they may hold passcodes."""
    line = str(error).partition("\n")[0]
    return re.sub(r"\S+://\S+", "…", line)[:300]


class MeetingPage(Protocol):
    """One visit to one meeting, in the page."""

    async def join(self, url: str, name: str) -> None:
        """Do everything up to the press of the join button.

        Raises:
            JoinFailed: A step did not work in its time.
        """
        ...

    async def look(self) -> Sighting:
        """Look at the page. Bounded in time."""
        ...

    async def leave(self) -> None:
        """Leave through the page's own control. Does nothing outside the meeting."""
        ...
