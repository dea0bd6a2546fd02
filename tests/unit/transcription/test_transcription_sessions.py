"""The server over real sockets, with the scripted engine and a detector that takes what is loud for speech."""

import asyncio
import contextlib
import threading
from dataclasses import replace

import numpy as np
import pytest
from tests.support.speech_service import CONFIG, fetch_health, gap, loudness, only_right, running, tone
from tests.support.transcription_client import PATIENCE_S, open_client, open_ready_client
from websockets.exceptions import InvalidStatus

from usher.protocol.whisper import Configured, Disconnect, LanguageDetected, Segments, ServerReady, Wait
from usher.transcription.config import EndpointRules, ServerConfig
from usher.transcription.engine import EngineError, Job, Quality
from usher.transcription.engines.scripted import ScriptedEngine


async def test_a_stream_from_options_to_close() -> None:
    async with running() as server, open_ready_client(server.port) as client:
        assert client.all(ServerReady)[0].backend == "scripted"
        await client.say(np.concatenate([gap(), tone(2.0, 0.3), gap(), tone(1.0, 0.7), gap()]))
        await client.end()
        first, second = client.completed
        assert (first.text, second.text) == (" level 0.3", " level 0.7")
        times = [float(time) for segment in (first, second) for time in (segment.start, segment.end)]
        assert times == pytest.approx([1.0, 3.0, 4.0, 5.0], abs=0.04)


async def test_ids_are_stable_and_revisions_grow() -> None:
    async with running() as server, open_ready_client(server.port) as client:
        for level in (0.2, 0.4):
            for _ in range(3):
                async with client.more(Segments):
                    await client.say(tone(1.0, level))
            await client.say(gap())
        await client.end()
        for number, text in ((0, " level 0.2"), (1, " level 0.4")):
            mine = [segment for segment in client.heard if segment.id == number]
            revisions = [segment.revision or 0 for segment in mine]
            assert {segment.text for segment in mine} == {text}
            assert revisions == sorted(revisions)
            assert revisions[-1] >= 2
            assert [segment.completed for segment in mine] == sorted(segment.completed for segment in mine)
        assert all(sum(not s.completed for s in message.segments) <= 1 for message in client.all(Segments))


async def test_end_of_audio_flushes_speech_that_has_not_ended() -> None:
    async with running() as server, open_ready_client(server.port) as client:
        await client.say(tone(0.5, 0.9))
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.9"]


async def test_end_of_audio_waits_for_a_slow_engine() -> None:
    async with running(ScriptedEngine(say=loudness, delay_s=0.1)) as server, open_ready_client(server.port) as client:
        await client.say(np.concatenate([part for _ in range(8) for part in (tone(0.5), gap())]))
        await client.end()
        assert [segment.id for segment in client.completed] == list(range(8))


async def test_reconfigure_changes_the_speech_after_it_and_loses_none() -> None:
    engine = ScriptedEngine(say=lambda job: f"{job.language} {job.task.value} {np.max(job.audio):.1f}")
    async with running(engine) as server, open_ready_client(server.port) as client:
        await client.say(tone(1.5, 0.3))
        await client.configure(language="de", task="translate")
        await client.say(tone(1.5, 0.6))
        await client.configure(task="transcribe")
        await client.say(np.concatenate([gap(), tone(1.0, 0.9)]))
        await client.end()
        assert [segment.text for segment in client.completed] == [
            " en transcribe 0.3",
            " de translate 0.6",
            " de transcribe 0.9",
        ]
        assert [(answer.language, answer.task.value) for answer in client.all(Configured)] == [
            ("de", "translate"),
            ("de", "transcribe"),
        ]
        finals = {len(job.audio): job for job in engine.heard if job.quality is Quality.FINAL}
        first, second = (segment for segment in client.completed[:2])
        assert float(second.start) - float(first.end) <= 0.04
        assert sum(finals) >= 4.0 * 16_000 - 3 * 512


async def test_a_language_is_detected_once_and_told() -> None:
    engine = ScriptedEngine(say=loudness, detects="fr")
    async with running(engine) as server, open_ready_client(server.port, language=None) as client:
        for _ in range(3):
            async with client.more(Segments):
                await client.say(np.concatenate([tone(1.0), gap()]))
        await client.end()
        (found,) = client.all(LanguageDetected)
        assert (found.language, found.language_prob) == ("fr", 0.9)
        asked = [job.language for job in engine.heard]
        assert asked[0] is None
        assert asked[-1] == "fr"
        assert client.messages.index(found) < client.messages.index(client.all(Segments)[-1])


