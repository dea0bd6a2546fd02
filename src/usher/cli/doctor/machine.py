"""Checks of the machine itself: disk, memory, ports."""

import shutil
from pathlib import Path

import psutil

from usher.adapters.embedded.ports import holder, is_free
from usher.cli.doctor.finding import Finding

_DISK_BYTES = 2 * 1024**3
# The speech service takes half a gigabyte, a bot with its browser a third of one, the servers the rest.
_MEMORY_BYTES = int(1.5 * 1024**3)


def check_disk(directory: Path) -> Finding:
    """Look for room for the databases of a few thousand meetings."""
    present = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    free_bytes = shutil.disk_usage(present).free
    return _enough("disk", free_bytes, _DISK_BYTES, f"free at {present}", "Free some space, or set USHER_DATA_DIR.")


def check_memory() -> Finding:
    """Look for room for the servers, the speech service and a bot or two."""
    available_bytes = psutil.virtual_memory().available
    return _enough("memory", available_bytes, _MEMORY_BYTES, "available", "End other programs, or add memory.")


def check_ports(port: int) -> Finding:
    """See whether a port that Usher wants is free."""
    if is_free(port):
        return Finding(f"port {port}", True, "free")
    return Finding(
        f"port {port}",
        False,
        f"{holder(port)} listens on it",
        f"Nothing, if that is Usher; else stop it, or set another port (USHER_API__PORT={port + 1}).",
    )


def _enough(name: str, have_bytes: int, need_bytes: int, where: str, remedy: str) -> Finding:
    detail = f"{have_bytes / 1024**3:.1f} GiB {where}"
    if have_bytes >= need_bytes:
        return Finding(name, True, detail)
    return Finding(name, False, f"{detail}, {need_bytes / 1024**3:.1f} needed", remedy)
