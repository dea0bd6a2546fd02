"""Names of workloads that were stopped or removed: none of them may be started again."""

import time
from pathlib import Path

from usher.domain.reconcile import WorkloadName

_DIRECTORY = "spent"
_KEPT_S = 3600.0
_FORGET_EVERY_S = 600.0


class SpentNames:
    """One empty file a name, beside the workloads' own directories, so that every manager on the machine sees it.

    Kept for an hour at least, by the clock of the file system: longer than any manager is paused and then goes on.

    Args:
        root: The launcher's directory.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / _DIRECTORY
        self._forget_at = 0.0

    def __contains__(self, name: str) -> bool:
        return (self._path / name).exists()

    def add(self, name: WorkloadName) -> None:
        """Note that a name is spent. Idempotent.

        Raises:
            OSError: The launcher's directory is missing or cannot be written.
        """
        self._path.mkdir(mode=0o700, exist_ok=True)
        (self._path / str(name)).touch(mode=0o600)
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + _FORGET_EVERY_S
            self._forget()

    def _forget(self) -> None:
        newest = max((file.stat().st_mtime for file in self._path.iterdir()), default=0.0)
        for file in self._path.iterdir():
            if file.stat().st_mtime < newest - _KEPT_S:
                file.unlink(missing_ok=True)
