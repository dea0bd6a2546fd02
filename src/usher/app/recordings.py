"""Recordings: chunks of bots in, files for users out, and their end."""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog

from usher.app.loops import run_every
from usher.domain.errors import CannotStore, Conflict, NotFound, Superseded, Unavailable
from usher.ports import (
    ChunkVerdict,
    NewChunk,
    Recording,
    RecordingFile,
    RecordingPage,
    Recordings,
    RecordingStore,
    StoredChunk,
)
from usher.protocol.credentials import BotIdentity
from usher.protocol.recordings import DURATION_PLACE, MIXED, FileDescription, FileState, RecordingState

log = structlog.get_logger(__name__)

_MOST_AT_ONCE = 16
_MOST_WAITING = 64
_SWEEP_S = 300.0
_MOST_SWEPT = 100
_ALL = 1000
_FAILED_BY_BOT = "The bot could not go on recording; its log says why."
_REFUSALS = {
    ChunkVerdict.CONTRADICTED: "Another chunk was uploaded under this number.",
    ChunkVerdict.AHEAD: "Chunks before this one are missing; upload them first.",
    ChunkVerdict.UNKNOWN_FILE: "This file was not described, or is finished; describe it first.",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file as it is now, which may still grow.

    Attributes:
        name: Of the file.
        size_bytes: All of it.
    """

    file: RecordingFile
    chunks: Sequence[StoredChunk]
    prefix: str

    @property
    def size_bytes(self) -> int:
        """Return how long the file is."""
        return sum(chunk.size_bytes for chunk in self.chunks)


class RecordingDesk:
    """Takes chunks, gives files out, deletes: the bytes are with `store`, what is known of them is with `rows`."""

    def __init__(self, rows: Recordings, store: RecordingStore) -> None:
        self._rows = rows
        self._store = store
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._waiting = 0

    async def describe(self, bot: BotIdentity, name: str, said: FileDescription) -> None:
        """Begin a file, or change what is known of it. Idempotent.

        Raises:
            Superseded: The attempt is over.
        """
        if not await self._rows.describe_file(bot.connection_id, name, said):
            raise _superseded()
        if said.state is not FileState.IN_PROGRESS:
            log.info("recorded_file_ended", meeting_id=bot.meeting_id, file=name, state=said.state)

    async def take(self, bot: BotIdentity, name: str, number: int, until_ms: int, content: bytes) -> None:
        """Keep a chunk; when this returns it survives a crash. Idempotent for the same content.

        Raises:
            Superseded: The attempt is over.
            Conflict: `bad_chunk`: another one has its number, or it does not follow those that are there.
            CannotStore: There is no room; the recording has failed.
            Unavailable: Too much is being uploaded, or the storage does not answer.
        """
        sha256 = hashlib.sha256(content).digest()
        chunk = NewChunk(name, number, sha256, len(content), until_ms)
        if _is_needed(await self._rows.judge_chunk(bot.connection_id, chunk)):
            try:
                await self._put(_key(_prefix(bot.meeting_id, bot.connection_id), name, number, sha256), content)
            except CannotStore as error:
                log.warning("recording_cannot_be_stored", meeting_id=bot.meeting_id, why=error.detail)
                await self._rows.fail_recording(bot.connection_id, error.detail)
                raise
            _is_needed(await self._rows.add_chunk(bot.connection_id, chunk))

    async def list(self, user_id: int, page: RecordingPage) -> Sequence[Recording]:
        """List a user's recordings, newest first."""
        return await self._rows.recordings(user_id, page)

    async def get(self, user_id: int, recording_id: int) -> Recording:
        """Return one of a user's recordings.

        Raises:
            NotFound: There is none with that id, or it is somebody else's.
        """
        recording = await self._rows.find_recording(recording_id)
        if recording is None or recording.user_id != user_id:
            raise NotFound("unknown_recording", f"You have no recording with the id {recording_id}.")
        return recording

    async def open(self, recording: Recording, file_id: int) -> Download:
        """Return a file as it is now.

        Raises:
            NotFound: The recording has no such file.
        """
        file = next((file for file in recording.files if file.file_id == file_id), None)
        if file is None:
            raise NotFound("unknown_media", f"Recording {recording.recording_id} has no file with the id {file_id}.")
        prefix = _prefix(recording.meeting_id, recording.connection_id)
        return Download(file, await self._rows.chunks(file_id), prefix)

    async def read(self, download: Download, begin: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a file from `begin` to before `end`, chunk by chunk.

        Raises:
            NotFound: A part of it is not there any more.
            Unavailable: The storage does not answer.
        """
        offset = 0
        for chunk in download.chunks:
            first, last = max(begin - offset, 0), min(end - offset, chunk.size_bytes)
            if first < last:
                key = _key(download.prefix, download.file.name, chunk.number, chunk.sha256)
                content = await self._store.get(key)
                yield _with_duration(content, download.file)[first:last] if not chunk.number else content[first:last]
            offset += chunk.size_bytes

    async def delete(self, recording: Recording) -> None:
        """Delete a recording, its bytes first of all: nobody can read it from now on, whatever fails. Idempotent.

        Raises:
            Conflict: `still_recording`.
            Unavailable: The storage does not answer; what is left will be deleted later.
        """
        if await self._rows.begin_deletion(recording.recording_id):
            await self._end_deletion(recording)
        elif await self._rows.find_recording(recording.recording_id) is not None:  # else somebody else has deleted it
            raise Conflict("still_recording", "The bot is not gone yet. Stop it first.")

    async def delete_of_meeting(self, user_id: int, meeting_id: int) -> None:
        """Delete all recordings of a meeting that is over. Idempotent; raises as `delete` does."""
        while recordings := await self._rows.recordings(user_id, RecordingPage(limit=_ALL, meeting_id=meeting_id)):
            for recording in recordings:
                await self.delete(recording)

    async def run(self) -> None:
        """End deletions that were interrupted, until cancelled. Safe to run in many processes."""
        await run_every(_SWEEP_S, "recordings", self.sweep)

    async def sweep(self) -> None:
        """End deletions that were interrupted."""
        for recording in await self._rows.deletions(limit=_MOST_SWEPT):
            await self._end_deletion(recording)

    async def _end_deletion(self, recording: Recording) -> None:
        await self._store.delete(f"{_prefix(recording.meeting_id, recording.connection_id)}/")
        await self._rows.end_deletion(recording.recording_id)
        log.info("recording_deleted", meeting_id=recording.meeting_id, attempt=recording.attempt)

    async def _put(self, key: str, content: bytes) -> None:
        if self._waiting >= _MOST_WAITING:
            raise Unavailable("Too many chunks are being stored; come back.", retry_after_s=2.0)
        self._waiting += 1
        try:
            async with self._turns:
                await self._store.put(key, content)
        finally:
            self._waiting -= 1


def state_of(recording: Recording) -> tuple[RecordingState, str]:
    """Return how far a recording is, and why it failed, for people."""
    mixed = next((file.state for file in recording.files if file.name == MIXED), FileState.IN_PROGRESS)
    if recording.failure is not None:
        return "failed", recording.failure
    if mixed is FileState.GIVEN_UP:
        return "failed", _FAILED_BY_BOT
    if mixed is FileState.FINISHED:
        return "completed", ""
    return ("in_progress", "") if recording.live else ("interrupted", "")


def _is_needed(verdict: ChunkVerdict) -> bool:
    """Say whether a chunk has to be written.

    Raises:
        Superseded: The attempt is over.
        Conflict: It cannot be taken.
        CannotStore: The recording is too large.
    """
    if verdict is ChunkVerdict.OVER:
        raise _superseded()
    if verdict is ChunkVerdict.TOO_MUCH:
        raise CannotStore("The recording is as large as one may be.")
    if verdict in _REFUSALS:
        raise Conflict("bad_chunk", _REFUSALS[verdict])
    return verdict is ChunkVerdict.NEW


def _with_duration(first: bytes, file: RecordingFile) -> bytes:
    """Return a file's first chunk with the duration in it, once that is known: then players can show and seek.

    Source: RFC 9559: `Duration` (0x4489), a float, counts in the units of the timestamps, here milliseconds.
    """
    if file.state is not FileState.FINISHED:
        return first
    return first.replace(DURATION_PLACE, bytes.fromhex("448988") + struct.pack(">d", file.duration_ms), 1)


def _prefix(meeting_id: int, connection_id: str) -> str:
    return f"{meeting_id}/{connection_id}"


def _key(prefix: str, name: str, number: int, sha256: bytes) -> str:
    """Return where a chunk lies. Two that contradict each other have two places, so neither spoils the other."""
    return f"{prefix}/{name}/{number:08d}-{sha256.hex()[:16]}"


def _superseded() -> Superseded:
    return Superseded("attempt_over", "This attempt is over. Leave the meeting and exit.")
