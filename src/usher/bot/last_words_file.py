"""The file in which a bot leaves its last words."""

import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_PRIVATE = 0o600


class LastWordsFile:
    """Implements `last_words.Keep`. Whoever reads the file finds the whole of one document, or nothing.

    Args:
        path: Where the launcher looks; None if it does not.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def keep(self, document: bytes | None) -> None:
        """Put a document in the place of the one before; None removes it. A disk that is full is only complained of."""
        if self._path is None:
            return
        try:
            if document is None:
                self._path.unlink(missing_ok=True)
            else:
                _replace(self._path, document)
        except OSError as error:
            log.warning("last_words_not_kept", error=type(error).__name__)


def _replace(path: Path, document: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    # Nobody else may read what was said, not even for the moment between creation and a change of mode.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
        file.write(document)
    fresh.replace(path)
