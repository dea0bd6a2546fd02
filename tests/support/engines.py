"""The engines that `make engines` starts: where they answer, if they do."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ENGINES = ("docker", "nomad", "kubernetes")

_PATIENCE_S = 2.0


def engine_home(name: str) -> Path:
    """Return the directory of an engine, where `tools/engines` keeps all of it."""
    default = Path.home() / ".cache" / "usher-engines"
    return Path(os.environ.get("USHER_ENGINES_DIR") or default) / name


def engine_address(name: str) -> str | None:
    """Return where an engine answers, or None if it was not started or takes no connection."""
    try:
        address = (engine_home(name) / "address").read_text().strip()
        _connect(address)
    except OSError:
        return None
    return address


def needs_engine(name: str) -> str:
    """Return where an engine answers; skip the test without it."""
    address = engine_address(name)
    if address is None:
        pytest.skip(f"no engine {name}: `make engines` starts one, as root")
    return address


def _connect(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(_PATIENCE_S)
            plain.connect(parts.path)
    else:
        socket.create_connection((parts.hostname or "", parts.port or 80), _PATIENCE_S).close()
