"""A disk of one megabyte."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(home: Path) -> Iterator[Path]:
    """Mount one below `home`."""
    disk = home / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk))
    unmount = ("umount", "-l", str(disk))
    if subprocess.run(mount, check=False, capture_output=True, timeout=20).returncode:  # noqa: S603 - of the tests
        pytest.skip("this machine lets nobody mount a disk")
    try:
        yield disk
    finally:
        subprocess.run(unmount, check=True, timeout=20)  # noqa: S603 - of the tests
