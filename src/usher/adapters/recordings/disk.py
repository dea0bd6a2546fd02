"""Recordings in a directory: a file for each chunk."""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from usher.domain.errors import CannotStore, NotFound, Unavailable

_Result = TypeVar("_Result")

_NEVER = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST})
_TIMEOUT_S = 20.0
_PRIVATE = 0o700


class DiskRecordingStore:
    """See `usher.ports.RecordingStore`. Managers on several machines need a directory that they share.

    Args:
        directory: Made when it is needed; nobody but this user may read it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, key: str, content: bytes) -> None:
        """Write a file beside its place, make it safe, and move it there."""
        await _in_thread(lambda: _write(self._path(key), content))

    async def get(self, key: str) -> bytes:
        """Read a file."""
        try:
            return await _in_thread(self._path(key).read_bytes)
        except FileNotFoundError:
            raise NotFound("lost_recording", "A part of this recording is not there any more.") from None

    async def delete(self, prefix: str) -> None:
        """Delete a directory."""
        with suppress(FileNotFoundError):
            await _in_thread(lambda: shutil.rmtree(self._path(prefix)))

    def _path(self, key: str) -> Path:
        """Return where a key is kept; keys are made of ids and digests, never of what somebody wrote."""
        path = self._directory.joinpath(*key.split("/"))
        if ".." in path.parts:
            raise ValueError("a key leads out of the directory")
        return path


def _write(path: Path, content: bytes) -> None:
    """Write durably. What is left beside the place by a crash is written over, or goes with the directory."""
    _make(path.parent)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def _make(directory: Path) -> None:
    """Make a directory, and those above it, durably."""
    if directory.is_dir():
        return
    _make(directory.parent)
    directory.mkdir(mode=_PRIVATE, exist_ok=True)
    _flush(directory.parent)


def _flush(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """Do it beside the event loop.

    Raises:
        CannotStore: No space, or no right.
        Unavailable: Anything else, or it takes too long.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await asyncio.to_thread(work)
    except FileNotFoundError:
        raise
    except TimeoutError as error:
        raise Unavailable("The disk of the recordings does not answer.") from error
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        if error.errno in _NEVER:
            raise CannotStore(f"The disk of the recordings takes nothing more ({name}).") from error
        raise Unavailable(f"The disk of the recordings does not work ({name}).") from error
