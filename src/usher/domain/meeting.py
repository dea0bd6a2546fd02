"""Platforms, and how a meeting is named: by platform and native id, or by its URL alone."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qs, urlsplit

from usher.domain.errors import Invalid


class Platform(StrEnum):
    """A kind of meeting that a bot knows how to behave in."""

    GOOGLE_MEET = "google_meet"
    TEAMS = "teams"
    ZOOM = "zoom"
    ROOM = "room"


JOINABLE = frozenset({Platform.ROOM})
"""Platforms that the bots of this version can join."""


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


_NATIVE_ID = {
    Platform.GOOGLE_MEET: re.compile(r"[a-z]{3}-[a-z]{4}-[a-z]{3}"),
    Platform.TEAMS: re.compile(r"[0-9]{10,15}"),
    Platform.ZOOM: re.compile(r"[0-9]{9,11}"),
    Platform.ROOM: re.compile(r"[a-z0-9][a-z0-9-]{2,62}"),
}
_PASSCODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TEAMS_HOSTS = frozenset({"teams.live.com", "teams.microsoft.com"})
_EXAMPLES = {
    Platform.GOOGLE_MEET: "abc-defg-hij",
    Platform.TEAMS: "9387167464734",
    Platform.ZOOM: "82345678901",
    Platform.ROOM: "weekly-sync",
}


def parse_platform(name: str) -> Platform:
    """Return the platform called `name`.

    Raises:
        Invalid: `unknown_platform`, with the names that are known.
    """
    try:
        return Platform(name)
    except ValueError:
        known = ", ".join(sorted(Platform))
        raise Invalid("unknown_platform", f"There is no platform {name[:40]!r}. Use one of: {known}.") from None


def require_joinable(ref: MeetingRef) -> MeetingRef:
    """Return `ref` if bots can join its platform.

    Raises:
        Invalid: `platform_not_joinable`.
    """
    if ref.platform not in JOINABLE:
        raise Invalid(
            "platform_not_joinable",
            f"The bots of this version cannot join {ref.platform} meetings yet. They join: {', '.join(JOINABLE)}.",
        )
    return ref


def check_native_id(platform: Platform, native_id: str) -> str:
    """Return `native_id` if it can name a meeting on `platform`.

    Raises:
        Invalid: `bad_meeting_id`, with an example of a good one.
    """
    if not _NATIVE_ID[platform].fullmatch(native_id):
        raise Invalid(
            "bad_meeting_id",
            f"{native_id[:80]!r} is not a {platform} meeting id. One looks like {_EXAMPLES[platform]!r}.",
        )
    return native_id


def meeting_from_id(platform: Platform, native_id: str, *, passcode: str | None, room_url: str) -> MeetingRef:
    """Name a meeting by platform and native id.

    Args:
        platform: The platform.
        native_id: The platform's id of the meeting.
        passcode: Passcode or password if the platform wants one.
        room_url: Where this Usher serves its own rooms, without trailing slash.

    Raises:
        Invalid: The id or the passcode is malformed.
    """
    check_native_id(platform, native_id)
    if passcode is not None and not _PASSCODE.fullmatch(passcode):
        raise Invalid("bad_passcode", "A passcode has 1 to 64 letters, digits, dots, dashes or underscores.")
    return MeetingRef(platform, native_id, _URLS[platform](native_id, passcode, room_url))


def meeting_from_url(url: str, *, room_url: str) -> MeetingRef:
    """Name a meeting by the address that people paste.

    Raises:
        Invalid: `bad_meeting_url` if it is not the address of a meeting on a platform that Usher knows.
    """
    parts = _split(url)
    host = (parts.hostname or "").lower()
    if _origin(parts) == _origin(_split(room_url)):
        prefix = urlsplit(room_url).path + "/"
        if parts.path.startswith(prefix):
            return meeting_from_id(
                Platform.ROOM, parts.path.removeprefix(prefix).strip("/"), passcode=None, room_url=room_url
            )
    for knows, read in _READERS:
        if knows(host):
            platform, native_id, passcode = read(parts)
            return meeting_from_id(platform, native_id, passcode=passcode, room_url=room_url)
    raise Invalid(
        "bad_meeting_url",
        f"No platform that Usher knows has meetings at {host[:80]!r}. "
        "Paste the address of a Google Meet, Microsoft Teams, Zoom or Usher room meeting.",
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise Invalid("bad_meeting_url", "The meeting URL is malformed. Paste the whole https:// address.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Invalid("bad_meeting_url", "The meeting URL has to begin with https:// and name a host.")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _segment_after(parts: SplitResult, *markers: str) -> str:
    segments = [s for s in parts.path.split("/") if s]
    for before, after in zip(["", *segments], segments, strict=False):
        if before in markers:
            return after
    raise Invalid("bad_meeting_url", "That address is on a meeting platform, but it does not name a meeting.")


def _query(parts: SplitResult, name: str) -> str | None:
    return next(iter(parse_qs(parts.query).get(name, [])), None)


def _read_meet(parts: SplitResult) -> tuple[Platform, str, str | None]:
    return Platform.GOOGLE_MEET, parts.path.strip("/").lower(), None


def _read_teams(parts: SplitResult) -> tuple[Platform, str, str | None]:
    return Platform.TEAMS, _segment_after(parts, "meet"), _query(parts, "p")


def _read_zoom(parts: SplitResult) -> tuple[Platform, str, str | None]:
    native_id = _segment_after(parts, "j", "w", "s", "wc")
    if native_id == "join":
        native_id = _segment_after(parts, "join")
    return Platform.ZOOM, native_id, _query(parts, "pwd")


_Reader = Callable[[SplitResult], tuple[Platform, str, str | None]]

_READERS: tuple[tuple[Callable[[str], bool], _Reader], ...] = (
    (lambda host: host == "meet.google.com", _read_meet),
    (lambda host: host in _TEAMS_HOSTS, _read_teams),
    (lambda host: host == "zoom.us" or host.endswith(".zoom.us"), _read_zoom),
)

_URLS: dict[Platform, Callable[[str, str | None, str], str]] = {
    Platform.GOOGLE_MEET: lambda native_id, _passcode, _room: f"https://meet.google.com/{native_id}",
    Platform.TEAMS: lambda native_id, passcode, _room: (
        f"https://teams.live.com/meet/{native_id}" + (f"?p={passcode}" if passcode else "")
    ),
    Platform.ZOOM: lambda native_id, passcode, _room: (
        f"https://app.zoom.us/wc/{native_id}/join" + (f"?pwd={passcode}" if passcode else "")
    ),
    Platform.ROOM: lambda native_id, _passcode, room: f"{room}/{native_id}",
}
