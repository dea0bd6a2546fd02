"""Recorded speech through a real socket and the real model."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from tests.support.speech_clips import Pcm, clip, silence, transcripts
from tests.support.transcription_client import open_client, open_ready_client
from tests.support.wer import word_error_rate

from usher.protocol.whisper import Configured, LanguageDetected, Segments, ServerReady, Task, Wait
from usher.transcription.config import ServerConfig
from usher.transcription.engine import Engine, Job, Quality
from usher.transcription.server import Server, serve
from usher.transcription.service import make_engine

pytestmark = pytest.mark.timeout(300)

SPOKEN = transcripts()


@pytest.fixture(scope="module")
def engine(speech_model: Path) -> Engine:
    engine = make_engine(ServerConfig(model=str(speech_model)))
    engine.load()
    return engine


@pytest_asyncio.fixture
async def server(engine: Engine) -> AsyncIterator[Server]:
    async with serve(ServerConfig(port=0, max_streams=4), engine) as running:
        yield running


def recording(*names: str, gap_s: float = 1.0) -> Pcm:
    return np.concatenate([part for name in names for part in (clip(name), silence(gap_s))])


def spoken(*names: str) -> str:
    return " ".join(SPOKEN[name] for name in names)


async def test_recorded_clips_are_understood(server: Server) -> None:
    async with open_ready_client(server.port, language=None) as client:
        await client.say(recording(*SPOKEN))
        await client.end()
        assert word_error_rate(spoken(*SPOKEN), client.text) <= 0.15
        (language,) = client.all(LanguageDetected)
        assert language.language == "en"
        assert language.language_prob > 0.5
        starts = [float(segment.start) for segment in client.completed]
        ends = [float(segment.end) for segment in client.completed]
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


async def test_two_streams_at_once_do_not_mix(server: Server) -> None:
    halves = (("lv_0870.wav", "lv_0920.wav"), ("jfk.wav", "libri_7902.wav"))

    async def one(uid: str, names: tuple[str, ...]) -> str:
        async with open_ready_client(server.port, uid=uid) as client:
            await client.say(recording(*names))
            await client.end()
            assert {message.uid for message in client.messages} == {uid}
            return client.text

    texts = await asyncio.gather(one("first", halves[0]), one("second", halves[1]))
    for text, names in zip(texts, halves, strict=True):
        assert word_error_rate(spoken(*names), text) <= 0.15


async def test_end_of_audio_flushes_the_last_utterance(server: Server) -> None:
    async with open_ready_client(server.port) as client:
        await client.say(clip("lv_0930.wav"))
        await client.end()
        assert word_error_rate(SPOKEN["lv_0930.wav"], client.text) <= 0.15


async def test_partial_texts_come_while_somebody_speaks(server: Server) -> None:
    async with open_ready_client(server.port) as client:
        pcm = clip("lv_0870.wav")
        for first in range(0, len(pcm), 32_000):
            async with client.more(Segments) if first < 4 * 16_000 else contextlib.nullcontext():
                await client.say(pcm[first : first + 32_000])
        await client.end()
        partial = [segment for segment in client.heard if not segment.completed]
        assert {segment.id for segment in partial} == {0}
        assert len({segment.revision for segment in partial}) >= 2
        assert client.completed[0].revision == max(segment.revision or 0 for segment in client.heard)


async def test_reconfigure_in_the_middle_of_a_stream(server: Server) -> None:
    async with open_ready_client(server.port, language=None) as client:
        await client.say(recording("lv_0870.wav", gap_s=0.1))
        await client.configure(language="en", task="translate")
        await client.say(recording("lv_0920.wav"))
        await client.end()
        assert client.all(Configured) == [Configured(uid="test", language="en", task=Task.TRANSLATE)]
        assert len(client.completed) == 2
        assert word_error_rate(spoken("lv_0870.wav", "lv_0920.wav"), client.text) <= 0.15


async def test_int16_frames_are_understood(server: Server) -> None:
    async with open_ready_client(server.port, audio_format="int16") as client:
        await client.socket.send((clip("lv_0920.wav") * 32767).astype("<i2").tobytes())
        await client.end()
        assert word_error_rate(SPOKEN["lv_0920.wav"], client.text) <= 0.15


async def test_silence_and_noise_say_nothing(server: Server) -> None:
    async with open_ready_client(server.port, language=None) as client:
        noise = np.random.default_rng(2).normal(0, 0.02, 10 * 16_000).astype(np.float32)
        await client.say(np.concatenate([silence(5.0), noise, silence(5.0)]))
        await client.end()
        assert client.all(Segments) == []
        assert client.all(LanguageDetected) == []


async def test_a_long_utterance_is_cut_and_loses_nothing(server: Server) -> None:
    names = ("lv_0870.wav", "lv_0920.wav", "lv_0890.wav", "lv_0870.wav", "lv_0920.wav")
    async with open_ready_client(server.port) as client:
        await client.say(np.concatenate([clip(name)[2_400:-2_400] for name in names]))
        await client.end()
        assert word_error_rate(spoken(*names), client.text) <= 0.15


async def test_the_fifth_stream_is_told_to_wait(server: Server) -> None:
    async with (
        open_ready_client(server.port),
        open_ready_client(server.port),
        open_ready_client(server.port),
        open_ready_client(server.port),
        open_client(server.port, uid="late") as late,
    ):
        assert await late.closed() == 1000
        assert [type(message) for message in late.messages] == [Wait]


async def test_the_backend_is_named_as_stock_clients_expect(server: Server) -> None:
    async with open_ready_client(server.port) as client:
        assert client.all(ServerReady)[0].backend == "faster_whisper"


def test_a_batch_gives_the_texts_of_its_jobs_one_by_one(engine: Engine) -> None:
    names = ("lv_0880.wav", "lv_0930.wav", "libri_7902.wav", "lv_0920.wav")
    jobs = [Job(clip(name), "en", Task.TRANSCRIBE, Quality.FINAL) for name in names]
    detecting = Job(clip("lv_0880.wav"), None, Task.TRANSCRIBE, Quality.DRAFT)
    prompted = Job(
        clip("lv_0880.wav"), "en", Task.TRANSCRIBE, Quality.FINAL, prompt="Jane Austen.", hotwords="ill-disposed"
    )
    together = engine.transcribe([*jobs, detecting, prompted])
    for name, result in zip(names, together, strict=False):
        assert word_error_rate(SPOKEN[name], result.text) <= 0.3
    assert together[4].language == "en"
    assert 0.5 < together[4].language_prob < 1.0
    assert word_error_rate(SPOKEN["lv_0880.wav"], together[5].text) <= 0.3
