"""Who is told to wait, what lag is told, and what operators see; over real sockets."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from tests.support.eventually import eventually
from tests.support.speech_service import fetch, fetch_health, gap, loudness, only_right, running, tone
from tests.support.transcription_client import OPTIONS, PATIENCE_S, Client, open_client, open_ready_client

from usher.protocol.credentials import BotIdentity
from usher.protocol.whisper import Problem, Segments, Wait
from usher.transcription.config import ServerConfig
from usher.transcription.engine import Job, Quality
from usher.transcription.engines.scripted import ScriptedEngine
from usher.transcription.server import Server


class Held:
    """An engine that speaks when it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.engine = ScriptedEngine(say=self._say)

    def _say(self, job: Job) -> str:
        self.go.wait(PATIENCE_S)
        return loudness(job)


@pytest_asyncio.fixture
async def held() -> AsyncIterator[Held]:
    held = Held()
    yield held
    held.go.set()


async def waits_to_come_in(port: int, **options: str) -> float:
    async with open_client(port, **options) as late:
        assert await late.closed() == 1000
        (wait,) = late.messages
        assert isinstance(wait, Wait)
        return wait.message


async def test_a_service_whose_finals_wait_lets_nobody_in_until_they_do_not(held: Held) -> None:
    config = ServerConfig(port=0, max_lag_s=0.2, workers=1, batch_size=1)
    async with running(held.engine, config) as server:
        async with open_ready_client(server.port, uid="one") as one, open_ready_client(server.port, uid="two") as two:
            for client in (one, two):
                await client.say(np.concatenate([tone(1.0), gap()]))
            await eventually(lambda: lag_s(server) > 0.3, timeout_s=PATIENCE_S)
            assert 1.0 / 60 <= await waits_to_come_in(server.port, uid="late") <= 10.0
            held.go.set()
            for client in (one, two):
                await client.end()
                assert [segment.text for segment in client.completed] == [" level 0.5"]
        async with open_ready_client(server.port, uid="later") as later:
            await later.end()
        page = await asyncio.to_thread(fetch, server.port, "/metrics")
        assert 'usher_speech_admissions_total{answer="lagging"} 1.0' in page
        assert 'usher_speech_admissions_total{answer="admitted"} 3.0' in page


def lag_s(server: Server) -> float:
    return float(str(server.health()["queue_lag_s"]))


async def test_streams_of_one_bot_are_bounded_and_others_come_in() -> None:
    config = ServerConfig(port=0, max_streams_per_bot=2)
    async with (
        running(config=config, authenticate=only_right) as server,
        open_ready_client(server.port, token="right"),
        open_ready_client(server.port, token="right"),
        open_client(server.port, token="right", uid="test.3") as third,
    ):
        assert await third.closed() == 1000
        assert third.messages == [Wait(uid="test.3", message=0.5)]


async def test_a_bot_that_comes_too_often_waits_and_its_neighbour_does_not() -> None:
    def authenticate(token: str | None) -> BotIdentity | None:
        return BotIdentity(1, token) if token else None

    config = ServerConfig(port=0, new_streams_per_s=0.25)
    async with running(config=config, authenticate=authenticate) as server:
        for _ in range(2):
            async with open_ready_client(server.port, token="hasty", uid="hasty") as client:
                await client.end()
        async with open_client(server.port, token="hasty", uid="hasty") as client:
            assert await client.closed() == 1000
            assert client.messages == [Wait(uid="hasty", message=1 / 60)]
        async with open_ready_client(server.port, token="patient", uid="patient") as client:
            await client.end()


async def test_a_hundred_speakers_of_one_meeting_come_in_at_once() -> None:
    async with running(authenticate=only_right) as server:

        async def lane(number: int) -> None:
            async with open_ready_client(server.port, token="right", uid=f"test.{number}") as client:
                await gate.wait()
                await client.end()

        gate = asyncio.Barrier(100)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(lane(number) for number in range(100)))


async def test_lag_is_told_while_it_grows_and_with_the_text_that_was_late(held: Held) -> None:
    config = ServerConfig(port=0, max_lag_s=0.5)
    async with running(held.engine, config) as server, open_ready_client(server.port) as client:
        await client.say(np.concatenate([tone(1.0, 0.3), gap()]))
        await client.until(lambda: bool(client.problems))
        assert client.problems[0].startswith("WARNING: the texts are ")
        health = await asyncio.to_thread(fetch_health, server.port)
        (worst_s,) = health["worst_lags_s"]
        assert worst_s == pytest.approx(health["queue_lag_s"], abs=0.01)
        assert worst_s >= 0.5
        assert health["backlog_s"] == pytest.approx(1.3, abs=0.3)
        held.go.set()
        await client.until(lambda: bool(client.completed))
        (told,) = [message.lag_s for message in client.all(Segments) if message.segments[-1].completed]
        assert told is not None
        assert told >= 0.5
        await client.end()
        assert len(client.problems) == 1


