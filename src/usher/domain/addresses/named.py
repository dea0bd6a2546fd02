"""How a meeting is named: by platform and native id, and where a browser joins it."""

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """A kind of meeting that a bot knows how to behave in."""

    GOOGLE_MEET = "google_meet"
    TEAMS = "teams"
    ZOOM = "zoom"
    JANUS = "janus"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class MeetingRef:
    """One call, as its platform names it.

    Attributes:
        platform: Which platform it is on.
        native_id: The platform's own id, at most 255 characters, safe as one URL path segment.
        url: Where a browser joins it. May carry a passcode, so it is a secret.
    """

    platform: Platform
    native_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Homes:
    """Where those platforms are that every installation has an address of its own for.

    Attributes:
        room: This Usher's own rooms, without trailing slash.
        janus: The page of Janus' video room demo, or None where there is no Janus.
    """

    room: str
    janus: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What an address says.

    Attributes:
        native_id: The meeting's id, as it stands there.
        passcode: What has to be given at the door, if anything.
        url: Where to join, where that does not follow from the id: links with an id made of them, and other hosts.
    """

    native_id: str
    passcode: str | None = None
    url: str | None = None
