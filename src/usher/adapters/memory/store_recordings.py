"""What is known of recordings, in memory; and their bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from usher.adapters.memory.store_tables import Part
from usher.domain.errors import NotFound
from usher.domain.lifecycle import LIVE
from usher.ports import (
    ChunkVerdict,
    NewChunk,
    Recording,
    RecordingFile,
    RecordingPage,
    StoredChunk,
    judged,
)
from usher.protocol.recordings import FileDescription


class MemoryRecordings(Part):
    """See `usher.ports.Recordings`."""

    async def describe_file(self, connection_id: str, name: str, said: FileDescription) -> bool:
        """Begin a file, or change what is known of it."""
        tables, meeting = self._tables, self._tables.current(connection_id)
        if meeting is None:
            return False
        recording = self._of(connection_id)
        if recording is None:
            recording = Recording(
                recording_id=next(tables.ids),
                meeting_id=meeting.meeting_id,
                user_id=meeting.user_id,
                attempt=meeting.attempt,
                connection_id=connection_id,
                live=True,
                started_at=said.started_at,
                failure=None,
                created_at=tables.now(),
                files=(),
            )
        tables.recordings[recording.recording_id] = replace(
            recording, files=tuple(self._described(recording, name, said))
        )
        return True

    def _described(self, recording: Recording, name: str, said: FileDescription) -> Iterator[RecordingFile]:
        speaker = said.speaker and said.speaker.replace("\x00", "")
        known = False
        for file in recording.files:
            known = known or file.name == name
            yield (
                file
                if file.name != name
                else replace(file, speaker=speaker or file.speaker, state=said.state, lost_ms=said.lost_ms)
            )
        if not known:
            file_id, at = next(self._tables.ids), self._tables.now()
            yield RecordingFile(file_id, name, speaker, said.state, 0, said.lost_ms, 0, 0, at)

    async def judge_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Say what would become of a chunk now."""
        if self._tables.current(connection_id) is None:
            return ChunkVerdict.OVER
        recording = self._of(connection_id)
        file = next((file for file in recording.files if file.name == chunk.name), None) if recording else None
        if recording is None or file is None:
            return ChunkVerdict.UNKNOWN_FILE
        stored = self._tables.recording_chunks.get(file.file_id, [])
        sha256 = stored[chunk.number].sha256 if chunk.number < len(stored) else None
        return judged(chunk, file.state, len(stored), sha256, sum(each.size_bytes for each in recording.files))

    async def add_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Add a chunk."""
        verdict, recording = await self.judge_chunk(connection_id, chunk), self._of(connection_id)
        if verdict is ChunkVerdict.NEW and recording is not None:
            files = tuple(_grown(file, chunk) if file.name == chunk.name else file for file in recording.files)
            self._tables.recordings[recording.recording_id] = replace(recording, files=files)
            file_id = next(file.file_id for file in files if file.name == chunk.name)
            stored = StoredChunk(chunk.number, chunk.sha256, chunk.size_bytes)
            self._tables.recording_chunks.setdefault(file_id, []).append(stored)
        return verdict

    async def fail_recording(self, connection_id: str, why: str) -> None:
        """Note why a recording could not be kept."""
        recording = self._of(connection_id)
        if recording is not None:
            failed = replace(recording, failure=recording.failure or why.replace("\x00", ""))
            self._tables.recordings[recording.recording_id] = failed

    async def recordings(self, user_id: int, page: RecordingPage) -> Sequence[Recording]:
        """List a user's recordings, newest first."""
        return [
            recording
            for recording in map(self._now, reversed(self._tables.recordings.values()))
            if recording.recording_id not in self._tables.deletions
            and recording.user_id == user_id
            and (page.before_id is None or recording.recording_id < page.before_id)
            and (page.meeting_id is None or recording.meeting_id == page.meeting_id)
        ][: page.limit]

    async def find_recording(self, recording_id: int) -> Recording | None:
        """Return the recording."""
        recording = self._tables.recordings.get(recording_id)
        return None if recording is None or recording_id in self._tables.deletions else self._now(recording)

    async def chunks(self, file_id: int) -> Sequence[StoredChunk]:
        """Return the chunks of a file, in order."""
        return list(self._tables.recording_chunks.get(file_id, ()))

    async def begin_deletion(self, recording_id: int) -> bool:
        """Take a recording out of every listing."""
        recording = self._tables.recordings.get(recording_id)
        if recording is None or self._now(recording).live:
            return False
        self._tables.deletions.add(recording_id)
        return True

    async def end_deletion(self, recording_id: int) -> None:
        """Forget a recording."""
        if recording_id in self._tables.deletions:
            self._tables.deletions.discard(recording_id)
            for file in self._tables.recordings.pop(recording_id).files:
                self._tables.recording_chunks.pop(file.file_id, None)

    async def deletions(self, *, limit: int) -> Sequence[Recording]:
        """Return recordings whose deletion was begun and not ended."""
        return [self._now(self._tables.recordings[each]) for each in sorted(self._tables.deletions)][:limit]

    def _of(self, connection_id: str) -> Recording | None:
        recordings = self._tables.recordings.values()
        return next((each for each in recordings if each.connection_id == connection_id), None)

    def _now(self, recording: Recording) -> Recording:
        meeting = self._tables.meetings[recording.meeting_id]
        live = meeting.connection_id == recording.connection_id and meeting.status in LIVE
        return replace(recording, live=live)


class MemoryRecordingStore:
    """See `usher.ports.RecordingStore`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, key: str, content: bytes) -> None:
        """Keep bytes."""
        self.kept[key] = content

    async def get(self, key: str) -> bytes:
        """Return the bytes."""
        if key not in self.kept:
            raise NotFound("lost_recording", "A part of this recording is not there any more.")
        return self.kept[key]

    async def delete(self, prefix: str) -> None:
        """Delete everything whose key begins with `prefix`."""
        for key in [key for key in self.kept if key.startswith(prefix)]:
            del self.kept[key]


def _grown(file: RecordingFile, chunk: NewChunk) -> RecordingFile:
    return replace(
        file,
        chunks=file.chunks + 1,
        size_bytes=file.size_bytes + chunk.size_bytes,
        duration_ms=max(file.duration_ms, chunk.until_ms),
    )
