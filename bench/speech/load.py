"""The load generator: `python -m bench.speech.load`, a process of its own that plays streams in real time.

A job is a line of JSON on standard input; what each stream was told goes to a file, and its name is the answer. There
is no model in it: what it costs is the sending.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from tests.support.speech_clips import RATE_HZ, Pcm, silence
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

FRAME = 4096
"""Samples of a frame, as the stock client sends them: 256 ms."""

END_OF_AUDIO = b"END_OF_AUDIO"

_OPEN_S = 30.0
_READY_S = 60.0
_SEND_S = 30.0
_FLUSH_S = 60.0


@dataclass(slots=True)
class Told:
    """What a stream was told.

    Attributes:
        messages: Stream seconds at which segments came, and the segments.
        ended_s: Stream seconds at which the server closed, or the patience with it ended.
        late_s: The most that a frame was sent late: then the load generator was what was measured.
        problem: Why there is nothing, if there is nothing.
    """

    messages: list[tuple[float, list[dict[str, Any]]]] = field(default_factory=list)
    ended_s: float = 0.0
    late_s: float = 0.0
    problem: str | None = None


class Stream:
    """One client."""

    def __init__(self, socket: ClientConnection, pcm: Pcm) -> None:
        self._socket = socket
        self._pcm = pcm
        self._zero_s = 0.0
        self.told = Told()

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._zero_s

    async def play(self, options: Mapping[str, object]) -> None:
        """Send all of it in real time, then the end, and take what comes until the server closes."""
        await self._socket.send(json.dumps(options))
        async with asyncio.timeout(_READY_S):
            first = json.loads(await self._socket.recv())
        if first.get("message") != "SERVER_READY":
            self.told.problem = str(first)[:200]
            return
        self._zero_s = time.monotonic()
        listening = asyncio.create_task(self._listen())
        try:
            await self._send()
            await asyncio.wait({listening}, timeout=_FLUSH_S)
        finally:
            listening.cancel()
            await asyncio.wait({listening})
        self.told.ended_s = self._now_s

    async def _send(self) -> None:
        for first in range(0, len(self._pcm), FRAME):
            frame = self._pcm[first : first + FRAME]
            # A frame exists when its last sample has been spoken.
            due_s = (first + len(frame)) / RATE_HZ
            await asyncio.sleep(due_s - self._now_s)
            self.told.late_s = max(self.told.late_s, self._now_s - due_s)
            async with asyncio.timeout(_SEND_S):
                await self._socket.send(frame.tobytes())
        async with asyncio.timeout(_SEND_S):
            await self._socket.send(END_OF_AUDIO)

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            async for data in self._socket:
                message = json.loads(data)
                if "segments" in message:
                    self.told.messages.append((self._now_s, message["segments"]))


async def _one(job: Mapping[str, Any], number: int, audio: str) -> Told:
    await asyncio.sleep(number * float(job["stagger_s"]))
    pcm = np.concatenate([np.load(audio), silence(float(job["tail_s"]))]).astype("<f4")
    told = Told()
    try:
        async with connect(job["url"], compression=None, max_size=None, open_timeout=_OPEN_S, proxy=None) as socket:
            stream = Stream(socket, pcm)
            told = stream.told
            await stream.play({**job["options"], "uid": f"stream-{number}"})
    except (OSError, TimeoutError, WebSocketException) as error:
        told.problem = f"{type(error).__name__}: {error}"[:200]
    return told


async def _carry_out(job: Mapping[str, Any]) -> dict[str, object]:
    told = await asyncio.gather(*(_one(job, number, audio) for number, audio in enumerate(job["audio"])))
    said = [
        {"messages": one.messages, "ended_s": one.ended_s, "late_s": one.late_s, "problem": one.problem} for one in told
    ]
    await asyncio.to_thread(Path(job["out"]).write_text, json.dumps(said), encoding="utf-8")
    return {"out": job["out"]}


def _main() -> None:
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(uvloop.run(_carry_out(json.loads(line)))), flush=True)


if __name__ == "__main__":
    _main()
