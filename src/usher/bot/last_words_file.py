"""The file in which a bot leaves its last words."""

import os
from pathlib import Path

import structlog

from usher.protocol.last_words import MOST_BYTES

log = structlog.get_logger(__name__)

_PRIVATE = 0o600


class LastWordsFile:
    """Implements `last_words.Keep`. Whoever reads the file finds the whole of one document, or nothing.

    A file that is there already was put there by the launcher, and cannot be replaced by another (Kubernetes mounts the
    one that it reads): that one is written to.

    Args:
        path: Where the launcher looks; None if it does not.
        most_bytes: How much the launcher keeps.
    """

    def __init__(self, path: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._path = path
        self._in_place = path is not None and path.exists()

    def keep(self, document: bytes | None) -> None:
        """Put a document in the place of the one before; None removes it. A disk that is full is only complained of."""
        if self._path is None:
            return
        try:
            if self._in_place:
                _overwrite(self._path, document or b"")
            elif document is None:
                self._path.unlink(missing_ok=True)
            else:
                _replace(self._path, document)
        except OSError as error:
            log.warning("last_words_not_kept", error=type(error).__name__)


def _overwrite(path: Path, document: bytes) -> None:
    """Write in one call, then cut: whoever is killed in between leaves a document whose seal does not hold."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, document, 0)
        os.ftruncate(descriptor, len(document))
    finally:
        os.close(descriptor)


def _replace(path: Path, document: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    # Nobody else may read what was said, not even for the moment between creation and a change of mode.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
        file.write(document)
    fresh.replace(path)
