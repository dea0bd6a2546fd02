"""A stream that a service elsewhere transcribes: the whole of ours, and a real model behind OpenAI's form."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.openai_server import Fault, OpenAiServer, openai_server
from tests.support.speech_clips import clip, silence, transcripts
from tests.support.transcription_client import open_ready_client
from tests.support.wer import word_error_rate

from usher.cli.speech_settings import server_config
from usher.settings import TranscriptionSettings
from usher.transcription.server import Server
from usher.transcription.service import run

pytestmark = pytest.mark.timeout(300)

SPOKEN = transcripts()

_START_S = 60.0


@pytest.fixture(scope="module")
def remote(speech_model: Path) -> Iterator[OpenAiServer]:
    with openai_server(speech_model) as service:
        yield service


@asynccontextmanager
async def serving(remote: OpenAiServer) -> AsyncIterator[Server]:
    wanted = TranscriptionSettings(engine="openai", remote_url=remote.url, remote_timeout_s=60.0, port=0)
    ready: asyncio.Queue[Server] = asyncio.Queue()
    stop = asyncio.Event()
    task = asyncio.create_task(run(server_config(wanted), stop=stop, started=ready.put_nowait))
    try:
        async with asyncio.timeout(_START_S):
            server = await ready.get()
        yield server
    finally:
        stop.set()
        await task


async def test_speech_is_sent_once_and_its_words_come_back(remote: OpenAiServer) -> None:
    pcm = np.concatenate([part for name in ("lv_0870.wav", "lv_0890.wav") for part in (clip(name), silence(1.0))])
    async with serving(remote) as server, open_ready_client(server.port, word_timestamps=True) as client:
        asked = len(remote.calls)
        await client.say(pcm)
        await client.end()
        assert word_error_rate(f"{SPOKEN['lv_0870.wav']} {SPOKEN['lv_0890.wav']}", client.text) <= 0.15
        assert all(segment.completed for segment in client.heard)
        assert len(remote.calls) - asked == len(client.completed)
        for segment in client.completed:
            assert "".join(word.word for word in segment.words or ()) == segment.text


async def test_a_service_that_fails_for_a_moment_costs_no_word(remote: OpenAiServer) -> None:
    async with serving(remote) as server, open_ready_client(server.port) as client:
        remote.faults.extend([Fault(503), Fault(429, headers={"Retry-After": "0.2"}), Fault(cut=True)])
        await client.say(np.concatenate([clip("lv_0930.wav"), silence(1.0)]))
        await client.end()
        assert word_error_rate(SPOKEN["lv_0930.wav"], client.text) <= 0.15
        assert not any("could not be transcribed" in problem for problem in client.problems)
        assert not remote.faults
