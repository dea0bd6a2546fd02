"""What every store has to do with recordings."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.contract.store_worlds import ADMITTED, new_meeting, new_user, request, walk

from usher.domain.lifecycle import Event, Source
from usher.ports import (
    MOST_RECORDING_BYTES,
    ChunkVerdict,
    Meeting,
    NewChunk,
    Recording,
    RecordingPage,
    Store,
    StoredChunk,
)
from usher.protocol.recordings import MIXED, FileDescription, FileState

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SAID = FileDescription(started_at=NOW)
LEFT = (Event.LEFT, Source.BOT)
RETRIED = ((Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER))


def chunk(number: int, content: bytes = b"a", name: str = MIXED, size_bytes: int = 100) -> NewChunk:
    return NewChunk(name, number, content * 32, size_bytes, 5000 * (number + 1))


async def recorded(store: Store, meeting: Meeting, chunks: int = 2) -> Recording:
    assert await store.describe_file(meeting.connection_id, MIXED, SAID)
    for number in range(chunks):
        assert await store.add_chunk(meeting.connection_id, chunk(number)) is ChunkVerdict.NEW
    return (await store.recordings(meeting.user_id, RecordingPage(meeting_id=meeting.meeting_id)))[0]


async def test_a_wish_to_record_is_kept_with_the_meeting(store: Store) -> None:
    user = await new_user(store)
    created = await store.create(replace(request(user), recording_enabled=True))
    found = await store.find(created.meeting.meeting_id)
    assert found is not None
    assert created.meeting.recording_enabled
    assert found.recording_enabled
    assert not (await new_meeting(store, user, "another")).recording_enabled


async def test_files_are_described_and_grow(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    of = meeting.connection_id
    assert await store.describe_file(of, MIXED, SAID)
    assert await store.describe_file(of, "speaker-1", SAID.model_copy(update={"speaker": "Ann\x00"}))
    assert await store.add_chunk(of, chunk(0, size_bytes=70)) is ChunkVerdict.NEW
    assert await store.add_chunk(of, chunk(1, size_bytes=30)) is ChunkVerdict.NEW
    finished = SAID.model_copy(update={"state": FileState.FINISHED, "lost_ms": 20})
    assert await store.describe_file(of, "speaker-1", finished)
    (recording,) = await store.recordings(meeting.user_id, RecordingPage())
    assert (recording.meeting_id, recording.attempt, recording.connection_id) == (meeting.meeting_id, 1, of)
    assert (recording.live, recording.failure, recording.started_at) == (True, None, NOW)
    mixed, speaker = recording.files
    assert (mixed.name, mixed.speaker, mixed.state) == (MIXED, None, FileState.IN_PROGRESS)
    assert (mixed.chunks, mixed.size_bytes, mixed.duration_ms) == (2, 100, 10_000)
    assert (speaker.name, speaker.speaker, speaker.state) == ("speaker-1", "Ann", FileState.FINISHED)
    assert (speaker.chunks, speaker.size_bytes, speaker.duration_ms, speaker.lost_ms) == (0, 0, 0, 20)
    assert await store.find_recording(recording.recording_id) == recording
    assert await store.chunks(mixed.file_id) == [StoredChunk(0, b"a" * 32, 70), StoredChunk(1, b"a" * 32, 30)]
    assert not await store.chunks(speaker.file_id)


async def test_a_chunk_is_added_once_and_in_order(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    of = meeting.connection_id
    assert await store.add_chunk(of, chunk(0)) is ChunkVerdict.UNKNOWN_FILE
    assert await store.describe_file(of, MIXED, SAID)
    for judge in (store.judge_chunk, store.add_chunk):
        assert await judge(of, chunk(1)) is ChunkVerdict.AHEAD
        assert await judge(of, chunk(0)) is ChunkVerdict.NEW
    for judge in (store.judge_chunk, store.add_chunk):
        assert await judge(of, chunk(0)) is ChunkVerdict.KNOWN
        assert await judge(of, chunk(0, b"b")) is ChunkVerdict.CONTRADICTED
        assert await judge(of, chunk(1, size_bytes=MOST_RECORDING_BYTES)) is ChunkVerdict.TOO_MUCH
        assert await judge(of, chunk(0, name="speaker-1")) is ChunkVerdict.UNKNOWN_FILE
    assert await store.describe_file(of, MIXED, SAID.model_copy(update={"state": FileState.FINISHED}))
    assert await store.add_chunk(of, chunk(1)) is ChunkVerdict.UNKNOWN_FILE
    assert await store.add_chunk(of, chunk(0)) is ChunkVerdict.KNOWN
    (recording,) = await store.recordings(meeting.user_id, RecordingPage())
    assert recording.files[0].chunks == 1


async def test_an_attempt_that_is_over_adds_nothing_and_its_recording_stays(store: Store) -> None:
    first = await walk(store, await new_meeting(store), *ADMITTED)
    await recorded(store, first)
    second = await walk(store, first, *RETRIED, *ADMITTED)
    assert not await store.describe_file(first.connection_id, MIXED, SAID)
    for judge in (store.judge_chunk, store.add_chunk):
        assert await judge(first.connection_id, chunk(2)) is ChunkVerdict.OVER
        assert await judge("nobody", chunk(2)) is ChunkVerdict.OVER
    await recorded(store, second, chunks=1)
    over = await walk(store, second, LEFT)
    assert await store.add_chunk(over.connection_id, chunk(1)) is ChunkVerdict.OVER
    newest, oldest = await store.recordings(first.user_id, RecordingPage())
    assert [(r.attempt, r.live, r.files[0].chunks) for r in (newest, oldest)] == [(2, False, 1), (1, False, 2)]


async def test_the_first_reason_of_a_failure_stays(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await recorded(store, meeting)
    await store.fail_recording(meeting.connection_id, "full")
    await store.fail_recording(meeting.connection_id, "fuller")
    await store.fail_recording("nobody", "full")
    assert [r.failure for r in await store.recordings(meeting.user_id, RecordingPage())] == ["full"]


async def test_recordings_are_listed_by_owner_and_in_pages(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    meetings = [await walk(store, await new_meeting(store, user, name), *ADMITTED) for name in ("a", "b", "c")]
    ids = [(await recorded(store, meeting)).recording_id for meeting in meetings]
    await recorded(store, await walk(store, await new_meeting(store, other), *ADMITTED))

    async def listed(page: RecordingPage) -> list[int]:
        return [recording.recording_id for recording in await store.recordings(user.user_id, page)]

    assert await listed(RecordingPage()) == ids[::-1]
    assert await listed(RecordingPage(limit=2)) == [ids[2], ids[1]]
    assert await listed(RecordingPage(before_id=ids[1])) == [ids[0]]
    assert await listed(RecordingPage(meeting_id=meetings[1].meeting_id)) == [ids[1]]
    assert await store.find_recording(ids[-1] + 1000) is None


async def test_a_recording_is_deleted_in_two_steps_and_only_when_its_bot_is_gone(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    recording = await recorded(store, meeting)
    of = recording.recording_id
    assert not await store.begin_deletion(of)
    assert await store.find_recording(of) is not None
    await store.end_deletion(of)
    assert await store.find_recording(of) is not None, "what was not begun is not ended"
    await walk(store, meeting, LEFT)
    assert await store.begin_deletion(of)
    assert await store.begin_deletion(of)
    assert await store.find_recording(of) is None
    assert not await store.recordings(meeting.user_id, RecordingPage())
    assert [each.recording_id for each in await store.deletions(limit=10)] == [of]
    await store.end_deletion(of)
    await store.end_deletion(of)
    assert not await store.deletions(limit=10)
    assert not await store.chunks(recording.files[0].file_id)
    assert not await store.begin_deletion(of)
