"""What a replica's page is told, and what it tells: the forms of it."""

from dataclasses import dataclass, field
from typing import Literal

Sound = Literal["apart", "shared", "mixed", "webaudio"]
WallKind = Literal["captcha", "blocked", "sign_in"]
Phase = Literal[
    "gate",
    "prejoin",
    "lobby",
    "inside",
    "left",
    "denied",
    "removed",
    "ended",
    "not_found",
    "not_started",
    "passcode_wrong",
    "lost",
    "wall",
]


@dataclass(frozen=True, slots=True)
class Look:
    """How the platform appears today.

    Attributes:
        language: Of its words.
        bare: Generated class names and attributes are other ones than the bot knows.
        slow_ms: Delay of each answer of the site and of each drawing of the page.
        sound: How sound comes.
    """

    language: str = "en"
    bare: bool = False
    slow_ms: int = 0
    sound: Sound = "apart"


@dataclass
class Participant:
    """Somebody in the call; `source` is the number that stands as contributing source in shared tracks."""

    id: str
    name: str
    source: int
    host: bool = False
    speaking: bool = False


@dataclass
class Told:
    """What the page told of the bot.

    Attributes:
        name: The name that it asked with.
        microphone: It was on when it asked to join; None before.
        camera: The same.
        passcode: What it gave, if it was asked.
        pressed: Controls, in order; for a dialog `dialog <its name>`.
        said: What it wrote into the chat.
        opened: How many pages it opened.
        left: It left through the page's own control.
        cancelled: It took its request back through the page's own control.
        present: Its page is open.
    """

    name: str = ""
    microphone: bool | None = None
    camera: bool | None = None
    passcode: str = ""
    pressed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    opened: int = 0
    left: bool = False
    cancelled: bool = False
    present: bool = False
