"""What people paste: an address alone, in a sentence or in a whole invitation, often wrapped by a mail filter.

Source: forms of the wrappers as their makers document them (Microsoft Safe Links, Proofpoint URL Defense 1 to 3).
"""

import base64
import binascii
import html
import re
import string
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from usher.domain.addresses.reading import host_of, is_below, query_of, split
from usher.domain.errors import Invalid

_MOST_TEXT = 20_000
_MOST_LINKS = 100
_MOST_WRAPPERS = 4

# Words with a scheme, or a host with a path that nothing stands directly before.
_LINK = re.compile(
    r"(?:https?|msteams|zoommtg|zoomus):[^\s<>\"'`]+|(?<![\w@:/.%&=?#\\-])(?:[a-z0-9-]+\.)+[a-z]{2,}/[^\s<>\"'`]+",
    re.IGNORECASE,
)
_UNSEEN = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_AFTER_A_LINK = ".,;:!?)]}*_|>\u201d\u2019\u00bb\u3002\u2026"

_RUNS = dict(zip(string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_", range(2, 66), strict=True))
_URLDEFENSE_3 = re.compile(r"https?://urldefense\.(?:proofpoint\.)?com/v3/__(.+)__;([^!]*)!", re.IGNORECASE)


def links(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the links in a text: for each, how it may have been meant, likeliest first.

    A sign at the end may belong to the link or to the sentence. To a link that stands alone it belongs.
    """
    plain = _UNSEEN.sub("", text[:_MOST_TEXT]).strip()
    for count, found in enumerate(_LINK.finditer(plain)):
        if count == _MOST_LINKS:
            return
        link = html.unescape(found[0]) if "&amp;" in found[0] else found[0]
        has_scheme = re.match(r"[a-z]+:", link, re.IGNORECASE) is not None
        whole = link if has_scheme else f"https://{link}"
        bare = whole.rstrip(_AFTER_A_LINK)
        yield (whole, bare) if found[0] == plain else (bare, whole)


def unwrapped(link: str) -> str:
    """Return the link that is inside of those which mail filters and search pages make of it.

    Raises:
        Invalid: A wrapper is malformed.
    """
    for _ in range(_MOST_WRAPPERS):
        inner = _inside(link)
        if inner is None:
            return link
        link = inner
    return link


def _inside(link: str) -> str | None:
    third = _URLDEFENSE_3.match(link)
    if third is not None:
        return _urldefense_3(third[1], third[2])
    parts = split(link)
    host, path = host_of(parts), parts.path.rstrip("/")
    if is_below(host, "urldefense.proofpoint.com", "urldefense.com") and path == "/v2/url":
        written = query_of(parts.query, "u")
        return unquote(written.translate(str.maketrans("-_", "%/"))) if written else None
    for domain, at, names in _WRAPPERS:
        if is_below(host, domain) and at in {path, _ANYWHERE}:
            return query_of(parts.query, *names)
    return None


_ANYWHERE = "*"
_WRAPPERS = (
    ("safelinks.protection.outlook.com", _ANYWHERE, ("url",)),
    ("safelinks.protection.office365.us", _ANYWHERE, ("url",)),
    ("statics.teams.cdn.office.net", _ANYWHERE, ("url",)),
    ("google.com", "/url", ("q", "url")),
    ("meet.google.com", "/linkredirect", ("dest",)),
    ("urldefense.proofpoint.com", "/v1/url", ("u",)),
    ("linkprotect.cudasvc.com", "/url", ("a",)),
    ("slack-redir.net", "/link", ("url",)),
    ("l.facebook.com", "/l.php", ("u",)),
)


def _urldefense_3(written: str, signs: str) -> str:
    """Put back the signs that were taken out: one for each `*`, a run of them for `**` and a letter for its length."""
    try:
        taken_out = iter(base64.urlsafe_b64decode(signs + "=" * (-len(signs) % 4)).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Invalid("bad_meeting_url", "The link was changed by a mail filter. Paste the original address.") from None

    def put_back(star: re.Match[str]) -> str:
        length = _RUNS[star[1]] if star[1] else 1
        return "".join(next(taken_out, "*") for _ in range(length))

    return re.sub(r"^(https?:/)(?=[^/])", r"\1/", re.sub(r"\*(?:\*([A-Za-z0-9_-]))?", put_back, written))


def host_in(link: str) -> str:
    """Return what stands where a link names its host, for people."""
    return (urlsplit(link).hostname or "")[:80]
