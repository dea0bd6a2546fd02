"""What a stream says, and what it does not say: the real model behind the real server."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from tests.support.speech_clips import RATE_HZ, Pcm, clip, silence, transcripts
from tests.support.transcription_client import open_ready_client
from tests.support.wer import word_error_rate

from usher.protocol.whisper import LanguageDetected, Segments
from usher.transcription.config import ServerConfig
from usher.transcription.engine import Engine, Job, Result
from usher.transcription.server import Server, serve
from usher.transcription.service import make_engine
from usher.transcription.voice import LoudnessDetector

pytestmark = pytest.mark.timeout(300)

SPOKEN = transcripts()


class Listening:
    """An engine that keeps what it made of each job."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.backend = engine.backend
        self.languages = engine.languages
        self.heard: list[tuple[Job, Result]] = []

    def load(self) -> None:
        self._engine.load()

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        results = self._engine.transcribe(jobs)
        self.heard += zip(jobs, results, strict=True)
        return results

    @property
    def texts(self) -> list[str]:
        return [result.text for _, result in self.heard]


@pytest.fixture(scope="module")
def model(speech_model: Path) -> Engine:
    engine = make_engine(ServerConfig(model=str(speech_model)))
    engine.load()
    return engine


@pytest.fixture
def engine(model: Engine) -> Listening:
    return Listening(model)


@pytest_asyncio.fixture
async def server(engine: Listening) -> AsyncIterator[Server]:
    async with serve(ServerConfig(port=0), engine) as running:
        yield running


@pytest_asyncio.fixture
async def credulous_server(engine: Listening) -> AsyncIterator[Server]:
    """A server that takes all that is loud for speech."""
    async with serve(ServerConfig(port=0), engine, detect=LoudnessDetector) as running:
        yield running


def recording(*names: str) -> Pcm:
    return np.concatenate([silence(0.5), *(part for name in names for part in (clip(name), silence(1.0)))])


async def test_words_of_final_segments_have_their_place_in_the_stream(server: Server) -> None:
    async with open_ready_client(server.port, word_timestamps=True) as client:
        async with client.more(Segments):
            await client.say(recording("lv_0920.wav"))
        await client.say(recording("lv_0890.wav"))
        await client.end()
        assert all(segment.words is None for segment in client.heard if not segment.completed)
        assert word_error_rate(f"{SPOKEN['lv_0920.wav']} {SPOKEN['lv_0890.wav']}", client.text) <= 0.15
        for segment in client.completed:
            assert segment.words is not None
            assert "".join(word.word for word in segment.words) == segment.text
            times = [float(time) for word in segment.words for time in (word.start, word.end)]
            assert times == sorted(times)
            assert float(segment.start) <= times[0] < times[-1] <= float(segment.end)
            assert all(float(word.end) > float(word.start) for word in segment.words)
            assert all(0.0 < word.probability <= 1.0 for word in segment.words)


async def test_words_are_heard_where_the_recording_has_them(server: Server) -> None:
    """The president pauses for most of a second after "Americans", and for more than one after "ask not"."""
    async with open_ready_client(server.port, word_timestamps=True) as client:
        await client.say(np.concatenate([silence(3.0), clip("jfk.wav"), silence(1.0)]))
        await client.end()
        words = [word for segment in client.completed for word in segment.words or ()]
        places = {word.word.strip(" ,.!").lower(): (float(word.start), float(word.end)) for word in reversed(words)}
        assert places["fellow"] == pytest.approx((4.2, 4.6), abs=0.3)
        assert places["not"][1] == pytest.approx(7.3, abs=0.4)
        assert places["what"][1] == pytest.approx(8.5, abs=0.4)
        assert all(float(before.end) <= float(after.start) for before, after in pairwise(words))


async def test_who_did_not_ask_for_words_gets_the_messages_of_before(server: Server) -> None:
    for options in ({}, {"word_timestamps": False}, {"word_timestamps": None}):
        async with open_ready_client(server.port, **options) as client:
            await client.say(recording("lv_0930.wav"))
            await client.end()
            (segment,) = client.completed
            assert list(json.loads(segment.model_dump_json(exclude_none=True))) == [
                "start",
                "end",
                "text",
                "completed",
                "id",
                "revision",
                "language",
            ]