async def test_no_word_of_lag_where_there_is_none() -> None:
    async with running() as server, open_ready_client(server.port) as client:
        raw: list[str] = []
        async with client.more(Segments):
            await client.say(np.concatenate([tone(1.0), gap()]))
        await client.end()
        raw = [message.model_dump_json(exclude_none=True) for message in client.all(Segments)]
        assert all(set(json.loads(message)) == {"uid", "segments"} for message in raw)
        assert client.all(Problem) == []


async def test_the_last_words_cost_nothing_when_their_draft_is_there() -> None:
    engine = ScriptedEngine(say=loudness)
    async with running(engine) as server, open_ready_client(server.port) as client:
        async with client.more(Segments):
            await client.say(np.concatenate([tone(0.8), gap(0.4)]))
        assert not client.completed
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.5"]
        assert [job.quality for job in engine.heard] == [Quality.FINAL]


async def test_the_metrics_count_what_happened_and_name_nobody() -> None:
    config = ServerConfig(port=0, workers=2)
    async with running(config=config, authenticate=only_right) as server:
        async with open_ready_client(server.port, token="right", uid="test.secret-name") as client:
            await client.say(np.concatenate([tone(2.0, 0.3), gap(), tone(1.0, 0.7), gap()]))
            await client.end()
        page = await asyncio.to_thread(fetch, server.port, "/metrics")
        values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
        assert float(values["usher_speech_heard_seconds_total"]) == pytest.approx(5.0)
        assert float(values['usher_speech_decoded_seconds_total{quality="final"}']) >= 3.0
        assert float(values["usher_speech_final_delay_seconds_count"]) == 2.0
        assert float(values["usher_speech_streams"]) == 0.0
        assert float(values["usher_speech_busy_seconds_total"]) > 0.0
        assert 0.0 <= float(values["usher_speech_busy"]) <= 1.0
        assert float(values["usher_speech_batch_size_count"]) >= 2.0
        assert "process_cpu_seconds_total" in values
        assert "secret-name" not in page
        assert "level 0" not in page


async def test_two_servers_in_a_process_count_apart() -> None:
    async with running() as one, running() as two:
        async with open_ready_client(one.port) as client:
            await client.end()
        pages = [await asyncio.to_thread(fetch, server.port, "/metrics") for server in (one, two)]
        assert ['answer="admitted"' in page for page in pages] == [True, False]


@pytest.mark.parametrize(
    ("option", "advice"),
    [("enable_translation", "the task 'translate'"), ("enable_diarization", "a stream for each of them")],
)
async def test_what_is_not_offered_is_said_and_the_stream_goes_on(option: str, advice: str) -> None:
    first = json.dumps(OPTIONS | {option: True, "target_language": "fr"})
    async with running() as server, open_client(server.port, first=first) as client:
        await client.say(np.concatenate([tone(1.0), gap()]))
        await client.end()
        (problem,) = client.problems
        assert problem.startswith(f"WARNING: {option} is not offered")
        assert advice in problem
        assert [segment.text for segment in client.completed] == [" level 0.5"]


STOCK: dict[str, object] = {
    "use_vad": None,
    "clip_audio": True,
    "same_output_threshold": 2,
    "max_clients": 1,
    "max_connection_time": 1,
    "enable_translation": False,
    "enable_diarization": False,
    "hf_token": None,
    "known_speakers": [],
    "something_new": {"a": 1},
}


async def test_everything_a_stock_client_says_is_accepted() -> None:
    first = json.dumps({"uid": "stock", "language": None, "task": "transcribe", "model": "small"} | STOCK)
    async with running() as server, open_client(server.port, first=first) as client:
        await client.say(np.concatenate([tone(1.0), gap()]))
        await client.end()
        assert client.problems == []
        assert [segment.text for segment in client.completed] == [" level 0.5"]


async def ends_after(client: Client, silence_s: float) -> bool:
    """Says whether an utterance is over after so much silence."""
    await client.say(np.concatenate([tone(1.0), gap(silence_s), tone(1.0), gap(2.5)]))
    await client.end()
    return len(client.completed) == 2


@pytest.mark.parametrize(("silence_ms", "two"), [(300, True), (1500, False)])
async def test_a_client_chooses_the_silence_that_ends_an_utterance(silence_ms: int, two: bool) -> None:
    first = json.dumps(OPTIONS | {"vad_parameters": {"min_silence_duration_ms": silence_ms}})
    async with running() as server, open_client(server.port, first=first) as client:
        assert await ends_after(client, 0.9) is two
