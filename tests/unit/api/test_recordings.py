"""`/recordings` and the bots' uploads, through the application."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import av
import httpx
import pytest
from tests.support.recordings import frames, play, tone
from tests.support.world import World, exited

from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache, digest
from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.recording.media import Chunk, MediaWriter
from usher.bot.recording.timeline import Sound
from usher.domain.errors import CannotStore, Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Homes
from usher.ports import Meeting, RecordingPage
from usher.protocol.recordings import MIXED, MOST_CHUNK_BYTES

STARTED = "2026-05-04T12:00:00Z"
HZ = 440


@dataclass
class Api:
    """An API, a meeting with its bot, and a sound."""

    world: World
    http: httpx.AsyncClient
    meeting: Meeting
    chunks: list[bytes]

    @property
    def whole(self) -> bytes:
        return b"".join(self.chunks)

    async def describe(self, name: str = MIXED, **said: object) -> httpx.Response:
        body = {"started_at": STARTED, **said}
        return await self.http.put(self._path(name), json=body, headers=await self._token())

    async def upload(self, number: int, content: bytes | None = None, name: str = MIXED) -> httpx.Response:
        content = self.chunks[number] if content is None else content
        path = f"{self._path(name)}/{number}?until_ms={5000 * (number + 1)}"
        return await self.http.put(path, content=content, headers=await self._token())

    async def record(self) -> dict[str, Any]:
        """Upload all of it, and return the recording."""
        assert (await self.describe()).status_code == 204
        for number in range(len(self.chunks)):
            assert (await self.upload(number)).status_code == 204
        return await self.recording()

    async def recording(self) -> dict[str, Any]:
        (recording,) = (await self.get("/recordings")).json()["recordings"]
        return dict(recording)

    async def get(self, path: str, key: str = "key", **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={"X-API-Key": key, **headers})

    async def delete(self, path: str, key: str = "key") -> httpx.Response:
        return await self.http.delete(path, headers={"X-API-Key": key})

    async def leave(self) -> None:
        bot = await self.world.bot_of(self.meeting.meeting_id)
        await self.world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))

    def _path(self, name: str) -> str:
        return f"/internal/bots/{self.meeting.connection_id}/recordings/{name}"

    async def _token(self) -> dict[str, str]:
        bot = await self.world.bot_of(self.meeting.meeting_id)
        return {"Authorization": f"Bearer {self.world.credentials.token(bot)}"}


def sound(seconds: float) -> list[bytes]:
    """Return the chunks of a tone."""
    writer, chunks = MediaWriter(MIXED), list[Chunk]()
    for frame in frames(tone(HZ, seconds)):
        at_s = frame.position / SAMPLE_RATE
        writer.write(Sound(frame.position, tone(HZ, 0.1)), at_s)
        chunks += writer.seal(at_s, quiet=False)
    chunks += writer.seal(seconds, quiet=True, whole=True)
    return [chunks[0].head + chunks[0].clusters, *(chunk.clusters for chunk in chunks[1:])]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    world = World()
    for name, key in (("ann@example.com", b"key"), ("eve@example.com", b"other")):
        user = await world.store.create_user(name, name=None, max_concurrent_bots=3)
        await world.store.add_token(user.user_id, digest(key.decode()))
    context = Context(
        store=world.store,
        bots=world.bots,
        reports=world.reports,
        recordings=world.recordings,
        webhooks=world.desk,
        feed=world.feed,
        stream=world.stream,
        keys=KeyCache(world.store, ttl_s=5),
        homes=Homes("http://usher.test/room"),
    )
    transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://usher.test") as http:
        yield Api(world, http, await world.active(), sound(12.0))


def media(recording: dict[str, Any]) -> str:
    return f"/recordings/{recording['id']}/media/{recording['media_files'][0]['id']}/raw"


async def test_a_wish_to_record_is_taken_and_shown(api: Api) -> None:
    body = {"platform": "room", "native_meeting_id": "loud", "recording_enabled": True}
    sent = await api.http.post("/bots", json=body, headers={"X-API-Key": "key"})
    assert sent.status_code == 201
    assert sent.json()["recording_enabled"] is True
    shown = (await api.get(f"/meetings/{sent.json()['id']}")).json()
    assert shown["recording_enabled"] is True
    assert (await api.get(f"/meetings/{api.meeting.meeting_id}")).json()["recording_enabled"] is False


async def test_a_recording_is_read_while_it_grows_and_when_it_is_done(api: Api) -> None:
    await api.describe()
    await api.upload(0)
    growing = await api.recording()
    assert (growing["status"], growing["meeting_id"], growing["attempt"]) == ("in_progress", api.meeting.meeting_id, 1)
    assert (await api.get(media(growing))).content == api.chunks[0]
    for number in range(1, len(api.chunks)):
        await api.upload(number)
    assert (await api.get(media(growing))).content == api.whole
    await api.describe(state="finished", lost_ms=40)
    done = await api.recording()
    assert done["status"] == "completed"
    (file,) = done["media_files"]
    assert (file["file_size_bytes"], file["duration_seconds"]) == (len(api.whole), 5.0 * len(api.chunks))
    assert (file["type"], file["format"], file["name"], file["lost_seconds"]) == ("audio", "webm", MIXED, 0.04)
    assert datetime.fromisoformat(done["started_at"]) == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    got = await api.get(media(done))
    assert got.headers["content-type"] == "audio/webm"
    assert got.headers["content-disposition"] == f'attachment; filename="meeting-{api.meeting.meeting_id}-mixed.webm"'
    assert play(got.content).loud()[0] == pytest.approx((0.0, 12.0), abs=0.02)
    with av.open(io.BytesIO(got.content), "r") as container:
        assert container.duration == 5_000_000 * len(api.chunks), "the player is told how long it is"


async def test_speakers_have_names(api: Api) -> None:
    await api.describe()
    await api.describe("speaker-1", speaker="Ann")
    await api.describe("speaker-1", speaker="Ann Lee")
    await api.describe("speaker-1", speaker=None, state="finished")
    files = (await api.recording())["media_files"]
    assert [(file["name"], file["speaker"]) for file in files] == [(MIXED, None), ("speaker-1", "Ann Lee")]
    assert (await api.describe("speaker-200")).status_code == 422
    assert (await api.describe("..%2fx")).status_code in {404, 422}


async def test_parts_of_a_file(api: Api) -> None:
    recording, whole = await api.record(), api.whole
    size, first = len(whole), len(api.chunks[0])
    parts = {
        "bytes=0-0": (0, 1),
        f"bytes={first - 3}-{first + 3}": (first - 3, first + 4),
        f"bytes={first}-": (first, size),
        "bytes=-10": (size - 10, size),
        f"bytes=-{size * 9}": (0, size),
        f"bytes=5-{size * 9}": (5, size),
    }
    for header, (begin, end) in parts.items():
        got = await api.get(media(recording), Range=header)
        assert (got.status_code, got.content) == (206, whole[begin:end]), header
        assert got.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    for ignored in ("bytes=0-1,4-5", "bytes=-", "items=0-1", "bytes=5-4", "nonsense"):
        got = await api.get(media(recording), Range=ignored)
        assert (got.status_code, got.content) == (200, whole), ignored
    for beyond in (f"bytes={size}-", f"bytes={size}-{size + 5}", "bytes=-0"):
        got = await api.get(media(recording), Range=beyond)
        assert (got.status_code, got.headers["content-range"]) == (416, f"bytes */{size}"), beyond
        assert got.headers["content-type"] == "application/problem+json"
    etag = (await api.get(media(recording))).headers["etag"]
    assert (await api.get(media(recording), Range="bytes=0-1", **{"If-Range": etag})).status_code == 206
    assert (await api.get(media(recording), Range="bytes=0-1", **{"If-Range": '"old"'})).status_code == 200


async def test_a_file_without_sound_is_empty(api: Api) -> None:
    await api.describe()
    got = await api.get(media(await api.recording()))
    assert (got.status_code, got.content) == (200, b"")


async def test_a_chunk_again_changes_nothing_and_another_is_refused(api: Api) -> None:
    recording = await api.record()
    assert (await api.upload(0)).status_code == 204
    other = await api.upload(0, b"something else")
    assert (other.status_code, other.json()["code"]) == (409, "bad_chunk")
    assert (await api.upload(9, b"far ahead")).status_code == 409
    assert (await api.upload(0, name="speaker-7")).status_code == 409
    assert (await api.get(media(recording))).content == api.whole


async def test_a_chunk_that_is_too_large_is_refused(api: Api) -> None:
    await api.describe()
    for size in (MOST_CHUNK_BYTES + 1, 2 * MOST_CHUNK_BYTES):
        refused = await api.upload(0, b"x" * size)
        assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert not api.world.recording_store.kept


async def test_an_attempt_that_is_over_uploads_nothing(api: Api) -> None:
    await api.record()
    await api.leave()
    kept = dict(api.world.recording_store.kept)
    assert (await api.upload(len(api.chunks), b"late")).status_code == 410
    assert (await api.describe(state="finished")).status_code == 410
    assert api.world.recording_store.kept == kept
    assert (await api.recording())["status"] == "interrupted"


async def test_a_token_of_another_bot_uploads_nothing(api: Api) -> None:
    other = await api.world.active("another")
    path = f"/internal/bots/{other.connection_id}/recordings/{MIXED}"
    bot = await api.world.bot_of(api.meeting.meeting_id)
    wrong = {"Authorization": f"Bearer {api.world.credentials.token(bot)}"}
    assert (await api.http.put(path, json={"started_at": STARTED}, headers=wrong)).status_code == 401
    assert (await api.http.put(f"{path}/0?until_ms=1", content=b"x", headers=wrong)).status_code == 401


async def test_nobody_else_sees_or_deletes_it(api: Api) -> None:
    recording = await api.record()
    await api.leave()
    of = f"/recordings/{recording['id']}"
    assert (await api.get("/recordings", "other")).json() == {"recordings": []}
    meeting = f"/meetings/{api.meeting.meeting_id}/recordings"
    assert [(await api.get(path, "other")).status_code for path in (of, media(recording), meeting)] == [404, 404, 404]
    assert (await api.delete(of, "other")).status_code == 404
    assert (await api.get(f"{of}/media/999999/raw")).status_code == 404
    assert (await api.get(media(recording))).content == api.whole
    assert (await api.get(of)).json() == await api.recording()
    assert (await api.get(meeting)).json()["recordings"] == [await api.recording()]


async def test_it_is_deleted_for_good_once_the_bot_is_gone(api: Api) -> None:
    recording = await api.record()
    of = f"/recordings/{recording['id']}"
    assert (await api.delete(of)).json()["code"] == "still_recording"
    await api.leave()
    assert (await api.delete(of)).status_code == 204
    assert not api.world.recording_store.kept
    assert (await api.delete(of)).status_code == 404
    assert (await api.get("/recordings")).json() == {"recordings": []}


async def test_a_recording_that_somebody_else_has_just_deleted_is_gone_for_whoever_deletes_it(
    api: Api,
) -> None:
    await api.record()
    await api.leave()
    (seen,) = await api.world.recordings.list(api.meeting.user_id, RecordingPage())
    for _ in range(2):
        await api.world.recordings.delete(seen)
    assert not api.world.recording_store.kept


async def test_all_recordings_of_a_meeting_are_deleted(api: Api) -> None:
    await api.record()
    await api.leave()
    for _ in range(2):
        await api.world.recordings.delete_of_meeting(api.meeting.user_id, api.meeting.meeting_id)
    assert not api.world.recording_store.kept
    assert (await api.get("/recordings")).json() == {"recordings": []}


async def test_a_deletion_that_was_interrupted_is_ended_later_and_nobody_reads_it_meanwhile(api: Api) -> None:
    recording = await api.record()
    await api.leave()
    with failing(api.world, "delete", Unavailable("away")):
        assert (await api.delete(f"/recordings/{recording['id']}")).status_code == 503
    assert (await api.get(media(recording))).status_code == 404
    assert api.world.recording_store.kept
    await api.world.recordings.sweep()
    assert not api.world.recording_store.kept
    assert not await api.world.store.deletions(limit=10)


async def test_storage_without_space_is_told_to_the_bot_and_shown_to_the_user(api: Api) -> None:
    await api.describe()
    await api.upload(0)
    with failing(api.world, "put", CannotStore("The disk is full.")):
        refused = await api.upload(1)
    assert (refused.status_code, refused.json()["code"]) == (507, "cannot_store")
    failed = await api.recording()
    assert (failed["status"], failed["detail"]) == ("failed", "The disk is full.")
    assert (await api.get(media(failed))).content == api.chunks[0], "what was kept is there"


async def test_storage_that_is_away_is_told_as_such_and_the_chunk_comes_again(api: Api) -> None:
    await api.describe()
    with failing(api.world, "put", Unavailable("away")):
        assert (await api.upload(0)).status_code == 503
    assert (await api.upload(0)).status_code == 204
    recording = await api.recording()
    assert recording["status"] == "in_progress"
    with failing(api.world, "get", Unavailable("away")):
        assert (await api.get(media(recording))).status_code == 503


async def test_a_bot_that_gave_up_says_so(api: Api) -> None:
    await api.describe(state="given_up")
    assert (await api.recording())["status"] == "failed"


@contextmanager
def failing(world: World, method: str, error: Exception) -> Iterator[None]:
    """Let one method of the storage fail."""

    async def fail(*_: object) -> None:
        raise error

    setattr(world.recording_store, method, fail)
    try:
        yield
    finally:
        delattr(world.recording_store, method)