@pytest.mark.parametrize("name", ["thank_you_slt.wav", "thank_you_rms.wav", "thanks_for_watching_rms.wav"])
@pytest.mark.parametrize("noise", [0.0, 0.01])
async def test_who_really_says_thank_you_is_heard(server: Server, name: str, noise: float) -> None:
    pcm = recording(f"synthetic/{name}")
    pcm += np.random.default_rng(5).normal(0, noise, len(pcm)).astype(np.float32)
    async with open_ready_client(server.port) as client:
        await client.say(pcm)
        await client.end()
        assert client.text.lower().strip(".!").startswith("thank you")


def coloured(duration_s: float, loudness: float, power: float, seed: int) -> Pcm:
    """Noise whose amplitude falls with a power of its frequency: 0 is white, 0.5 pink, 1 brown."""
    count = round(duration_s * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** power, count)
    return np.asarray(noise / np.std(noise) * loudness, np.float32)


def tones(duration_s: float, *frequencies_hz: float) -> Pcm:
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    waves = [np.sin(2 * np.pi * frequency_hz * time_s) for frequency_hz in frequencies_hz]
    return np.asarray(0.1 * np.mean(waves, axis=0), np.float32)


NOISES: dict[str, list[Pcm]] = {
    "white": [coloured(length_s, 0.1, 0.0, 1) for length_s in (0.6, 1.5)],
    "pink": [coloured(length_s, 0.1, 0.5, 2) for length_s in (0.6, 1.5)],
    "brown": [coloured(length_s, loudness, 1.0, 7) for length_s in (0.6, 1.5) for loudness in (0.02, 0.1)],
    "hum": [tones(length_s, 50.0, 150.0) for length_s in (0.6, 1.5)],
    "chord": [tones(length_s, 220.0, 275.0, 330.0, 440.0) for length_s in (0.6, 1.5)],
}


@pytest.mark.parametrize("kind", NOISES)
async def test_noise_that_gets_past_the_voice_detector_says_nothing(
    credulous_server: Server, engine: Listening, kind: str
) -> None:
    gap = np.zeros(RATE_HZ, np.float32)
    async with open_ready_client(credulous_server.port, language=None) as client:
        await client.say(np.concatenate([part for noise in NOISES[kind] for part in (noise, gap)]))
        await client.end()
        assert any(engine.texts), "the model made nothing up: there was nothing to withhold"
        assert client.text == ""
        assert client.all(LanguageDetected) == []


@pytest.mark.parametrize("kind", NOISES)
async def test_the_voice_detector_lets_no_noise_through(server: Server, engine: Listening, kind: str) -> None:
    async with open_ready_client(server.port) as client:
        await client.say(np.concatenate([part for noise in NOISES[kind] for part in (noise, silence(1.0))]))
        await client.end()
        assert client.all(Segments) == []
        assert engine.heard == []


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("synthetic/returns_awb.wav", "lv_0870.wav", "lv_0890.wav"), "en"),
        (("synthetic/bonjour_fr.wav", "synthetic/zuschauen_de.wav", "synthetic/vertrag_de.wav"), "de"),
        (("synthetic/zuschauen_de.wav", "synthetic/vertrag_de.wav"), "de"),
        (("synthetic/contrato_es.wav", "synthetic/contrato_es.wav"), "es"),
    ],
    ids=["afrikaans first", "japanese first", "german", "spanish"],
)
async def test_a_first_text_in_a_wrong_language_does_not_decide_for_the_stream(
    server: Server, engine: Listening, names: tuple[str, ...], found: str
) -> None:
    async with open_ready_client(server.port, language=None) as client:
        for name in names:
            known = len(client.completed)
            await client.say(recording(name))
            await client.until(lambda known=known: len(client.completed) > known)  # type: ignore[misc]  # bound now
        await client.end()
        assert [message.language for message in client.all(LanguageDetected)] == [found]
        assert engine.heard[0][0].language is None
        assert engine.heard[-1][0].language in {None, found}
