"""Platforms, and how a meeting is named: by platform and native id, or by its URL alone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult

from usher.domain.addresses import google_meet, here, teams, zoom
from usher.domain.addresses.named import Found, Homes, MeetingRef, Platform
from usher.domain.addresses.pasted import host_in, links, unwrapped
from usher.domain.addresses.reading import bad_url, check_passcode, host_of, split, without_gaps
from usher.domain.errors import Invalid

__all__ = [
    "Homes",
    "MeetingRef",
    "Platform",
    "check_native_id",
    "meeting_from_id",
    "meeting_from_url",
    "parse_platform",
    "tidy_native_id",
]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for the ids of one platform.

    Attributes:
        native_id: Its form.
        example: A good one.
        url: Where to join, by native id, passcode and the homes of this installation.
        tidy: Makes one of what people copy.
    """

    native_id: re.Pattern[str]
    example: str
    url: Callable[[str, str | None, Homes], str]
    tidy: Callable[[str], str] = str.strip


_RULES: Mapping[Platform, _Rules] = {
    Platform.GOOGLE_MEET: _Rules(
        google_meet.NATIVE_ID,
        google_meet.EXAMPLE,
        lambda native_id, _passcode, _homes: google_meet.url(native_id),
        google_meet.tidy,
    ),
    Platform.TEAMS: _Rules(
        teams.NATIVE_ID,
        teams.EXAMPLE,
        lambda native_id, passcode, _homes: teams.url(native_id, passcode),
        without_gaps,
    ),
    Platform.ZOOM: _Rules(
        zoom.NATIVE_ID,
        zoom.EXAMPLE,
        lambda native_id, passcode, _homes: zoom.url(native_id, passcode),
        without_gaps,
    ),
    Platform.JANUS: _Rules(here.JANUS_ID, "1234", lambda native_id, _passcode, homes: here.janus_url(native_id, homes)),
    Platform.ROOM: _Rules(
        here.ROOM_ID, "weekly-sync", lambda native_id, _passcode, homes: here.room_url(native_id, homes)
    ),
}

_READERS: tuple[tuple[Platform, Callable[[str], bool], Callable[[SplitResult], Found], str], ...] = (
    (Platform.GOOGLE_MEET, google_meet.knows, google_meet.read, ""),
    (Platform.TEAMS, teams.knows, teams.read, "msteams"),
    (Platform.ZOOM, zoom.knows, zoom.read, "zoommtg zoomus"),
)


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


def check_native_id(platform: Platform, native_id: str) -> str:
    """Return `native_id` if it can name a meeting on `platform`.

    Raises:
        Invalid: `bad_meeting_id`, with an example of a good one.
    """
    rules = _RULES[platform]
    if not rules.native_id.fullmatch(native_id):
        raise Invalid(
            "bad_meeting_id",
            f"{native_id[:80]!r} is not a {platform} meeting id. One looks like {rules.example!r}.",
        )
    return native_id


def tidy_native_id(platform: Platform, native_id: str) -> str:
    """Return an id as the platform writes it, from how people copy it: with gaps, without dashes, in capitals."""
    return _RULES[platform].tidy(native_id)


def meeting_from_id(platform: Platform, native_id: str, *, passcode: str | None, homes: Homes) -> MeetingRef:
    """Name a meeting by platform and native id.

    Args:
        platform: The platform.
        native_id: The platform's id of the meeting, as people copy it.
        passcode: Passcode or password if the platform wants one.
        homes: Where this installation's own platforms are.

    Raises:
        Invalid: The id or the passcode is malformed, or there is no such platform here.
    """
    tidied = check_native_id(platform, tidy_native_id(platform, native_id))
    return MeetingRef(platform, tidied, _RULES[platform].url(tidied, check_passcode(passcode), homes))


def meeting_from_url(url: str, *, homes: Homes) -> MeetingRef:
    """Name a meeting by the address that people paste; the text around it, an invitation for example, does no harm.

    Raises:
        Invalid: `bad_meeting_url` if there is no address of a meeting on a platform that Usher knows, or of several.
    """
    found: dict[tuple[Platform, str], MeetingRef] = {}
    refusals: list[Invalid] = []
    for link in links(url):
        try:
            ref = _first(link, homes)
        except Invalid as refusal:
            refusals.append(refusal)
            continue
        known = found.get((ref.platform, ref.native_id))
        if known is None or len(ref.url) > len(known.url):
            # The same meeting may be named twice, once without its passcode.
            found[ref.platform, ref.native_id] = ref
    if len(found) > 1:
        raise bad_url(f"That text names {len(found)} meetings. Paste the address of one.")
    if found:
        return next(iter(found.values()))
    # What a platform says of its own address is worth more than that other hosts are none.
    raise min(refusals, key=lambda refusal: isinstance(refusal, _Elsewhere), default=_no_link())


class _Elsewhere(Invalid):
    """The address is of no platform."""


def _no_link() -> Invalid:
    return bad_url("The meeting URL has to begin with https:// and name a host.")


def _first(link: tuple[str, ...], homes: Homes) -> MeetingRef:
    """Return what the link names by the first way to understand it that works."""
    refusal: Invalid | None = None
    for meant in link:
        try:
            return _read(unwrapped(meant), homes)
        except Invalid as error:
            refusal = refusal or error
    raise refusal or _no_link()


def _read(url: str, homes: Homes) -> MeetingRef:
    parts = split(url)
    for platform, native_id in here.at_home(parts, homes):
        return meeting_from_id(platform, native_id, passcode=None, homes=homes)
    host = host_of(parts)
    for platform, knows, read, apps in _READERS:
        if knows(host) or parts.scheme in apps.split():
            return _ref(platform, read(parts), homes)
    raise _Elsewhere(
        "bad_meeting_url",
        f"No platform that Usher knows has meetings at {host_in(url)!r}. "
        "Paste the address of a Google Meet, Microsoft Teams, Zoom or Usher room meeting.",
    )


def _ref(platform: Platform, found: Found, homes: Homes) -> MeetingRef:
    if found.url is None:
        return meeting_from_id(platform, found.native_id, passcode=found.passcode, homes=homes)
    return MeetingRef(platform, check_native_id(platform, found.native_id), found.url)
