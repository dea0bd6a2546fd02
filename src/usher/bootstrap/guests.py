"""What bots of single users bring to a meeting: a signed-in browser profile, a proxy. Files that the operator keeps.

They stand in no database and no log; whoever can read the directory can go into meetings as that user.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from usher.domain.errors import LaunchRejected

_MOST_PROFILE_BYTES = 96 * 1024
"""The bot gets it in its environment, where Linux lets one variable have 128 KiB."""

_PROXY_SCHEMES = frozenset({"http", "https", "socks5"})


@dataclass(frozen=True, slots=True)
class Guest:
    """What one user's bots bring.

    Attributes:
        profile: Cookies and storage of somebody who is signed in: Playwright's storage state, JSON.
        proxy: URL of the proxy that the browser goes through.
    """

    profile: str | None = None
    proxy: str | None = None


def read_guest(directory: Path | None, user_id: int) -> Guest:
    """Return what stands in `{user_id}.profile.json` and `{user_id}.proxy`; each may be missing.

    Raises:
        LaunchRejected: A file is there and cannot be used: a bot that went without it would not be who it should be.
    """
    if directory is None:
        return Guest()
    profile = _read(directory / f"{user_id}.profile.json")
    proxy = _read(directory / f"{user_id}.proxy")
    return Guest(
        profile=_check_profile(profile) if profile is not None else None,
        proxy=_check_proxy(proxy.strip()) if proxy is not None else None,
    )


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LaunchRejected(f"The file {file.name} of USHER_BOTS__GUESTS cannot be read.") from error


def _check_profile(text: str) -> str:
    try:
        state = json.loads(text)
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
        raise LaunchRejected("The user's browser profile is not a storage state as Playwright saves it.")
    compact = json.dumps(state, separators=(",", ":"))
    if len(compact.encode()) > _MOST_PROFILE_BYTES:
        raise LaunchRejected(
            f"The user's browser profile is larger than {_MOST_PROFILE_BYTES // 1024} KiB. "
            "Save it from a browser that was signed in to the meeting platform and nowhere else."
        )
    return compact


def _check_proxy(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise LaunchRejected("The user's proxy is not a URL with http, https or socks5, a host and a port.")
    return url
