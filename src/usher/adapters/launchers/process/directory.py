"""The directory of one workload: what is on disk about it, and the lock that says whether its shim lives.

    lock            held (open file description lock) by whoever starts the workload, then by its shim until it ends
    workload.json   process id and start of the shim; its presence means that the attempt is spent
    exit.json       how the bot ended
    log, log.1      the end of what it printed
    last_words      what it could not tell the manager any more, written by the bot

The lock makes starting safe against a second manager, and against a crash at any point: the kernel takes it from the
dead, so a directory without lock and record was made by somebody who never came to spawn.

Source: fcntl_locking(2), "Open file description locks".
"""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from usher.adapters.launchers.process import shim
from usher.adapters.launchers.process.table import Process
from usher.domain.reconcile import Exited

_FLOCK = "hhqqi4x"
_LOCK = "lock"
_LAST_WORDS = "last_words"


class HeldLock:
    """The lock of a workload, as long as its descriptor is open here or in a process that has inherited it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._open = True

    def let_go(self) -> None:
        """Close the descriptor: whoever inherited it holds the lock alone. Idempotent."""
        if self._open:
            self._open = False
            os.close(self.descriptor)


class WorkloadDirectory:
    """Files of one workload. Every method is a few system calls and does not wait."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def mark(self) -> str:
        """The value of the environment variable that marks the workload's processes."""
        return str(self.path)

    @property
    def last_words_path(self) -> Path:
        """Where the bot may leave its last words."""
        return self.path / _LAST_WORDS

    def last_words(self, most_bytes: int) -> bytes:
        """Return the bot's last words; empty if it left none, or more than it may."""
        path = self.last_words_path
        try:
            return path.read_bytes() if path.stat().st_size <= most_bytes else b""
        except FileNotFoundError:
            return b""

    def exists(self) -> bool:
        """Say whether anything is known of the workload."""
        return self.path.is_dir()

    def shim(self) -> Process | None:
        """Return the recorded shim, dead or alive; None if none ever took the lock over."""
        record = _read_json(self.path / shim.RECORD)
        return None if record is None else Process(record.get("pid", 0), record.get("start", 0))

    def ended(self) -> Exited | None:
        """Return how the bot ended, if that is on record."""
        record = _read_json(self.path / shim.EXIT)
        return None if record is None else Exited(record.get("code"), record.get("detail", ""))

    def record_end(self, exited: Exited) -> None:
        """Record an end that no shim was there to record."""
        shim.write_json(self.path / shim.EXIT, {"code": exited.code, "detail": exited.detail})

    def is_locked(self) -> bool:
        """Say whether the shim lives or somebody is about to start it. Probing takes no lock and disturbs nobody."""
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
        finally:
            os.close(descriptor)
        kind: int = struct.unpack(_FLOCK, answer)[0]
        return kind != fcntl.F_UNLCK

    @contextmanager
    def locked(self) -> Iterator[HeldLock | None]:
        """Take the lock if it is free; yields it, for a shim to inherit, or None.

        Raises:
            FileNotFoundError: The directory does not exist, or was removed meanwhile.
        """
        lock = HeldLock(os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            yield lock if self._try_lock(lock.descriptor) else None
        finally:
            lock.let_go()

    def _try_lock(self, descriptor: int) -> bool:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            return False
        if not os.path.samestat(os.fstat(descriptor), (self.path / _LOCK).stat()):
            raise FileNotFoundError(f"{self.path} was removed meanwhile")
        return True

    def log_tail(self, last_bytes: int) -> bytes:
        """Return the end of the output."""
        newer = _tail(self.path / shim.LOG, last_bytes)
        older = _tail(self.path / shim.OLDER_LOG, last_bytes - len(newer))
        return older + newer


def _flock(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _tail(path: Path, last_bytes: int) -> bytes:
    if last_bytes <= 0:
        return b""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - last_bytes))
            return file.read(last_bytes)
    except FileNotFoundError:
        return b""


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:  # the machine lost power before the file reached the disk: it was written, nobody knows what
        return {}
    return document
