"""Rules of the model test: what is known of recordings."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.property.store_sides import EPOCH, SOME, Side, TwoStores

from usher.ports import ChunkVerdict, NewChunk, Recording, RecordingPage, StoredChunk
from usher.protocol.recordings import FileDescription, FileState

_NAMES = st.sampled_from(["mixed", "speaker-1"])
_SIZE_BYTES = 100


class RecordingRules(TwoStores):
    """Describes files, uploads chunks, lists, fails and deletes recordings."""

    @rule(
        choice=SOME,
        name=_NAMES,
        state=st.sampled_from([FileState.IN_PROGRESS, FileState.IN_PROGRESS, FileState.FINISHED]),
        speaker=st.sampled_from([None, "Ann", "a\x00b"]),
    )
    def describe_file(self, choice: int, name: str, state: FileState, speaker: str | None) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        said = FileDescription(started_at=EPOCH, state=state, speaker=speaker, lost_ms=choice)
        self.both(lambda side: side.store.describe_file(connection_id, name, said))

    @rule(choice=SOME, name=_NAMES, number=st.integers(0, 3), content=st.sampled_from([b"a", b"b"]))
    def upload_chunk(self, choice: int, name: str, number: int, content: bytes) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        chunk = NewChunk(name, number, content * 32, _SIZE_BYTES, 5000 * number)

        async def uploaded(side: Side) -> list[ChunkVerdict]:
            store = side.store
            return [await store.judge_chunk(connection_id, chunk), await store.add_chunk(connection_id, chunk)]

        self.both(uploaded)

    @rule(choice=SOME, why=st.sampled_from(["full", "a\x00b"]))
    def fail_recording(self, choice: int, why: str) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        self.both(lambda side: side.store.fail_recording(connection_id, why))

    @rule(user=SOME, choice=SOME, limit=st.integers(1, 3))
    def list_recordings(self, user: int, choice: int, limit: int) -> None:
        """List a user's recordings, in pages, and look into one of them."""

        async def listed(side: Side) -> list[object]:
            user_id = side.users[user % len(side.users)].user_id
            found = await side.store.recordings(user_id, RecordingPage())
            seen: list[object] = [_plain(side, recording) for recording in found]
            if found:
                one = found[choice % len(found)]
                again = await side.store.find_recording(one.recording_id)
                assert again == one
                page = RecordingPage(limit=limit, before_id=one.recording_id, meeting_id=one.meeting_id)
                seen += [_plain(side, each) for each in await side.store.recordings(user_id, page)]
                chunks: list[StoredChunk] = [
                    chunk for file in one.files for chunk in await side.store.chunks(file.file_id)
                ]
                seen.append(chunks)
            return seen

        self.both(listed)

    @rule(user=SOME, choice=SOME, ends=st.booleans())
    def delete_recording(self, user: int, choice: int, *, ends: bool) -> None:
        """Begin a deletion, and end it, at once or with the next."""

        async def deleted(side: Side) -> list[object]:
            found = await side.store.recordings(side.users[user % len(side.users)].user_id, RecordingPage())
            begun = bool(found) and await side.store.begin_deletion(found[choice % len(found)].recording_id)
            waiting = await side.store.deletions(limit=10)
            if ends:
                for recording in waiting:
                    await side.store.end_deletion(recording.recording_id)
            return [begun, *(_plain(side, recording) for recording in waiting)]

        self.both(deleted)


def _plain(side: Side, recording: Recording) -> Recording:
    """Return the recording without ids, and with its times left out."""
    files = tuple(replace(file, file_id=0, created_at=EPOCH) for file in recording.files)
    number = side.number(recording.meeting_id)
    return replace(recording, recording_id=0, meeting_id=number, user_id=0, created_at=EPOCH, files=files)
