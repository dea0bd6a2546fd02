"""What clients should not send, and clients that do not behave: an answer that says what to change, then the close."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.support.eventually import eventually
from tests.support.speech_service import fetch, gap, only_right, running, tone
from tests.support.transcription_client import OPTIONS, PATIENCE_S, open_client, open_ready_client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from usher.protocol.whisper import ServerReady
from usher.transcription.config import ServerConfig

DEEP = "[" * 50_000


def options(**changed: object) -> str:
    return json.dumps(OPTIONS | changed)


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        ("junk", "message: Invalid JSON"),
        ("", "message: Invalid JSON"),
        ("[]", "message: Input should be an object"),
        (b"\x00" * 64, "the first message must be text: a JSON object with uid, language, task and model"),
        (b"END_OF_AUDIO", "the first message must be text"),
        (json.dumps({"uid": "u", "task": "transcribe", "model": "base"}), "language: Field required"),
        (json.dumps({}), "uid: Field required; language: Field required; task: Field required; model: Field required"),
        (options(task="sing"), "task: Input should be 'transcribe' or 'translate'"),
        (options(task=["transcribe"]), "task: Input should be"),
        (options(language="xx"), "language: 'xx' is not a language code"),
        (options(language=5), "language: Input should be a valid string"),
        (options(uid=5), "uid: Input should be a valid string"),
        (options(uid=""), "uid: String should have at least 1 character"),
        (options(uid="u" * 129), "uid: String should have at most 128 characters"),
        (options(initial_prompt="p" * 2001), "initial_prompt: String should have at most 2000 characters"),
        (options(audio_format="mp3"), "audio_format: Input should be 'float32', 'int16' or 'uint8'"),
        (options(send_last_n_segments=10**9), "send_last_n_segments: Input should be less than or equal to 1000"),
        (options(no_speech_thresh=float("nan")), "no_speech_thresh: Input should be less than or equal to 1"),
        (options(vad_parameters=[]), "vad_parameters: Input should be an object"),
        (options(vad_parameters={"threshold": float("nan")}), "vad_parameters.threshold: Input should be less"),
        (options(vad_parameters={"speech_pad_ms": -1}), "vad_parameters.speech_pad_ms: Input should be greater"),
        (DEEP, "message: Invalid JSON: recursion limit exceeded"),
        ('{"uid": "u", "extra": ' + DEEP, "message: Invalid JSON: recursion limit exceeded"),
    ],
)
async def test_bad_options_are_answered_before_the_close(first: str | bytes, complaint: str) -> None:
    async with running() as server, open_client(server.port, first=first) as client:
        assert await client.closed() == 1007
        (problem,) = client.problems
        assert problem.startswith(f"ERROR: {complaint}")


@pytest.mark.parametrize(
    ("junk", "complaint"),
    [
        (b"\x00\x00\x00", "a frame of 3 bytes is not a whole number of float32 samples of 4 bytes"),
        ("junk", "message: Invalid JSON"),
        (options(type="options"), "type: Input should be 'configure'"),
        ("END_OF_AUDIO", "END_OF_AUDIO must be a binary message"),
        ('{"type": "configure", "task": "sing"}', "task: Input should be"),
        ('{"type": "configure", "language": "xx"}', "language: 'xx' is not a language code"),
        ('{"type": "configure", "model": "large"}', "model: Extra inputs are not permitted"),
        (DEEP, "message: Invalid JSON: recursion limit exceeded"),
    ],
)
async def test_bad_input_is_answered_after_what_was_heard_and_before_the_close(
    junk: str | bytes, complaint: str
) -> None:
    async with running() as server, open_ready_client(server.port) as client:
        await client.say(tone(1.0, 0.3))
        await client.socket.send(junk)
        assert await client.closed() == 1007
        assert [segment.text for segment in client.completed] == [" level 0.3"]
        assert any(problem.startswith(f"ERROR: {complaint}") for problem in client.problems), client.problems
        assert client.messages[-1].uid == "test"


@pytest.mark.parametrize("junk", [b"\x00" * 4004, "x" * 4004])
async def test_a_message_that_is_too_long_is_named_in_the_close(junk: str | bytes) -> None:
    config = ServerConfig(port=0, max_frame_bytes=4000)
    async with running(config=config) as server, open_ready_client(server.port) as client:
        await client.socket.send(b"\x00" * 4000)
        await client.socket.send(junk)
        assert await client.closed() == 1009
        assert "4000" in (client.socket.close_reason or "")


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), float("-inf"), 1e38])
async def test_values_that_are_no_sound_do_not_spoil_the_speech_after_them(poison: float) -> None:
    async with running() as server, open_ready_client(server.port) as client:
        await client.say(np.concatenate([np.full(512, poison, np.float32), gap(), tone(1.0, 0.3), gap()]))
        await client.end()
        assert client.completed[-1].text == " level 0.3"
        assert client.problems == []


async def test_empty_frames_are_no_harm() -> None:
    async with running() as server, open_ready_client(server.port) as client:
        for _ in range(100):
            await client.socket.send(b"")
        await client.say(tone(1.0, 0.3))
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.3"]


async def test_a_client_that_sends_no_options_is_told_so() -> None:
    config = ServerConfig(port=0, handshake_timeout_s=0.2)
    async with running(config=config) as server, connect(f"ws://127.0.0.1:{server.port}") as silent:
        answer = json.loads(await asyncio.wait_for(silent.recv(), PATIENCE_S))
        assert (answer["status"], answer["message"]) == ("ERROR", "no options were sent in time")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(silent.recv(), PATIENCE_S)


@contextlib.asynccontextmanager
async def raw(port: int, *, says: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(says)
        yield reader
    finally:
        writer.close()


@pytest.mark.parametrize("says", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10])
async def test_a_handshake_that_does_not_come_to_an_end_is_ended(says: bytes) -> None:
    async with running(config=ServerConfig(port=0, handshake_timeout_s=0.2)) as server:
        async with raw(server.port, says=says) as reader:
            await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert reader.at_eof()
        async with open_ready_client(server.port) as client:
            await client.end()


@pytest.mark.parametrize(
    "says", [b"\x16\x03\x01" * 200, b"SPAM / SMTP\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 999]
)
async def test_what_is_no_handshake_is_ended(says: bytes) -> None:
    async with running(config=ServerConfig(port=0, handshake_timeout_s=1.0)) as server:
        async with raw(server.port, says=says) as reader:
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), PATIENCE_S)
        async with open_ready_client(server.port) as client:
            await client.end()


async def test_unfinished_handshakes_of_an_address_are_bounded() -> None:
    config = ServerConfig(port=0, max_handshakes_per_address=2)
    async with running(config=config) as server, open_ready_client(server.port), open_ready_client(server.port):
        async with raw(server.port), raw(server.port) as second:
            await eventually(lambda: server.door.connections == 4, timeout_s=PATIENCE_S)
            async with raw(server.port) as third:
                with contextlib.suppress(ConnectionError):
                    await asyncio.wait_for(third.read(), PATIENCE_S)
            assert not second.at_eof()
        await eventually(lambda: server.door.connections == 2, timeout_s=PATIENCE_S)
        async with open_ready_client(server.port) as client:
            await client.end()


async def test_a_client_that_never_reads_is_given_up() -> None:
    config = ServerConfig(port=0, send_timeout_s=0.3, max_speed=1e6, max_load=100.0)
    async with running(config=config) as server, connect(f"ws://127.0.0.1:{server.port}", compression=None) as deaf:
        await deaf.send(options(send_last_n_segments=1000))
        words = np.concatenate([tone(0.2), gap()]).astype("<f4").tobytes()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(talk_without_end(deaf, words), PATIENCE_S)
        page = await asyncio.to_thread(fetch, server.port, "/metrics")
        assert "usher_speech_slow_clients_total 1.0" in page
        await eventually(lambda: server.health()["streams"] == 0, timeout_s=PATIENCE_S)


async def talk_without_end(socket: ClientConnection, words: bytes) -> None:
    while True:
        await socket.send(words)


async def test_failures_of_an_address_are_limited_and_its_neighbour_still_comes_in() -> None:
    config = ServerConfig(port=0, failures_per_minute=2.0)
    async with running(config=config, authenticate=only_right) as server:
        statuses = []
        for _ in range(4):
            with pytest.raises(InvalidStatus) as caught:
                async with open_client(server.port, token="wrong"):
                    pass
            statuses.append(caught.value.response.status_code)
        assert statuses == [401, 401, 429, 429]
        async with open_ready_client(server.port, token="right") as client:
            await client.end()


@pytest.mark.parametrize("uid", ["test", "test.1", "test.another-lane"])
async def test_a_stream_may_be_named_after_its_bot(uid: str) -> None:
    async with running(authenticate=only_right) as server, open_client(server.port, token="right", uid=uid) as client:
        await client.until(lambda: bool(client.all(ServerReady)))
        await client.end()


@pytest.mark.parametrize("uid", ["other", "tes", "test2", "tést", "other.test"])
async def test_a_stream_is_not_named_after_another_bot(uid: str) -> None:
    async with running(authenticate=only_right) as server, open_client(server.port, token="right", uid=uid) as client:
        assert await client.closed() == 1007
        assert client.problems == ["ERROR: uid: with this token it must be 'test', or begin with 'test.'"]


async def test_audio_that_comes_too_fast_is_read_later() -> None:
    config = ServerConfig(port=0, max_speed=20.0)
    async with running(config=config) as server, open_ready_client(server.port) as client:
        started = asyncio.get_running_loop().time()
        await client.say(np.concatenate([gap(40.0), tone(1.0, 0.3)]))
        await client.end()
        assert asyncio.get_running_loop().time() - started >= (41.0 - 20.0) / 20.0
        assert [segment.text for segment in client.completed] == [" level 0.3"]


@pytest.mark.parametrize("message", [b"", '{"type": "configure"}'])
async def test_messages_that_come_too_fast_are_read_later(message: str | bytes) -> None:
    config = ServerConfig(port=0, frames_per_s=40.0, texts_per_s=10.0)
    async with running(config=config) as server, open_ready_client(server.port) as client:
        started = asyncio.get_running_loop().time()
        for _ in range(60):
            await client.socket.send(message)
        await client.end()
        assert asyncio.get_running_loop().time() - started >= (60.0 - 40.0) / 40.0
        assert client.problems == []


async def test_a_silent_client_stays_and_a_dead_one_does_not() -> None:
    config = ServerConfig(port=0, ping_interval_s=0.1, ping_timeout_s=0.4)
    async with running(config=config) as server, open_ready_client(server.port, uid="silent") as silent:
        async with open_ready_client(server.port, uid="dead") as dead:
            dead.socket.transport.pause_reading()
            await eventually(lambda: server.health()["streams"] == 1, timeout_s=PATIENCE_S)
        await silent.say(tone(1.0, 0.3))
        await silent.end()
        assert [segment.text for segment in silent.completed] == [" level 0.3"]
