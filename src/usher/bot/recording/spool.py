"""What waits to be uploaded: on disk, bounded, and gone with the process, however it ends."""

import os
import tempfile
import threading
from dataclasses import dataclass

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Slip:
    """Where something was put."""

    offset: int
    size: int


class Spool:
    """A file without a name, that the system takes away when the process ends. Safe between threads.

    When it is full, new things are refused: what waits already is the next part of the files that the manager has.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._file = tempfile.TemporaryFile(prefix="usher-recording-")  # noqa: SIM115 - closed by `close`
        self._end = 0
        self._kept = 0
        self._lock = threading.Lock()

    def add(self, content: bytes) -> Slip | None:
        """Put something down; None if there is no room for it."""
        with self._lock:
            if self._file.closed or self._end + len(content) > self._most_bytes:
                return None
            try:
                written = os.pwrite(self._file.fileno(), content, self._end)
            except OSError:
                return None
            if written < len(content):
                return None
            slip = Slip(self._end, len(content))
            self._end += len(content)
            self._kept += 1
            return slip

    def read(self, slip: Slip) -> bytes:
        """Return what was put there."""
        return os.pread(self._file.fileno(), slip.size, slip.offset)

    def forget(self) -> None:
        """Let go of one thing. Its room is free again when nothing waits any more."""
        with self._lock:
            self._kept -= 1
            if not self._kept:
                self._end = 0
                self._file.truncate(0)

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._file.close()