async def test_a_client_that_asks_gets_the_words_of_final_segments() -> None:
    engine = ScriptedEngine(say=lambda _: "one two three")
    async with running(engine) as server, open_ready_client(server.port, word_timestamps=True) as client:
        async with client.more(Segments):
            await client.say(np.concatenate([gap(2.0), tone(1.5)]))
        await client.say(gap())
        await client.end()
        assert [segment.words for segment in client.heard if not segment.completed] == [None] * (len(client.heard) - 1)
        (segment,) = client.completed
        assert segment.words is not None
        assert [word.word for word in segment.words] == [" one", " two", " three"]
        assert float(segment.start) <= float(segment.words[0].start) < 2.1
        assert 3.3 < float(segment.words[-1].end) <= float(segment.end)


async def test_without_partial_texts_nothing_is_decoded_twice() -> None:
    engine = ScriptedEngine(say=loudness)
    config = replace(CONFIG, endpoint=EndpointRules(partial_every_s=0.0))
    async with running(engine, config) as server, open_ready_client(server.port) as client:
        await client.say(np.concatenate([tone(4.0, 0.3), gap(0.4), tone(2.0, 0.3), gap(), tone(1.0, 0.7), gap()]))
        await client.end()
        assert [segment.completed for segment in client.heard].count(False) == 0
        assert [segment.text for segment in client.completed] == [" level 0.3", " level 0.7"]
        assert [job.quality for job in engine.heard] == [Quality.FINAL] * 2


async def test_a_given_language_is_used_and_not_told() -> None:
    engine = ScriptedEngine(detects="fr")
    async with running(engine) as server, open_ready_client(server.port, language="de", hotwords="Usher") as client:
        await client.say(np.concatenate([tone(1.0), gap()]))
        await client.end()
        assert {(job.language, job.hotwords) for job in engine.heard} == {("de", "Usher")}
        assert client.all(LanguageDetected) == []


@pytest.mark.parametrize(
    ("audio_format", "dtype", "scale", "zero"), [("int16", "<i2", 32767, 0), ("uint8", "u1", 127, 128)]
)
async def test_other_sample_formats(audio_format: str, dtype: str, scale: int, zero: int) -> None:
    async with running() as server, open_ready_client(server.port, audio_format=audio_format) as client:
        pcm = np.concatenate([tone(1.0, 0.4), gap()])
        await client.socket.send((pcm * scale + zero).astype(dtype).tobytes())
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.4"]


async def test_one_stream_too_many_is_told_to_wait() -> None:
    config = ServerConfig(port=0, max_streams=1, retry_after_s=90.0)
    async with running(config=config) as server:
        async with open_ready_client(server.port) as first, open_client(server.port, uid="late") as second:
            assert await second.closed() == 1000
            assert second.messages == [Wait(uid="late", message=1.5)]
            await first.end()
        async with open_ready_client(server.port) as third:
            await third.end()


async def test_streams_do_not_mix() -> None:
    async with running(ScriptedEngine(say=loudness, delay_s=0.01)) as server:

        async def one(level: float) -> None:
            async with open_ready_client(server.port, uid=f"u{level}") as client:
                for _ in range(4):
                    await client.say(np.concatenate([tone(0.6, level), gap()]))
                await client.end()
                assert [segment.text for segment in client.completed] == [f" level {level:.1f}"] * 4
                assert {message.uid for message in client.messages} == {f"u{level}"}

        await asyncio.gather(*(one(level) for level in (0.2, 0.4, 0.6, 0.8)))


@pytest.mark.parametrize(("token", "path"), [(None, "/"), ("wrong", "/"), (None, "/?token=wrong"), (None, "/?token=")])
async def test_without_a_valid_token_the_answer_is_401(token: str | None, path: str) -> None:
    async with running(authenticate=only_right) as server:
        with pytest.raises(InvalidStatus) as caught:
            async with open_client(server.port, token=token, path=path):
                pass
        assert caught.value.response.status_code == 401


