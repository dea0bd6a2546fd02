"""Recordings: what the store knows of them, and where their bytes are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from usher.protocol.recordings import FileDescription, FileState


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """One file of a recording, as far as it has been uploaded.

    Attributes:
        duration_ms: Until the last sound, from the start of the recording.
        lost_ms: Sound that the bot heard and could not keep.
        chunks: Of how many chunks it consists; they are numbered from 0.
    """

    file_id: int
    name: str
    speaker: str | None
    state: FileState
    duration_ms: int
    lost_ms: int
    size_bytes: int
    chunks: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Recording:
    """What one attempt's bot recorded.

    Attributes:
        live: Whether the attempt is the current one of a meeting that is not over, so that more may come.
        started_at: Moment of the first sample of every file, by the bot's clock.
        failure: Why the manager could not keep it to the end; None if it could so far.
    """

    recording_id: int
    meeting_id: int
    user_id: int
    attempt: int
    connection_id: str
    live: bool
    started_at: datetime
    failure: str | None
    created_at: datetime
    files: tuple[RecordingFile, ...]


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that a bot uploads.

    Attributes:
        name: Of its file.
        until_ms: Where its sound ends, from the start of the recording.
    """

    name: str
    number: int
    sha256: bytes
    size_bytes: int
    until_ms: int


class ChunkVerdict(StrEnum):
    """What becomes of a chunk.

    Attributes:
        NEW: It is the next one of its file.
        KNOWN: The same one is there already.
        CONTRADICTED: Another one of its number is there.
        AHEAD: Chunks before it are missing.
        UNKNOWN_FILE: Its file was not described, or is finished.
        TOO_MUCH: The recording would be longer than it may be.
        OVER: Its attempt is over.
    """

    NEW = "new"
    KNOWN = "known"
    CONTRADICTED = "contradicted"
    AHEAD = "ahead"
    UNKNOWN_FILE = "unknown_file"
    TOO_MUCH = "too_much"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk that is there."""

    number: int
    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """Which recordings to list: newest first, `limit` at most, older than `before_id`, of one meeting, if set."""

    limit: int = 100
    before_id: int | None = None
    meeting_id: int | None = None


MOST_RECORDING_BYTES = 4 * 1024**3
"""How large one recording may become: a hundred hours of four people."""


def judged(chunk: NewChunk, state: FileState, chunks: int, sha256: bytes | None, size_bytes: int) -> ChunkVerdict:
    """Say what becomes of a chunk of a current attempt.

    Args:
        chunk: The chunk.
        state: Of its file.
        chunks: How many its file has.
        sha256: Of the one with its number, if there is one.
        size_bytes: Of the recording.
    """
    if sha256 is not None:
        return ChunkVerdict.KNOWN if sha256 == chunk.sha256 else ChunkVerdict.CONTRADICTED
    if state is not FileState.IN_PROGRESS:
        return ChunkVerdict.UNKNOWN_FILE
    if chunk.number > chunks:
        return ChunkVerdict.AHEAD
    if size_bytes + chunk.size_bytes > MOST_RECORDING_BYTES:
        return ChunkVerdict.TOO_MUCH
    return ChunkVerdict.NEW


class Recordings(Protocol):
    """What the store knows of recordings. A chunk counts from `add_chunk` on; its bytes are written before."""

    async def describe_file(self, connection_id: str, name: str, said: FileDescription) -> bool:
        """Begin a file, and the recording with its first one, or change what is known of it. Idempotent.

        A speaker whose name is not told any more keeps it.

        Returns:
            False if the connection is not the current attempt of a meeting that goes on.
        """
        ...

    async def judge_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Say what would become of a chunk now."""
        ...

    async def add_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Add a chunk whose bytes are kept, if it is `NEW`. Idempotent: then it is `KNOWN`."""
        ...

    async def fail_recording(self, connection_id: str, why: str) -> None:
        """Note that the attempt's recording could not be kept to the end. The first word stays."""
        ...

    async def recordings(self, user_id: int, page: RecordingPage) -> Sequence[Recording]:
        """List a user's recordings, newest first."""
        ...

    async def find_recording(self, recording_id: int) -> Recording | None:
        """Return the recording, whoever owns it; None if it is being deleted."""
        ...

    async def chunks(self, file_id: int) -> Sequence[StoredChunk]:
        """Return the chunks of a file, in order."""
        ...

    async def begin_deletion(self, recording_id: int) -> bool:
        """Take a recording out of every listing, for ever; False if it is live. Idempotent."""
        ...

    async def end_deletion(self, recording_id: int) -> None:
        """Forget a recording whose bytes are gone. Idempotent."""
        ...

    async def deletions(self, *, limit: int) -> Sequence[Recording]:
        """Return recordings whose deletion was begun and not ended."""
        ...


class RecordingStore(Protocol):
    """Keeps the bytes of recordings, under keys such as `12/9b1c…/mixed/00000003-5f2c…`.

    A key is written once or again with the same bytes. What `put` has returned for survives a crash.
    """

    async def put(self, key: str, content: bytes) -> None:
        """Keep bytes. Idempotent.

        Raises:
            CannotStore: There is no room, or no right to write; trying again does not help.
            Unavailable: The storage does not answer.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFound: `lost_recording`: there are none under this key.
            Unavailable: The storage does not answer.
        """
        ...

    async def delete(self, prefix: str) -> None:
        """Delete everything whose key begins with `prefix`, which ends with a slash. Idempotent.

        Raises:
            Unavailable: The storage does not answer; some of it may be gone.
        """
        ...
