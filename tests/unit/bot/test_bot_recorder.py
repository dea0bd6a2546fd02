"""The recorder: its files arrive whole, whatever the manager does, and the bot never waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import configuration
from tests.support.eventually import eventually
from tests.support.recordings import frames, play, tone

from usher.bot.audio.clock import SAMPLE_RATE, SteadyClock
from usher.bot.line import Line
from usher.bot.recording import Recorder
from usher.bot.recording.desk import Description
from usher.bot.recording.media import Chunk
from usher.bot.recording.shipping import Shipping
from usher.bot.recording.spool import Spool
from usher.protocol.recordings import MIXED, FileDescription

ANN_HZ, BOB_HZ = 440, 880


class Studio:
    """A recorder, the manager that it uploads to, and people who speak."""

    def __init__(self, manager: Manager, recorder: Recorder) -> None:
        self.manager = manager
        self.recorder = recorder
        self._start: datetime = SteadyClock().now()
        self._spoken = 0

    def speak(self, seconds: float) -> None:
        """Let both be heard for so long; it takes no time."""
        for hz, lane in ((ANN_HZ, "Ann"), (BOB_HZ, "Bob")):
            for frame in frames(tone(hz, seconds), self._spoken):
                at = self._start + timedelta(seconds=frame.position / SAMPLE_RATE)
                self.recorder.hear(lane, lane, frame, at)
        self._spoken += round(seconds * SAMPLE_RATE)

    def file(self, name: str) -> bytes:
        """What the manager has of a file."""
        return b"".join(self.manager.chunks.get(name, []))


@asynccontextmanager
async def recording(url: str | None = None) -> AsyncIterator[Studio]:
    async with manager_server() as manager:
        told = configuration(
            manager_url=url or manager.url,
            redis_url="redis://127.0.0.1:1/0",
            transcription_url="ws://127.0.0.1:1",
            meeting_url="http://127.0.0.1:1/room/x",
            chromium=None,
        )
        yield Studio(manager, Recorder(told))


async def test_what_was_heard_arrives_with_names_and_in_the_mix() -> None:
    async with recording() as studio:
        studio.speak(12.0)
        await studio.recorder.finish()
        files, chunks = studio.manager.files, studio.manager.chunks
        assert {name: (said["speaker"], said["state"]) for name, said in files.items()} == {
            MIXED: (None, "finished"),
            "speaker-1": ("Ann", "finished"),
            "speaker-2": ("Bob", "finished"),
        }
        assert set(chunks) == set(files)
        for name, tones in ((MIXED, {ANN_HZ, BOB_HZ}), ("speaker-1", {ANN_HZ}), ("speaker-2", {BOB_HZ})):
            played = play(studio.file(name))
            assert played.loud()[0] == pytest.approx((0.0, 12.0), abs=0.02)
            assert played.pitches(1.0, 11.0, (ANN_HZ, BOB_HZ)) == tones
        assert studio.manager.tokens == {"Bearer ub1.7.test.0"}


async def test_it_uploads_on_the_way_and_finishing_twice_does_no_harm() -> None:
    async with recording() as studio:
        studio.speak(6.0)
        await eventually(lambda: "speaker-1" in studio.manager.files, timeout_s=20.0)
        studio.recorder.end("Ann")
        await eventually(lambda: studio.manager.files["speaker-1"]["state"] == "finished", timeout_s=20.0)
        assert play(studio.file("speaker-1")).loud()[0][1] == pytest.approx(6.0, abs=0.02)
        for _ in range(2):
            await studio.recorder.finish()
        studio.speak(1.0)
        assert studio.manager.files[MIXED]["state"] == "finished"


async def test_nobody_heard_is_nothing_uploaded() -> None:
    async with recording() as studio:
        await studio.recorder.finish()
        studio.speak(1.0)
        assert not studio.manager.files
        assert studio.manager.requests == 0


async def test_a_manager_that_fails_for_a_while_gets_everything_once() -> None:
    async with recording() as studio:
        studio.manager.failures = 4
        studio.speak(6.0)
        await eventually(lambda: "speaker-1" in studio.manager.files, timeout_s=20.0)
        await studio.recorder.finish()
        for name in (MIXED, "speaker-1", "speaker-2"):
            assert play(studio.file(name)).loud()[0] == pytest.approx((0.0, 6.0), abs=0.02)


async def test_a_manager_that_is_away_holds_nothing_up_for_long() -> None:
    async with recording("http://127.0.0.1:1") as studio:
        studio.speak(6.0)
        began = asyncio.get_running_loop().time()
        await studio.recorder.finish()
        assert asyncio.get_running_loop().time() - began < 8.0


@pytest.mark.parametrize("status", [507, 409, 413, 404])
async def test_a_refusal_ends_the_recording_and_nothing_else(status: int) -> None:
    async with recording() as studio:
        studio.manager.storage = status
        studio.speak(12.0)
        studio.recorder.end("Ann")
        await eventually(lambda: studio.manager.files.get(MIXED, {}).get("state") == "given_up", timeout_s=20.0)
        asked = studio.manager.requests
        studio.speak(3.0)
        await studio.recorder.finish()
        assert studio.manager.requests == asked


async def test_an_attempt_that_is_over_is_left_alone() -> None:
    async with recording() as studio:
        studio.manager.over = True
        studio.speak(12.0)
        await eventually(lambda: MIXED in studio.manager.files, timeout_s=20.0)
        await studio.recorder.finish()
        assert studio.manager.files[MIXED]["state"] == "in_progress"
        assert not studio.manager.chunks


async def test_the_event_loop_is_not_held_up_by_hours_of_silence() -> None:
    async with recording() as studio:
        late = SteadyClock().now() + timedelta(hours=4)
        studio.speak(0.5)
        longest_s = 0.0
        for frame in frames(tone(BOB_HZ, 0.5)):
            studio.recorder.hear("Eve", "Eve", frame, late)
        finishing = asyncio.create_task(studio.recorder.finish())
        while not finishing.done():
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, asyncio.get_running_loop().time() - began)
        assert longest_s < 0.5
        assert studio.manager.files["speaker-3"]["state"] in {"finished", "in_progress"}


async def test_what_does_not_fit_into_the_spool_is_lost_and_said() -> None:
    async with manager_server() as manager:
        told = configuration(
            manager_url=manager.url,
            redis_url="redis://x",
            transcription_url="ws://x",
            meeting_url="http://x",
            chromium=None,
        )
        line, spool = Line(told), Spool(most_bytes=25)
        shipping = Shipping(line, spool)
        said = FileDescription(started_at=SteadyClock().now())
        first, second, third = (Chunk(MIXED, b"head", n * 5000, (n + 1) * 5000, b"x" * 10) for n in range(3))
        shipping.take([Description(MIXED, said), first, second, third, Description(MIXED, said)])
        uploading = asyncio.create_task(shipping.run())
        await shipping.empty()
        assert manager.chunks == {MIXED: [b"head" + b"x" * 10, b"x" * 10]}
        assert manager.files[MIXED]["lost_ms"] == 5000
        shipping.take([third])
        await shipping.empty()
        assert len(manager.chunks[MIXED]) == 3, "there is room again, and the numbers have no gap"
        uploading.cancel()
        spool.close()
        await line.close()


def test_a_closed_spool_takes_nothing() -> None:
    spool = Spool()
    slip = spool.add(b"sound")
    assert slip is not None
    assert spool.read(slip) == b"sound"
    spool.forget()
    spool.close()
    assert spool.add(b"sound") is None
