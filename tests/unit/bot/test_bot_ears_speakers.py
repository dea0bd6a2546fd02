"""Several people on one track, one person on several, and what the page plays itself: who gets which words."""

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Mapping
from datetime import datetime

import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.support.bot_speech_server import SpeechServer, Stream, speech_server, tone
from tests.support.eventually import eventually

from usher.bot.audio.ears import TrackEars
from usher.bot.audio.receiver import Frame
from usher.bot.audio.speech import Speech, SpeechPatience
from usher.bot.platforms.port import Person, Presence, Sighting
from usher.protocol.segments import SegmentEntry

_PATIENCE_S = 30.0
_FRAME = 1600
_SECOND = 16_000
_QUICK = SpeechPatience(finish_s=5.0, close_s=0.5, retry_s=(0.02, 0.05))
_ANN, _BOB = 111, 222


class _Witness:
    """Keeps what a recording would get."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[Hashable, str | None], float] = {}
        self.ended: list[Hashable] = []

    def hear(self, lane: Hashable, name: str | None, frame: Frame, at: datetime) -> None:
        assert at.tzinfo is not None
        self.seconds[lane, name] = self.seconds.get((lane, name), 0.0) + len(frame.pcm) / 4 / _SECOND

    def end(self, lane: Hashable) -> None:
        self.ended.append(lane)


class _Page:
    """Ears, and a page whose time is that of its sound: seconds since it began."""

    def __init__(self, server: SpeechServer) -> None:
        self.server = server
        self.entries: list[SegmentEntry] = []
        self.witness = _Witness()
        speech = Speech(server.url, SecretStr("token"), None, "transcribe", _QUICK)
        self.ears = TrackEars(7, "connection", speech, self.entries.append, self.witness)
        self._began = time.monotonic()

    def begin(self, track: int, kind: str = "remote") -> None:
        self.ears.begin(track, str(track), kind=kind, age_s=self._age_s(0.0))

    def sound(self, track: int, first_s: float, seconds: float, value: float) -> None:
        first = round(first_s * 10)
        for number in range(first, first + round(seconds * 10)):
            self.ears.hear(track, Frame(number * _FRAME, tone(value, 0.1)))

    def shows(self, at_s: float, *people: str) -> None:
        self.ears.speaks(people, age_s=self._age_s(at_s))

    def sees(self, names: Mapping[str, str], sources: Mapping[int, str] | None = None, own: str = "") -> None:
        people = tuple(Person(name, is_self=person == own, person_id=person) for person, name in names.items())
        self.ears.see(Sighting(Presence.INSIDE, people, sources=sources or {}))

    def stream(self, speaker: str | None) -> Stream:
        uids = {e.session_uid for e in self.entries if any(s.speaker == speaker for s in e.segments)}
        (found,) = [stream for stream in self.server.streams if stream.uid in uids]
        return found

    def heard(self) -> dict[str | None, list[str]]:
        words: dict[str | None, list[str]] = {}
        for segment in (s for entry in self.entries for s in entry.segments if s.completed):
            words.setdefault(segment.speaker, []).append(segment.text)
        return words

    def _age_s(self, at_s: float) -> float:
        return time.monotonic() - self._began - at_s


@pytest_asyncio.fixture
async def page() -> AsyncIterator[_Page]:
    async with speech_server() as server:
        opened = _Page(server)
        yield opened
        await opened.ears.finish()


def _says(value: int) -> str:
    return f"heard {value} to {value}"


async def test_two_people_on_one_track_have_a_lane_each(page: _Page) -> None:
    page.begin(1)
    page.sees({"a": "Ann", "b": "Bob"}, {_ANN: "a", _BOB: "b"})
    page.ears.sources(1, _FRAME, [_ANN])
    page.sound(1, 0, 2, 200.0)
    page.ears.sources(1, 2 * _SECOND + _FRAME, [_BOB])
    page.sound(1, 2, 2, 300.0)
    await page.ears.finish()
    assert page.heard() == {"Ann": [_says(200)] * 2, "Bob": [_says(300)] * 2}


async def test_the_signs_of_a_page_tell_who_is_on_a_mixed_track_and_the_bot_itself_is_nobody(page: _Page) -> None:
    page.begin(1)
    page.sees({"a": "Ann", "me": "Usher"}, own="me")
    page.shows(0, "me")
    page.sound(1, 0, 1, 0.0)
    page.shows(1.3, "a", "me")
    page.sound(1, 1, 3, 200.0)
    await page.ears.finish()
    assert set(page.heard()) == {"Ann"}
    assert page.stream("Ann").pcm.count(page.stream("Ann").pcm[-1]) == 3 * _SECOND


async def test_signs_of_looks_tell_too_where_nothing_else_does(page: _Page) -> None:
    page.begin(1)
    page.ears.see(Sighting(Presence.INSIDE, (Person("Ann", is_self=False, person_id="a", speaks=True),)))
    page.sound(1, 0, 3, 200.0)
    await page.ears.finish()
    assert page.heard() == {"Ann": [_says(200)] * 3}


async def test_a_new_name_counts_from_then_on_and_the_lane_stays(page: _Page) -> None:
    page.begin(1)
    page.sees({"a": "Ann"}, {_ANN: "a"})
    page.ears.sources(1, _FRAME, [_ANN])
    page.sound(1, 0, 1.5, 200.0)
    await eventually(lambda: _says(200) in page.heard().get("Ann", []), timeout_s=_PATIENCE_S)
    page.sees({"a": "Ann Smith"}, {_ANN: "a"})
    page.sound(1, 1.5, 1.5, 200.0)
    page.sees({}, {})
    await page.ears.finish()
    assert page.heard() == {"Ann": [_says(200)], "Ann Smith": [_says(200)] * 2}
    assert len(page.server.streams) == 1


async def test_one_person_on_several_tracks_in_turn_has_one_lane(page: _Page) -> None:
    page.sees({"a": "Ann"}, {_ANN: "a"})
    for track in (1, 2):
        page.begin(track)
    page.ears.sources(1, _FRAME, [_ANN])
    page.sound(1, 0, 2, 200.0)
    page.sound(2, 0, 2, 0.0)
    page.ears.sources(1, 2 * _SECOND, [])
    page.ears.sources(2, 2 * _SECOND + _FRAME, [_ANN])
    for second in (2, 3):
        page.sound(1, second, 1, 0.0)
        page.sound(2, second, 1, 200.0)
    await page.ears.finish()
    assert page.heard() == {"Ann": [_says(200)] * 4}
    assert len(page.server.streams) == 1


async def test_while_others_speak_a_lane_gets_a_second_and_a_half_of_silence(page: _Page) -> None:
    page.begin(1)
    page.sees({"a": "Ann", "b": "Bob"}, {_ANN: "a", _BOB: "b"})
    page.ears.sources(1, _FRAME, [_ANN])
    page.sound(1, 0, 1, 200.0)
    page.ears.sources(1, _SECOND + _FRAME, [_BOB])
    page.sound(1, 1, 8, 300.0)
    page.ears.sources(1, 9 * _SECOND + _FRAME, [_ANN])
    page.sound(1, 9, 1.5, 200.0)
    await page.ears.finish()
    ann = page.stream("Ann")
    assert len(ann.pcm) == 4 * _SECOND
    assert set(ann.pcm[_SECOND : int(2.5 * _SECOND)]) == {0.0}
    assert min(ann.pcm[int(2.5 * _SECOND) :]) > 0.1


async def test_silence_of_a_track_is_not_sent_for_ever(page: _Page) -> None:
    page.begin(1)
    page.sound(1, 0, 1, 200.0)
    page.sound(1, 1, 60, 0.0)
    page.sound(1, 61, 1, 200.0)
    await page.ears.finish()
    (stream,) = page.server.streams
    assert len(stream.pcm) == round((1 + 1.5 + 0.9 + 1) * _SECOND)


async def test_who_is_silent_for_minutes_takes_no_place_of_the_service(page: _Page) -> None:
    page.begin(1)
    page.sound(1, 0, 1, 200.0)
    page.sound(1, 1, 130, 0.0)
    await eventually(lambda: bool(page.server.streams) and page.server.streams[0].ended, timeout_s=_PATIENCE_S)
    page.sound(1, 131, 1, 300.0)
    await page.ears.finish()
    assert len(page.server.streams) == 2
    assert page.server.streams[0].finals[0] == _says(200)
    assert page.server.streams[1].uid != "connection"


async def test_who_is_silent_makes_room_for_others_while_the_service_is_full(page: _Page) -> None:
    page.server.most = 1
    page.begin(1)
    page.begin(2)
    page.sound(1, 0, 1, 200.0)
    page.sound(2, 0, 1, 0.0)
    await eventually(lambda: page.server.served == 1, timeout_s=_PATIENCE_S)
    page.sound(2, 1, 1, 300.0)
    page.sound(1, 1, 1, 0.0)
    at_s = 2.0
    async with asyncio.timeout(_PATIENCE_S):
        while _says(300) not in page.heard().get(None, []):
            page.sound(1, at_s, 0.5, 0.0)
            page.sound(2, at_s, 0.5, 0.0)
            at_s += 0.5
            await asyncio.sleep(0.05)
    assert 5.0 < at_s < 120.0
    assert page.server.streams[0].ended


async def test_speakers_for_whom_there_is_no_place_are_heard_in_the_end(page: _Page) -> None:
    page.server.most = 1
    for track in range(1, 5):
        page.begin(track)
        page.sound(track, 0, 1, 100.0 + track)
    unheard_s = await page.ears.finish()
    assert sorted(page.heard()[None]) == [_says(100 + track) for track in range(1, 5)]
    assert unheard_s == 0


async def test_what_nobody_heard_is_told_in_the_end(page: _Page) -> None:
    page.server.full = 10_000
    page.begin(1)
    page.sound(1, 0, 3, 200.0)
    assert await page.ears.finish(0.3) == pytest.approx(3.0)


async def test_doubled_samples_are_heard_once_and_missing_ones_are_silence(page: _Page) -> None:
    page.begin(1)
    page.sound(1, 0, 1, 200.0)
    page.sound(1, 0.5, 1, 200.0)
    page.ears.hear(1, Frame(int(1.45 * _SECOND), tone(200.0, 0.1)))
    page.sound(1, 2, 1, 200.0)
    await page.ears.finish()
    (stream,) = page.server.streams
    assert len(stream.pcm) == 3 * _SECOND
    assert sum(1 for sample in stream.pcm if sample == 0.0) == round(0.45 * _SECOND)


async def test_what_the_page_plays_is_heard_where_there_is_nothing_else(page: _Page) -> None:
    page.begin(1, kind="output")
    page.begin(2)
    page.sound(2, 0, 3, 0.0)
    page.sound(1, 0, 3, 400.0)
    await page.ears.finish()
    assert page.heard() == {None: [_says(400)] * 3}


async def test_what_the_page_plays_is_not_heard_beside_remote_tracks(page: _Page) -> None:
    page.begin(1, kind="output")
    page.begin(2)
    for second in range(4):
        page.sound(1, second, 1, 400.0)
        page.sound(2, second, 1, 200.0)
    await page.ears.finish()
    assert page.heard() == {None: [_says(200)] * 4}


async def test_of_two_outputs_one_is_heard(page: _Page) -> None:
    for track in (1, 2):
        page.begin(track, kind="output")
    for second in range(4):
        page.sound(1, second, 1, 400.0)
        page.sound(2, second, 1, 500.0)
    await page.ears.finish()
    assert page.heard() == {None: [_says(400)] * 4}


async def test_a_recording_gets_every_frame_of_everybody_who_was_heard(page: _Page) -> None:
    page.begin(1)
    page.sees({"a": "Ann", "b": "Bob"}, {_ANN: "a", _BOB: "b"})
    page.ears.sources(1, _FRAME, [_ANN])
    page.sound(1, 0, 2, 200.0)
    page.ears.sources(1, 2 * _SECOND + _FRAME, [_BOB])
    page.sound(1, 2, 3, 300.0)
    page.ears.end(1)
    await asyncio.sleep(0)
    assert page.witness.seconds == {("a", "Ann"): pytest.approx(2.0), ("b", "Bob"): pytest.approx(3.0)}
    assert page.witness.ended == [1]
