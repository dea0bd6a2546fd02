"""What the bot asks of a platform, and what it gets to see."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from usher.domain.lifecycle import Reason


class Presence(Enum):
    """Where the bot is, by what the page shows.

    `CONNECTING` is also what a page shows that nothing is known of; `RECONNECTING` is the page's own word that it was
    inside and tries to get back.
    """

    CONNECTING = auto()
    LOBBY = auto()
    INSIDE = auto()
    RECONNECTING = auto()
    REJECTED = auto()
    REMOVED = auto()
    ENDED = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the meeting.

    Attributes:
        name: As the page shows it now.
        person_id: The page's own id, the same after a renaming; where it has none, the name.
        is_self: It is the bot.
        is_bot: It is another bot, as far as its name tells.
        speaks: The page shows that this person is heard right now.
    """

    name: str
    is_self: bool
    person_id: str = ""
    is_bot: bool = False
    speaks: bool = False


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A message that stands in the meeting's chat.

    Attributes:
        line_id: The page's id; the same line has the same one in every look.
        sender: Name as shown; empty where the page does not tell.
        text: What was written.
    """

    line_id: str
    sender: str
    text: str


@dataclass(frozen=True, slots=True)
class Wall:
    """Something in the way that the bot never works around: a person has to deal with it, or the visit is over.

    Attributes:
        reason: Which one: `captcha`, `blocked`, `sign_in_required`, …
        sign: What it was told by, for people: text or selector of the page.
    """

    reason: Reason
    sign: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at the page.

    Attributes:
        people: Everybody in the meeting, the bot included; empty where the page does not show it.
        voices: Whose voice a track carries: id of the person by the page's id of the track. Only tracks that belong to
            one person for good.
        sources: Who is heard through a contributing source (RFC 3550) of a shared track: person's id by its number.
        wall: What is in the way, if anything is.
        chat: The newest lines of the chat, oldest first, where it is open.
    """

    presence: Presence
    people: tuple[Person, ...] = ()
    voices: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)
    wall: Wall | None = None
    chat: tuple[ChatLine, ...] = ()


class JoinFailed(Exception):
    """The way into the meeting is not as expected; `step` says which step did not work.

    Attributes:
        step: Name of the step, as in the evidence and in the docs of the platform.
        wall: What the page says is in the way, if it says anything.
    """

    def __init__(self, step: str, detail: str, wall: Wall | None = None) -> None:
        super().__init__(f"{step}: {detail}")
        self.step = step
        self.wall = wall


class NotPossible(Exception):
    """The platform, or this meeting, does not let the bot do what it was told; the text says why."""


def first_line(error: Exception) -> str:
    """Return the first line of a browser's complaint, without addresses: they may hold passcodes."""
    line = str(error).partition("\n")[0]
    return re.sub(r"\S+://\S+", "…", line)[:300]


class SignWatch(Protocol):
    """Watches the page's signs of who speaks, in the page itself: more often than anybody looks."""

    @property
    def script(self) -> str:
        """A function, to be run in the document that shows the people. Idempotent."""
        ...

    def argument(self, people: dict[str, Any]) -> dict[str, Any]:
        """Return its argument, by what is known of how the page shows people, in the form of JSON."""
        ...


class MeetingPage(Protocol):
    """One visit to one meeting, in the page."""

    @property
    def step(self) -> str:
        """The step that was begun last: what a failure is told by."""
        ...

    def watch_signs(self, watch: SignWatch) -> None:
        """Have the page watched for signs of who speaks, inside of the meeting, where it shows any."""
        ...

    async def join(self, url: str, name: str) -> None:
        """Do everything up to the press of the join button.

        Raises:
            JoinFailed: A step did not work in its time.
        """
        ...

    async def resume(self) -> None:
        """Go on with the way in from where the page is, after a person dealt with what was in the way.

        Raises:
            JoinFailed: A step did not work in its time.
        """
        ...

    async def look(self) -> Sighting:
        """Look at the page, and put away what stands in the way inside of the meeting. Bounded in time."""
        ...

    async def say(self, text: str) -> None:
        """Write a message into the meeting's chat.

        Raises:
            NotPossible: There is no chat, or the bot may not write.
        """
        ...

    async def rename(self, name: str) -> None:
        """Go under another name from now on.

        Raises:
            NotPossible: The platform does not let a guest do that.
        """
        ...

    async def leave(self) -> None:
        """Leave through the page's own control. Does nothing outside the meeting."""
        ...
