"""Microsoft Teams: numbers with a passcode, and links that hold the meeting's thread.

Such a link has no short id: one is derived from the thread, and the link is where to join.
Source: addresses as Vexa 0.12.23 knows them (August 2026), Microsoft's list of addresses for its clouds.
"""

import re
from itertools import pairwise
from urllib.parse import SplitResult, quote, unquote, urlsplit

from usher.domain.addresses.named import Found
from usher.domain.addresses.reading import (
    bad_url,
    check_passcode,
    derived_id,
    query_of,
    segments,
    with_passcode,
    without_gaps,
)

NATIVE_ID = re.compile(r"[0-9]{10,15}|[0-9a-f]{16}")
DERIVED_ID = re.compile(r"[0-9a-f]{16}")
EXAMPLE = "9387167464734"

_PERSONAL = "teams.live.com"
_WORK = "teams.microsoft.com"
_HOSTS = frozenset({_PERSONAL, _WORK, "teams.cloud.microsoft", "gov.teams.microsoft.us", "dod.teams.microsoft.us"})
_THREAD = re.compile(r"19:[A-Za-z0-9_.=-]{1,200}@thread\.[a-z0-9]{1,20}")
_MESSAGE = re.compile(r"[0-9]{1,20}")
_MOST_CONTEXT = 1000


def knows(host: str) -> bool:
    """Say whether the host is one of Teams'."""
    return host in _HOSTS


def read(parts: SplitResult) -> Found:
    """Return the meeting in the address.

    Raises:
        Invalid: It is another address of Teams.
    """
    host = (parts.hostname or "").lower()
    host = host if host in _HOSTS else _WORK
    inner = _inner(parts)
    path = segments(inner.path)
    for before, after in pairwise(path):
        if before == "meet":
            return _numbered(host, after, query_of(inner.query, "p"))
        if before == "meetup-join":
            return _linked(host, inner, path[path.index(before) + 1 :])
    raise bad_url(
        "That address of Microsoft Teams does not name a meeting. "
        "Paste the link to join: it holds /meet/ or /l/meetup-join/."
    )


def _inner(parts: SplitResult) -> SplitResult:
    """Return the address that the app opens: the launcher holds it in its query, the web client after the `#`."""
    if parts.path.startswith("/dl/launcher/"):
        parts = urlsplit("https://teams/" + (query_of(parts.query, "url") or "").lstrip("/"))
    if parts.fragment.startswith("/"):
        return urlsplit("https://teams" + parts.fragment)
    return parts


def _numbered(host: str, number: str, passcode: str | None) -> Found:
    native_id = without_gaps(unquote(number))
    if DERIVED_ID.fullmatch(native_id):
        raise bad_url("That link of Microsoft Teams names no meeting: its number has too many digits.")
    address = with_passcode(f"https://{host}/meet/{native_id}", "p", check_passcode(passcode))
    return Found(native_id, passcode, address)


def _linked(host: str, inner: SplitResult, rest: list[str]) -> Found:
    thread = unquote(rest[0])
    message = unquote(rest[1]) if len(rest) > 1 else "0"
    context = query_of(inner.query, "context")
    if not _THREAD.fullmatch(thread) or not _MESSAGE.fullmatch(message) or len(context or "") > _MOST_CONTEXT:
        raise bad_url("That link of Microsoft Teams is cut off or changed. Paste the whole link from the invitation.")
    address = f"https://{host}/l/meetup-join/{quote(thread, safe='')}/{message}"
    tenant = f"?context={quote(context, safe='')}" if context else ""
    return Found(derived_id(thread), None, address + tenant)


def url(native_id: str, passcode: str | None) -> str:
    """Return where to join a meeting with a number.

    Raises:
        Invalid: The id is derived from a link: it alone leads nowhere.
    """
    if DERIVED_ID.fullmatch(native_id):
        raise bad_url("That id is made from a link of Microsoft Teams. Name the meeting by the link, in meeting_url.")
    return with_passcode(f"https://{_PERSONAL}/meet/{native_id}", "p", passcode)
