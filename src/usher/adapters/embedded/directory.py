"""The data directory of a server: private, and used by one process at a time."""

import fcntl
import os
from pathlib import Path

from usher.domain.errors import Conflict


class DirectoryLock:
    """A lock that the kernel lets go of when its holder dies."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "usher.lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            Conflict: Another living process has it; the message says which.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise Conflict(
                "data_directory_in_use",
                f"{self._path.parent} is in use by another Usher (process {holder}). "
                f"Stop that one, or give this one a directory of its own (USHER_DATA_DIR).",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let go of the lock. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def make_private(directory: Path) -> Path:
    """Make sure that the directory exists and is its owner's alone; return its absolute path."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory.resolve()


def keep_secret(path: Path, text: str) -> str:
    """Return the secret kept in the file; when there is none yet, keep `text`. Only the owner may read it."""
    if not path.exists():
        write_private(path, text)
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    new.replace(path)
