"""All tracks of a page: listened to from the first sound on, each apart, with the names that the page shows."""

from collections.abc import AsyncIterator, Mapping

import pytest_asyncio
from pydantic import SecretStr
from tests.support.bot_speech_server import SpeechServer, speech_server, tone
from tests.support.eventually import eventually

from usher.bot.audio.ears import TrackEars
from usher.bot.audio.receiver import Frame
from usher.bot.audio.speech import Speech, SpeechPatience
from usher.bot.platforms.port import Person, Presence, Sighting
from usher.protocol.segments import SegmentEntry

_PATIENCE_S = 30.0
_FRAME = 1600
_QUICK = SpeechPatience(finish_s=5.0, close_s=0.5, retry_s=(0.02, 0.05))


class _Page:
    """Ears, and a page that makes sounds."""

    def __init__(self, server: SpeechServer) -> None:
        self.server = server
        self.entries: list[SegmentEntry] = []
        speech = Speech(server.url, SecretStr("token"), None, "transcribe", _QUICK)
        self.ears = TrackEars(7, "connection", speech, self.entries.append)

    def sound(self, track: int, first: int, frames: int, value: float) -> None:
        for number in range(first, first + frames):
            self.ears.hear(track, Frame(number * _FRAME, tone(value, 0.1)))

    def named(self, names: Mapping[str, str]) -> None:
        """Show people whose tracks are known; a person's id is not their name."""
        people = tuple(Person(name, is_self=False, person_id=f"id of {track}") for track, name in names.items())
        self.ears.see(Sighting(Presence.INSIDE, people, {track: f"id of {track}" for track in names}))

    def finals(self) -> set[tuple[str | None, str]]:
        return {(s.speaker, s.text) for entry in self.entries for s in entry.segments if s.completed}

    async def has(self, speaker: str | None, text: str) -> None:
        await eventually(lambda: (speaker, text) in self.finals(), timeout_s=_PATIENCE_S)


@pytest_asyncio.fixture
async def page() -> AsyncIterator[_Page]:
    async with speech_server() as server:
        opened = _Page(server)
        yield opened
        await opened.ears.finish()


async def test_a_silent_track_costs_no_session(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.sound(1, 0, 100, value=0.0)
    await page.ears.finish()
    assert page.server.streams == []


async def test_a_second_before_the_first_sound_is_heard_too(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.sound(1, 0, 50, value=0.0)
    page.sound(1, 50, 11, value=200.0)
    await eventually(
        lambda: bool(page.server.streams) and len(page.server.streams[0].pcm) >= 20 * _FRAME, timeout_s=_PATIENCE_S
    )
    heard = page.server.streams[0].pcm
    assert len(heard) == 20 * _FRAME
    assert set(heard[: 9 * _FRAME]) == {0.0}
    assert min(heard[9 * _FRAME :]) > 0.1


async def test_tracks_are_heard_apart_by_name(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.ears.begin(2, "b")
    page.named({"a": "Alice", "b": "Bob", "c": "Carol"})
    page.sound(1, 0, 10, value=200.0)
    page.sound(2, 0, 10, value=300.0)
    await page.has("Alice", "heard 200 to 200")
    await page.has("Bob", "heard 300 to 300")
    uids = [stream.uid for stream in page.server.streams]
    assert uids.count("connection") == 1
    assert len(set(uids)) == 2


async def test_a_name_is_remembered_when_the_person_is_gone_and_bounded(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.named({"a": "A" * 1000})
    page.sound(1, 0, 10, value=200.0)
    await page.has("A" * 255, "heard 200 to 200")
    page.named({})
    page.sound(1, 10, 10, value=210.0)
    await page.has("A" * 255, "heard 210 to 210")


async def test_a_track_without_a_name_is_heard_all_the_same(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.named({"a": ""})
    page.sound(1, 0, 10, value=200.0)
    await page.has(None, "heard 200 to 200")


async def test_a_track_that_ends_hands_in_its_last_text(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.sound(1, 0, 7, value=200.0)
    page.ears.end(1)
    page.ears.end(1)
    await page.has(None, "heard 200 to 200")


async def test_the_finish_waits_for_all(page: _Page) -> None:
    for track, value in ((1, 200.0), (2, 300.0)):
        page.ears.begin(track, str(track))
        page.sound(track, 0, 7, value=value)
    page.ears.end(1)
    await page.ears.finish()
    assert page.finals() == {(None, "heard 200 to 200"), (None, "heard 300 to 300")}


async def test_a_page_that_is_loaded_anew_is_heard_again(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.sound(1, 0, 10, value=200.0)
    page.ears.begin(1, "b")
    page.sound(1, 0, 10, value=300.0)
    await page.has(None, "heard 200 to 200")
    await page.has(None, "heard 300 to 300")


async def test_samples_of_an_unknown_track_are_nobodys(page: _Page) -> None:
    page.sound(9, 0, 10, value=200.0)
    await page.ears.finish()
    assert page.server.streams == []


async def test_new_settings_reach_tracks_that_are_open_and_tracks_to_come(page: _Page) -> None:
    page.ears.begin(1, "a")
    page.sound(1, 0, 10, value=200.0)
    await page.has(None, "heard 200 to 200")
    await page.ears.configure("de", "translate")
    page.ears.begin(2, "b")
    page.sound(2, 0, 10, value=300.0)
    await page.has(None, "heard 300 to 300")
    first, second = page.server.streams
    assert first.configured == [{"type": "configure", "language": "de", "task": "translate"}]
    assert (second.options["language"], second.options["task"]) == ("de", "translate")