@pytest.mark.parametrize(("token", "path"), [("right", "/"), (None, "/?token=right")])
async def test_a_valid_token_is_taken_from_header_or_query(token: str | None, path: str) -> None:
    async with (
        running(authenticate=only_right) as server,
        open_client(server.port, token=token, path=path) as client,
    ):
        await client.until(lambda: bool(client.all(ServerReady)))
        await client.end()


async def test_health_needs_no_token_and_counts_streams() -> None:
    async with running(authenticate=only_right) as server:
        async with open_ready_client(server.port, token="right"):
            health = await asyncio.to_thread(fetch_health, server.port)
        assert (health["status"], health["streams"], health["max_streams"]) == ("ok", 1, 256)
        assert (health["waiting_finals"], health["queue_lag_s"]) == (0, 0.0)


async def test_shutdown_finalises_and_tells_open_streams() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with running(ScriptedEngine(say=loudness, delay_s=0.1)) as server:
            client = await stack.enter_async_context(open_ready_client(server.port))
            await client.say(tone(2.0, 0.3))
            await client.until(lambda: bool(client.heard))
        assert await client.closed() == 1001
        assert [segment.text for segment in client.completed] == [" level 0.3"]
        assert client.messages[-1] == Disconnect(uid="test")


async def test_the_time_limit_finalises_and_disconnects() -> None:
    config = ServerConfig(port=0, max_stream_s=0.5)
    async with running(config=config) as server, open_ready_client(server.port) as client:
        await client.say(tone(1.0, 0.3))
        assert await client.closed() == 1000
        assert [segment.text for segment in client.completed] == [" level 0.3"]
        assert client.messages[-1] == Disconnect(uid="test")


async def test_an_utterance_the_engine_fails_on_is_reported_and_the_stream_goes_on() -> None:
    def say(job: Job) -> str:
        if np.max(job.audio) == np.float32(0.3) and job.quality is Quality.FINAL:
            raise EngineError("unlucky")
        return loudness(job)

    async with running(ScriptedEngine(say=say)) as server, open_ready_client(server.port) as client:
        await client.say(np.concatenate([tone(0.5, 0.3), gap(), tone(0.5, 0.7), gap()]))
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.7"]
        (problem,) = client.problems
        assert problem.startswith("WARNING: speech from 0.000 s to 0.5")


async def test_an_engine_that_hangs_does_not_keep_the_stream_for_ever() -> None:
    release = threading.Event()

    def say(_job: Job) -> str:
        release.wait(PATIENCE_S)
        return "late"

    config = ServerConfig(port=0, flush_timeout_s=0.3)
    try:
        async with running(ScriptedEngine(say=say), config) as server, open_ready_client(server.port) as client:
            await client.say(np.concatenate([tone(0.5), gap()]))
            await client.socket.send(b"END_OF_AUDIO")
            assert await client.closed() == 1011
            assert client.problems == ["ERROR: the last speech took too long to transcribe"]
    finally:
        release.set()


async def test_a_full_backlog_holds_the_client_back_and_loses_nothing() -> None:
    go = threading.Event()

    def say(job: Job) -> str:
        go.wait(PATIENCE_S)
        return loudness(job)

    config = ServerConfig(port=0, max_backlog_s=2.0)
    async with running(ScriptedEngine(say=say), config) as server, open_ready_client(server.port) as client:
        speech = np.concatenate([tone(0.5), gap()])
        talking = asyncio.create_task(client.say(np.concatenate([speech] * 100)))
        async with asyncio.timeout(PATIENCE_S):
            while server.health()["waiting_finals"] != 3:  # noqa: ASYNC110 -- the server has no event for this
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert server.health()["waiting_finals"] == 3
        go.set()
        await talking
        await client.end()
        assert [segment.id for segment in client.completed] == list(range(100))


async def test_a_client_that_vanishes_frees_its_place() -> None:
    config = ServerConfig(port=0, max_streams=1)
    async with running(config=config) as server:
        async with open_ready_client(server.port) as client:
            await client.say(tone(1.0))
            client.socket.transport.abort()
            await client.closed()
        async with asyncio.timeout(PATIENCE_S):
            while server.health()["streams"]:  # noqa: ASYNC110 -- the server has no event for this
                await asyncio.sleep(0.01)
        async with open_ready_client(server.port) as again:
            await again.end()
