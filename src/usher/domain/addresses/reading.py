"""How an address is taken apart: the same for all platforms."""

import hashlib
import re
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from usher.domain.errors import Invalid

_DEFAULT_PORTS = {"http": 80, "https": 443}
_APPS = frozenset({"msteams", "zoommtg", "zoomus"})
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_PASSCODE = re.compile(r"[A-Za-z0-9._@*!$=-]{1,64}")
_DERIVED = 16


def bad_url(detail: str) -> Invalid:
    """Return the refusal of an address."""
    return Invalid("bad_meeting_url", detail)


def split(url: str) -> SplitResult:
    """Return the parts of a web address, or of one that opens an app of a platform.

    Raises:
        Invalid: It is neither, or not well-formed.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise bad_url("The meeting URL is malformed. Paste the whole https:// address.") from None
    if parts.scheme in _APPS:
        return parts
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise bad_url("The meeting URL has to begin with https:// and name a host.")
    return parts


def host_of(parts: SplitResult) -> str:
    """Return the host; an empty text if it is not plainly one: with a user before it, another port, other letters."""
    host = (parts.hostname or "").lower()
    is_plain = "@" not in parts.netloc and parts.port in {None, 80, 443}
    return host if is_plain and _HOST.fullmatch(host) else ""


def is_below(host: str, *domains: str) -> bool:
    """Say whether the host is one of the domains or has its name below one."""
    return any(host == domain or host.endswith("." + domain) for domain in domains)


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def segments(path: str) -> list[str]:
    """Return the parts of a path that are not empty."""
    return [segment for segment in path.split("/") if segment]


def query_of(text: str, *names: str) -> str | None:
    """Return the first value of any of the names in a query."""
    values = parse_qs(text)
    return next((values[name][0] for name in names if name in values), None)


def check_passcode(passcode: str | None) -> str | None:
    """Return the passcode if a platform may have given it.

    Raises:
        Invalid: `bad_passcode`.
    """
    if passcode is not None and not _PASSCODE.fullmatch(passcode):
        raise Invalid("bad_passcode", "A passcode has 1 to 64 letters, digits or signs of . _ @ * ! $ = and -.")
    return passcode


def with_passcode(url: str, name: str, passcode: str | None) -> str:
    """Return the address with the passcode in its query."""
    return url if passcode is None else f"{url}?{name}={quote(passcode, safe='')}"


def derived_id(text: str) -> str:
    """Return an id for a meeting that has none that fits into a path: the same text has the same id."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DERIVED]


def without_gaps(native_id: str) -> str:
    """Return a number without the spaces and dashes by which people group its digits."""
    return re.sub(r"[\s\u00a0\u2010-\u2015-]+", "", native_id)
