"""Meetings of this installation: Usher's own rooms, and a Janus that its operator named."""

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from usher.domain.addresses.named import Homes, Platform
from usher.domain.addresses.reading import origin, query_of
from usher.domain.errors import Invalid

ROOM_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
JANUS_ID = re.compile(r"[1-9][0-9]{0,15}")

_DEMO_ROOM = "1234"  # where the page goes that is given no room


def at_home(parts: SplitResult, homes: Homes) -> Iterator[tuple[Platform, str]]:
    """Yield the platform and the native id, if the address is of a platform of this installation."""
    room, janus = urlsplit(homes.room), urlsplit(homes.janus or "")
    if origin(parts) == origin(room) and parts.path.startswith(room.path + "/"):
        yield Platform.ROOM, parts.path.removeprefix(room.path + "/").strip("/")
    if homes.janus is not None and origin(parts) == origin(janus) and parts.path == janus.path:
        yield Platform.JANUS, query_of(parts.query, "room") or _DEMO_ROOM


def room_url(native_id: str, homes: Homes) -> str:
    """Return where to join one of our own rooms."""
    return f"{homes.room}/{native_id}"


def janus_url(native_id: str, homes: Homes) -> str:
    """Return where to join a room of Janus.

    Raises:
        Invalid: There is no Janus here.
    """
    if homes.janus is None:
        raise Invalid("no_janus", "This Usher knows no Janus. Its operator can name one with USHER_BOTS__JANUS_URL.")
    return f"{homes.janus}?room={native_id}"
