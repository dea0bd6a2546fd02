"""The stock WhisperLive and Usher with each other: its clients and our server, our bot and its server."""

import asyncio
import re
import wave
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.support.speech_clips import RATE_HZ, Pcm, clip, silence, transcripts
from tests.support.stock_server import MISSING, find_stock_python, play, stock_server
from tests.support.transcription_client import open_ready_client
from tests.support.wer import word_error_rate, words

from usher.bot.audio.clock import SampleClock, SteadyClock
from usher.bot.audio.frames import Frame
from usher.bot.audio.listener import Listener
from usher.bot.audio.speech import Speech, SpeechPatience
from usher.protocol.segments import SegmentEntry, SpokenSegment
from usher.protocol.whisper import Task
from usher.transcription.config import ServerConfig
from usher.transcription.engine import Engine, Job, Result
from usher.transcription.server import serve
from usher.transcription.service import make_engine

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(find_stock_python() is None, reason=MISSING)]

SPOKEN = transcripts()
PLAY_S = 180.0
DRAIN_S = 300.0
MOST_WRONG = 0.15
_FRAME = 1600


class NotedEngine:
    """The real engine, with a note of what it was asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.load = engine.load
        self.jobs: list[Job] = []

    @property
    def backend(self) -> str:
        return self._engine.backend

    @property
    def languages(self) -> frozenset[str]:
        return self._engine.languages

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        self.jobs += jobs
        return self._engine.transcribe(jobs)


@pytest.fixture(scope="module")
def engine(speech_model: Path) -> NotedEngine:
    loaded = make_engine(ServerConfig(model=str(speech_model)))
    loaded.load()
    return NotedEngine(loaded)


@pytest_asyncio.fixture
async def port(engine: NotedEngine) -> AsyncIterator[int]:
    engine.jobs.clear()
    async with serve(ServerConfig(port=0, max_streams=1), engine) as server:
        yield server.port


def recorded(pcm: Pcm, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((pcm * 32767).astype("<i2").tobytes())
    return path


def recording(*names: str, gap_s: float = 1.0) -> Pcm:
    return np.concatenate([part for name in names for part in (clip(name), silence(gap_s))])


def spoken(*names: str) -> str:
    return " ".join(SPOKEN[name] for name in names)


def without_times(subtitles: str) -> str:
    return " ".join(line for line in subtitles.splitlines() if not re.fullmatch(r"\d+|.*-->.*|", line))


async def test_the_stock_client_plays_a_file_and_writes_subtitles(port: int, tmp_path: Path) -> None:
    names = ("lv_0930.wav", "jfk.wav")
    heard = await play("file", port, recorded(recording(*names), tmp_path / "talk.wav"), timeout_s=PLAY_S)
    assert heard["language"] == "en", "nobody said which it is, so it was detected"
    text = " ".join(segment["text"] for segment in heard["transcript"])
    assert word_error_rate(spoken(*names), text) <= MOST_WRONG
    assert heard["returned"].split() == text.split()
    assert word_error_rate(spoken(*names), without_times(heard["subtitles"])) <= MOST_WRONG
    times = [(float(one["start"]), float(one["end"])) for one in heard["transcript"]]
    assert all(start < end for start, end in times)
    assert all(one[1] <= other[0] for one, other in pairwise(times))


async def test_the_stock_client_hears_the_last_words_though_it_ends_at_once(port: int, tmp_path: Path) -> None:
    path = recorded(clip("lv_0870.wav"), tmp_path / "talk.wav")
    heard = await play("stream", port, path, timeout_s=PLAY_S, lang="en")
    assert heard["closed"]
    assert heard["partial"], "something was shown before the end"
    assert word_error_rate(spoken("lv_0870.wav"), " ".join(heard["committed"])) <= MOST_WRONG
    assert words(heard["committed"][-1])[-1] == "them"


async def test_what_the_stock_client_asks_for_reaches_the_model(port: int, engine: NotedEngine, tmp_path: Path) -> None:
    asked = {
        "translate": True,
        "lang": "en",
        "hotwords": "Dashwood",
        "initial_prompt": "A reading from Sense and Sensibility.",
        "vad_parameters": {"threshold": 0.4, "min_silence_duration_ms": 300},
        "clip_audio": True,
        "no_speech_thresh": 0.6,
        "send_last_n_segments": 5,
        "same_output_threshold": 4,
    }
    path = recorded(clip("lv_0880.wav"), tmp_path / "talk.wav")
    heard = await play("file", port, path, timeout_s=PLAY_S, **asked)
    text = " ".join(segment["text"] for segment in heard["transcript"])
    assert word_error_rate(spoken("lv_0880.wav"), text) <= 0.4, "English is left as it is"
    assert {(job.task, job.language, job.hotwords) for job in engine.jobs} == {(Task.TRANSLATE, "en", "Dashwood")}
    assert all(job.prompt and job.prompt.startswith("A reading") for job in engine.jobs)


async def test_the_stock_client_understands_that_it_has_to_wait(port: int, tmp_path: Path) -> None:
    path = recorded(clip("lv_0880.wav"), tmp_path / "talk.wav")
    async with open_ready_client(port):
        heard = await play("file", port, path, timeout_s=PLAY_S, lang="en")
    assert "Server is full" in heard["output"]
    assert heard["transcript"] == []


async def test_the_stock_client_is_told_when_its_time_is_over(engine: NotedEngine, tmp_path: Path) -> None:
    config = ServerConfig(port=0, max_stream_s=3.0)
    path = recorded(recording(*SPOKEN), tmp_path / "talk.wav")
    async with serve(config, engine) as server:
        heard = await play("stream", server.port, path, timeout_s=PLAY_S, lang="en")
    assert "Server disconnected due to overtime" in heard["output"]
    assert heard["committed"], "what was heard until then was told before"


class Meeting:
    """A bot's listener, and somebody who talks in real time."""

    def __init__(self, url: str) -> None:
        # On a busy machine the server is silent for long before it says anything.
        patience = SpeechPatience(quiet_s=60.0, stall_s=250.0)
        speech = Speech(url, SecretStr("token"), "en", "transcribe", patience)
        self._clock = SampleClock(SteadyClock())
        self._position = 0
        self.entries: list[SegmentEntry] = []
        self.listener = Listener(7, speech, self._clock, self.entries.append, lambda: "Ann", first_uid="first")

    async def say(self, pcm: Pcm) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time() - self._position / RATE_HZ
        for first in range(0, len(pcm), _FRAME):
            piece = pcm[first : first + _FRAME]
            self._clock.note(self._position, len(piece))
            self.listener.tape.add(Frame(self._position, piece.astype("<f4").tobytes()))
            self.listener.wake()
            self._position += len(piece)
            await asyncio.sleep(began + self._position / RATE_HZ - loop.time())

    async def end(self) -> None:
        async with asyncio.timeout(DRAIN_S):
            await self.listener.drain()
        assert self.listener.unheard == 0

    def finals(self) -> list[SpokenSegment]:
        """The newest revision of each segment, by when it was said."""
        newest: dict[str, tuple[float, SpokenSegment]] = {}
        for entry in self.entries:
            for segment in entry.segments:
                newest[segment.segment_id] = (entry.session_start.timestamp() + segment.start_s, segment)
        return [segment for _, segment in sorted(newest.values(), key=lambda one: one[0])]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.finals())


