"""One client never touches another: a stream in bad company says what it says alone, and about as fast."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

import numpy as np
from tests.support.speech_service import gap, loudness, running, tone
from tests.support.transcription_client import OPTIONS, Client, open_client, open_ready_client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from usher.transcription.config import ServerConfig
from usher.transcription.engine import EngineError, Job
from usher.transcription.engines.scripted import ScriptedEngine

UTTERANCES = 12
CALL_S = 0.02
CURSED, POISONED = np.float32(0.9), np.float32(0.8)
# A quick machine opens more streams from one address than are let in without a token.
CONFIG = ServerConfig(port=0, max_load=100.0, send_timeout_s=1.0, handshake_timeout_s=1.0, new_streams_per_s=100_000.0)


def say(job: Job) -> str:
    """Fails on one tone and breaks on another."""
    loudest = np.max(job.audio)
    if loudest == CURSED:
        raise EngineError("cursed")
    if loudest == POISONED:
        raise ZeroDivisionError
    return loudness(job)


async def healthy(port: int) -> tuple[list[str], float]:
    """Speaks utterance by utterance.

    Returns:
        The final texts, and the longest wait for one of them in seconds.
    """
    longest_s = 0.0
    async with open_ready_client(port, uid="healthy") as client:
        for number in range(UTTERANCES):
            await client.say(np.concatenate([tone(0.6, 0.1 * (number % 6 + 1)), gap()]))
            spoken_at = time.monotonic()
            await has_finals(client, number + 1)
            longest_s = max(longest_s, time.monotonic() - spoken_at)
        await client.end()
        # On a busy machine it may be told of lag, and of nothing else.
        assert [problem for problem in client.problems if not problem.startswith("WARNING: the texts are ")] == []
        assert [segment.id for segment in client.completed] == list(range(UTTERANCES))
        return [segment.text for segment in client.completed], longest_s


async def has_finals(client: Client, count: int) -> None:
    await client.until(lambda: len(client.completed) >= count)


async def bad_options(port: int) -> None:
    for first in ("junk", b"\x00", "[" * 10_000, json.dumps(OPTIONS | {"vad_parameters": {"threshold": 7}})):
        async with open_client(port, first=first) as client:
            assert await client.closed() == 1007


async def bad_frames(port: int) -> None:
    for junk in (b"\x00" * 7, "junk", b"\x00" * (2 << 20)):
        async with open_ready_client(port, uid="bad") as client:
            await client.say(tone(0.5, 0.7))
            with contextlib.suppress(ConnectionClosed):
                await client.socket.send(junk)
            assert await client.closed() in {1007, 1009}


async def vanishing(port: int) -> None:
    async with open_ready_client(port, uid="vanishing") as client:
        await client.say(tone(1.4, 0.7))
        client.socket.transport.abort()
        await client.closed()


async def unlucky(port: int, level: np.float32) -> None:
    async with open_ready_client(port, uid="unlucky") as client:
        await client.say(np.concatenate([tone(0.6, float(level)), gap(), tone(0.6, 0.7), gap()]))
        await client.end()
        assert [segment.text for segment in client.completed] == [" level 0.7"]
        assert len([problem for problem in client.problems if "could not be transcribed" in problem]) == 1


async def flooding(port: int) -> None:
    async with open_ready_client(port, uid="flooding") as client:
        await client.say(np.concatenate([tone(0.6, 0.7), gap()] * 40))
        await client.end()
        assert len(client.completed) == 40


async def babbling(port: int) -> None:
    """Sends frames and texts as fast as it can."""
    async with open_ready_client(port, uid="babbling") as client:
        for number in range(600):
            await client.socket.send(b"" if number % 30 else '{"type": "configure"}')
        await client.end()


async def deaf(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}", compression=None, max_queue=1) as socket:
        await socket.send(json.dumps(OPTIONS | {"uid": "deaf", "send_last_n_segments": 1000}))
        with contextlib.suppress(ConnectionClosed):
            await _talk(socket)


async def _talk(socket: ClientConnection) -> None:
    words = np.concatenate([tone(0.2, 0.7), gap()]).astype("<f4").tobytes()
    for _ in range(150):
        await socket.send(words)


async def again_and_again(what: Callable[[], Awaitable[None]], stop: asyncio.Event) -> int:
    """Repeats a misdeed until told to stop, and says how often that was."""
    times = 0
    while not stop.is_set():
        await what()
        times += 1
    return times


async def test_a_stream_in_bad_company_says_what_it_says_alone() -> None:
    async with running(ScriptedEngine(say=say, delay_s=CALL_S), CONFIG) as server:
        port = server.port
        alone, alone_s = await healthy(port)
        assert len(alone) == UTTERANCES
        stop = asyncio.Event()
        company = [
            asyncio.create_task(again_and_again(what, stop))
            for what in (
                lambda: bad_options(port),
                lambda: bad_frames(port),
                lambda: vanishing(port),
                lambda: unlucky(port, CURSED),
                lambda: unlucky(port, POISONED),
                lambda: flooding(port),
                lambda: babbling(port),
                lambda: deaf(port),
            )
        ]
        among_others, among_others_s = await healthy(port)
        stop.set()
        times = await asyncio.gather(*company)
        assert among_others == alone
        assert all(count >= 1 for count in times)
        # Eight busy neighbours in this very process share its time; one who was held up by a lock would wait for ever.
        assert among_others_s <= 10 * alone_s + 3.0
