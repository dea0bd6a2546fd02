"""A track's sessions with the speech service, over real WebSockets."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.support.bot_speech_server import SpeechServer, speech_server, tone
from tests.support.eventually import eventually

from usher.bot.audio.clock import SampleClock, SteadyClock
from usher.bot.audio.listener import Listener
from usher.bot.audio.receiver import Frame
from usher.bot.audio.speech import Speech, SpeechPatience
from usher.protocol.segments import SegmentEntry, SpokenSegment

_PATIENCE_S = 30.0
_FRAME = 1600
_QUICK = SpeechPatience(
    open_s=5.0, ready_s=5.0, send_s=5.0, finish_s=5.0, quiet_s=0.2, close_s=0.5, retry_s=(0.02, 0.05, 0.1)
)


class _Talk:
    """A listener, and somebody who talks: each 100 ms have a value of their own, so that text tells what was heard."""

    def __init__(self, server: SpeechServer, patience: SpeechPatience = _QUICK) -> None:
        self.entries: list[SegmentEntry] = []
        self.speech = Speech(server.url, SecretStr("token"), None, "transcribe", patience)
        self._clock = SampleClock(SteadyClock())
        self.listener = Listener(7, self.speech, self._clock, self.entries.append, lambda: "Alice", first_uid="first")
        self._frames = 0

    def say(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self._clock.note(self._frames * _FRAME, _FRAME)
            self.listener.tape.add(Frame(self._frames * _FRAME, tone(100.0 + self._frames, 0.1)))
            self._frames += 1
        self.listener.wake()

    def segments(self) -> list[SpokenSegment]:
        return [segment for entry in self.entries for segment in entry.segments]

    def finals(self) -> list[str]:
        return [segment.text for segment in self.segments() if segment.completed]

    async def has_finals(self, number: int) -> None:
        await eventually(lambda: len(self.finals()) >= number, timeout_s=_PATIENCE_S)


def _text(first: int, last: int) -> str:
    """What the scripted service makes of a stretch of frames."""
    return f"heard {100 + first} to {100 + last}"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[SpeechServer]:
    async with speech_server() as served:
        yield served


@pytest_asyncio.fixture
async def talk(server: SpeechServer) -> AsyncIterator[_Talk]:
    talking = _Talk(server)
    yield talking
    await talking.listener.finish()


async def test_audio_goes_out_and_text_comes_back(talk: _Talk, server: SpeechServer) -> None:
    talk.say(2.0)
    await talk.has_finals(2)
    options = server.streams[0].options
    assert talk.finals() == [_text(0, 9), _text(10, 19)]
    assert options | {"uid": "first", "language": None, "task": "transcribe", "audio_format": "float32"} == options
    assert server.streams[0].authorization == "Bearer token"
    assert {entry.session_uid for entry in talk.entries} == {"first"}
    assert {(segment.speaker, segment.language) for segment in talk.segments()} == {("Alice", "en")}
    assert {entry.session_start for entry in talk.entries} == {talk.entries[0].session_start}


async def test_the_end_brings_the_last_text(talk: _Talk, server: SpeechServer) -> None:
    talk.say(1.7)
    await talk.listener.finish()
    assert talk.finals() == [_text(0, 9), _text(10, 16)]
    assert server.streams[0].ended
    assert talk.listener.tape.start == talk.listener.tape.end


async def test_a_stock_server_keeps_its_last_text_and_the_bot_makes_it_final() -> None:
    async with speech_server(stock=True) as server:
        talk = _Talk(server)
        talk.say(1.7)
        await talk.listener.finish()
    assert server.finals() == [_text(0, 9)]
    assert talk.finals() == [_text(0, 9), _text(10, 16)]


async def test_finishing_twice_is_finishing_once(talk: _Talk, server: SpeechServer) -> None:
    talk.say(1.0)
    await asyncio.gather(talk.listener.finish(), talk.listener.finish())
    await talk.listener.finish()
    assert talk.finals() == [_text(0, 9)]
    assert len(server.streams) == 1


async def test_a_full_server_is_asked_again(server: SpeechServer) -> None:
    server.full = 3
    talk = _Talk(server)
    talk.say(1.0)
    await talk.has_finals(1)
    await talk.listener.finish()
    assert talk.finals() == [_text(0, 9)]
    assert talk.entries[-1].session_uid != "first"


async def test_a_broken_connection_loses_no_audio(talk: _Talk, server: SpeechServer) -> None:
    server.break_after = 25 * _FRAME
    talk.say(2.5)
    await eventually(lambda: len(server.streams) == 2, timeout_s=_PATIENCE_S)
    talk.say(1.5)
    await talk.has_finals(4)
    first, second = server.streams
    assert talk.finals() == [_text(0, 9), _text(10, 19), _text(20, 29), _text(30, 39)]
    assert second.pcm[0] == first.pcm[20 * _FRAME]
    assert first.uid == "first"
    assert second.uid != "first"


async def test_later_sessions_count_from_their_own_beginning(talk: _Talk, server: SpeechServer) -> None:
    server.break_after = 25 * _FRAME
    talk.say(3.0)
    await talk.has_finals(3)
    starts = {entry.session_uid: entry.session_start for entry in talk.entries}
    first, second = starts.values()
    assert (second - first).total_seconds() == pytest.approx(2.0, abs=0.01)
    assert talk.segments()[-1].start_s == pytest.approx(0.0, abs=0.01)


async def test_a_server_that_ends_a_session_in_order_gets_nothing_twice(talk: _Talk, server: SpeechServer) -> None:
    server.disconnect_after = 16 * _FRAME
    talk.say(1.6)
    await eventually(lambda: len(server.streams) == 2, timeout_s=_PATIENCE_S)
    talk.say(1.0)
    await talk.has_finals(3)
    assert talk.finals() == [_text(0, 9), _text(10, 15), _text(16, 25)]


async def test_a_server_that_comes_late_hears_everything() -> None:
    async with speech_server() as early:
        url = early.url
    gone = SpeechServer(url=url)
    talk = _Talk(gone)
    talk.say(1.0)
    await asyncio.sleep(0.1)
    assert talk.entries == []
    async with speech_server() as server:
        talk.speech = replace(talk.speech, url=server.url)
        await talk.listener.configure(talk.speech)
        await talk.has_finals(1)
        await talk.listener.finish()
    assert talk.finals() == [_text(0, 9)]


async def test_without_a_server_the_end_is_bounded() -> None:
    async with speech_server() as early:
        url = early.url
    talk = _Talk(SpeechServer(url=url))
    talk.say(1.0)
    async with asyncio.timeout(_PATIENCE_S):
        await talk.listener.finish()
    assert talk.entries == []


async def test_a_server_that_never_ends_does_not_hold_up_the_end() -> None:
    async with speech_server(deaf=True) as server:
        talk = _Talk(server, replace(_QUICK, finish_s=0.3))
        talk.say(1.0)
        async with asyncio.timeout(_PATIENCE_S):
            await talk.listener.finish()
        assert server.streams[0].ended


async def test_the_wrong_token_is_no_way_in_and_no_end() -> None:
    async with speech_server(token="other") as server:
        talk = _Talk(server)
        talk.say(1.0)
        await eventually(lambda: server.refused >= 2, timeout_s=_PATIENCE_S)
        server.token = "token"
        await talk.has_finals(1)
        await talk.listener.finish()


async def test_ushers_server_is_reconfigured_within_the_session(talk: _Talk, server: SpeechServer) -> None:
    talk.say(1.0)
    await talk.has_finals(1)
    await talk.listener.configure(replace(talk.speech, language="de", task="translate"))
    assert server.streams[0].configured == [{"type": "configure", "language": "de", "task": "translate"}]
    talk.say(1.0)
    await talk.has_finals(2)
    assert len(server.streams) == 1


async def test_a_stock_server_is_reconfigured_by_a_new_session() -> None:
    async with speech_server(stock=True) as server:
        talk = _Talk(server)
        talk.say(1.0)
        await talk.has_finals(1)
        await talk.listener.configure(replace(talk.speech, language="de"))
        talk.say(1.0)
        await talk.has_finals(2)
        await talk.listener.finish()
    first, second = server.streams
    assert (first.options["language"], second.options["language"]) == (None, "de")
    assert first.configured == []
    assert talk.finals() == [_text(0, 9), _text(10, 19)]


async def test_settings_that_are_not_confirmed_are_refused() -> None:
    async with speech_server(deaf=True) as server:
        talk = _Talk(server, replace(_QUICK, send_s=0.3, finish_s=0.3))
        talk.say(0.1)
        await eventually(lambda: bool(server.streams and server.streams[0].pcm), timeout_s=_PATIENCE_S)
        with pytest.raises(TimeoutError):
            await talk.listener.configure(replace(talk.speech, language="de"))
        await talk.listener.finish()


async def test_who_waits_for_settings_is_freed_when_the_session_breaks() -> None:
    async with speech_server(deaf=True) as server:
        talk = _Talk(server)
        talk.say(0.1)
        await eventually(lambda: bool(server.streams and server.streams[0].pcm), timeout_s=_PATIENCE_S)
        server.break_after = 1
        waiting = asyncio.create_task(talk.listener.configure(replace(talk.speech, language="de")))
        await eventually(lambda: bool(server.streams[0].configured), timeout_s=_PATIENCE_S)
        server.deaf = False
        talk.say(0.1)
        await waiting
        await talk.listener.finish()
    # What was said before is heard as it was meant.
    assert server.streams[-1].options["language"] is None
    assert [settings["language"] for settings in server.streams[-1].configured] == ["de"]


@pytest.mark.parametrize(
    "nonsense",
    [
        "no json",
        "{}",
        '{"uid": "UID", "segments": [{"start": "soon", "end": "2", "text": "x"}]}',
        '{"uid": "UID", "segments": [{"start": "0", "end": "1e300", "text": "x"}]}',
    ],
)
async def test_a_server_that_talks_nonsense_costs_a_session_and_nothing_else(
    talk: _Talk, server: SpeechServer, nonsense: str
) -> None:
    server.nonsense = nonsense
    talk.say(2.0)
    await talk.has_finals(2)
    assert talk.finals()[-2:] == [_text(0, 9), _text(10, 19)]
    assert len(server.streams) == 2
