"""Zoom: numbers with a passcode, on hosts of many names; events by their links.

Source: addresses as Vexa 0.12.23 and ScreenApp know them (August and June 2026), Zoom's help pages for the app's links.
"""

import re
from itertools import pairwise
from urllib.parse import SplitResult, unquote

from usher.domain.addresses.named import Found
from usher.domain.addresses.reading import (
    bad_url,
    check_passcode,
    derived_id,
    host_of,
    is_below,
    query_of,
    segments,
    with_passcode,
    without_gaps,
)

NATIVE_ID = re.compile(r"[0-9]{9,11}|[0-9a-f]{16}")
DERIVED_ID = re.compile(r"[0-9a-f]{16}")
EXAMPLE = "82345678901"

_COMMERCIAL = "zoom.us"
# Clouds of their own: a meeting there is to be found on their hosts alone.
_APART = ("zoomgov.com", "zoom.com.cn")
_EVENTS = "events.zoom.us"
_BEFORE_A_NUMBER = frozenset({"j", "w", "s", "wc", "jc", "join"})
_EVENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,299}")
_NO_MEETING = {
    "my": "A personal link does not say which meeting it is. Paste the link with /j/ and a number, of the invitation.",
    "register": "That is a form of registration. Register, and paste the link to join that Zoom sends then.",
    "rec": "That is a recording, not a meeting.",
}


def knows(host: str) -> bool:
    """Say whether the host is Zoom's, or that of a company there."""
    return is_below(host, _COMMERCIAL, *_APART)


def read(parts: SplitResult) -> Found:
    """Return the meeting in the address.

    Raises:
        Invalid: It is another address of Zoom.
    """
    host, path = host_of(parts), [unquote(segment) for segment in segments(parts.path)]
    if host == _EVENTS:
        return _event(path)
    for number in (*_after_markers(path), query_of(parts.query, "confno")):
        native_id = without_gaps(number or "")
        if native_id.isdecimal() and NATIVE_ID.fullmatch(native_id):
            return _numbered(host, native_id, check_passcode(query_of(parts.query, "pwd")))
    raise bad_url(
        next((detail for word, detail in _NO_MEETING.items() if word in path), None)
        or "That address of Zoom does not name a meeting. Paste the link with /j/ and a number, from the invitation."
    )


def _after_markers(path: list[str]) -> list[str]:
    return [after for before, after in pairwise(path) if before in _BEFORE_A_NUMBER]


def _numbered(host: str, native_id: str, passcode: str | None) -> Found:
    if not is_below(host, *_APART):
        return Found(native_id, passcode)
    return Found(native_id, passcode, with_passcode(f"https://{host}/wc/{native_id}/join", "pwd", passcode))


def _event(path: list[str]) -> Found:
    """Return an event by its link, which is all that there is of it."""
    if len(path) != 2 or path[0] not in {"ejl", "ev", "e"} or not _EVENT.fullmatch(path[1]):
        raise bad_url("That address of Zoom Events does not name an event. Paste the link to join from the ticket.")
    kind, event = path
    return Found(derived_id(f"{kind}/{event}"), None, f"https://{_EVENTS}/{kind}/{event}")


def url(native_id: str, passcode: str | None) -> str:
    """Return where to join a meeting with a number.

    Raises:
        Invalid: The id is derived from a link: it alone leads nowhere.
    """
    if DERIVED_ID.fullmatch(native_id):
        raise bad_url("That id is made from a link of Zoom Events. Name the meeting by the link, in meeting_url.")
    return with_passcode(f"https://app.zoom.us/wc/{native_id}/join", "pwd", passcode)