async def test_our_bot_hears_every_word_from_the_stock_server(speech_model: Path, tmp_path: Path) -> None:
    names = ("lv_0930.wav", "jfk.wav", "lv_0920.wav")
    async with stock_server(speech_model, log=tmp_path / "server.log") as server:
        meeting = Meeting(server.url)
        await meeting.say(recording(*names))
        await meeting.end()
    assert word_error_rate(spoken(*names), meeting.text) <= MOST_WRONG
    assert words(meeting.text)[-2:] == ["he", "was"]
    assert all(segment.completed for segment in meeting.finals())
    assert {segment.speaker for segment in meeting.finals()} == {"Ann"}
    assert {entry.session_uid for entry in meeting.entries} == {"first"}


async def test_our_bot_comes_back_when_the_stock_server_ends_its_connection(speech_model: Path, tmp_path: Path) -> None:
    names = ("lv_0930.wav", "lv_0870.wav", "lv_0920.wav")
    async with stock_server(speech_model, "--connection-s", "8", log=tmp_path / "server.log") as server:
        meeting = Meeting(server.url)
        await meeting.say(recording(*names))
        await meeting.end()
    assert "disconnected due to overtime" in (tmp_path / "server.log").read_text()
    assert word_error_rate(spoken(*names), meeting.text) <= MOST_WRONG
    assert words(meeting.text)[-2:] == ["he", "was"]
