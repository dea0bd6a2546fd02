"""Google Meet: codes of ten letters.

Source: addresses as Vexa 0.12.23 knows them (August 2026); `tel.meet` is the address for phones in invitations.
"""

import re
from urllib.parse import SplitResult

from usher.domain.addresses.named import Found
from usher.domain.addresses.reading import bad_url, segments

NATIVE_ID = re.compile(r"[a-z]{3}-[a-z]{4}-[a-z]{3}")
EXAMPLE = "abc-defg-hij"

_LETTERS = re.compile(r"([a-z]{3})[\s-]?([a-z]{4})[\s-]?([a-z]{3})")


def knows(host: str) -> bool:
    """Say whether the host is Google Meet's."""
    return host in {"meet.google.com", "tel.meet"}


def read(parts: SplitResult) -> Found:
    """Return the code in the address.

    Raises:
        Invalid: It is another address of Google Meet.
    """
    path = segments(parts.path)
    if path and path[0] == "_meet":
        path = path[1:]
    if path and path[0] == "lookup":
        raise bad_url(
            "A lookup link opens only for people who are signed in to its organisation. Open it, "
            "and paste the address with a code like abc-defg-hij that it leads to."
        )
    code = tidy(path[0]) if path else ""
    if len(path) == 1 and NATIVE_ID.fullmatch(code):
        return Found(code)
    raise bad_url(
        "That address of Google Meet has no code like abc-defg-hij. Nicknames open only for people who are signed in: "
        "open the meeting, and paste the address that it has then."
    )


def tidy(native_id: str) -> str:
    """Return the code in small letters, with its dashes."""
    plain = native_id.strip().lower()
    letters = _LETTERS.fullmatch(plain)
    return "-".join(letters.groups()) if letters else plain


def url(native_id: str) -> str:
    """Return where to join."""
    return f"https://meet.google.com/{native_id}"
