"""A scripted speech service: it makes of every second of sound one final text, which tells what it heard."""

import array
import asyncio
import contextlib
import http
import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from usher.protocol.whisper import END_OF_AUDIO, EXTENSIONS_HEADER, SAMPLE_RATE_HZ

LEAST_ENERGY = 0.005
_SCALE = 1000
_STEP_BYTES = 1600 * 4


@dataclass
class Stream:
    """One connection, and all that came over it.

    Attributes:
        finals: Texts that were sent as final.
        arrivals: Monotonic time and number of samples after each frame.
    """

    options: dict[str, Any]
    authorization: str
    pcm: "array.array[float]" = field(default_factory=lambda: array.array("f"))
    configured: list[dict[str, Any]] = field(default_factory=list)
    finals: list[str] = field(default_factory=list)
    final_sent_at: list[float] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    ended: bool = False
    pieces: int = 0
    begin: int = 0
    longest_frame_bytes: int = 0

    def __post_init__(self) -> None:
        self.language: str | None = self.options["language"]

    @property
    def uid(self) -> str:
        """The client's name of the stream."""
        return str(self.options["uid"])

    @property
    def energy(self) -> float:
        """Root mean square of everything."""
        return _energy(self.pcm)


@dataclass
class SpeechServer:
    """How the service behaves, and its streams.

    Attributes:
        stock: Behave as the stock server: no names of segments, no settings on the way, no flush at the end.
        full: So many of the next clients are told to wait.
        most: Clients at a time; further ones are told to wait.
        break_after: The next stream is cut after so many samples, without a goodbye.
        disconnect_after: The next stream is ended in order after so many samples.
        deaf: Nothing is answered after the audio began, not even the end of it.
        token: Who comes without it is refused.
        nonsense: The first answer to audio is this text.
        slow_s: How long each tenth of a second of audio takes.
        frozen: Nothing is read, written or answered, not even a ping.
    """

    url: str = ""
    stock: bool = False
    full: int = 0
    most: int | None = None
    served: int = 0
    sockets: set[ServerConnection] = field(default_factory=set)
    break_after: int | None = None
    disconnect_after: int | None = None
    deaf: bool = False
    token: str | None = None
    nonsense: str | None = None
    slow_s: float = 0.0
    frozen: bool = False
    refused: int = 0
    streams: list[Stream] = field(default_factory=list)

    def finals(self) -> list[str]:
        """Every final text, in the order in which it was sent."""
        return [text for stream in self.streams for text in stream.finals]

    def cut(self) -> None:
        """Cut every connection, without a goodbye."""
        for socket in self.sockets:
            socket.transport.abort()

    async def handle(self, socket: ServerConnection) -> None:
        """Serve one client."""
        with contextlib.suppress(ConnectionClosed):
            options = json.loads(await socket.recv())
            if self.full > 0 or (self.most is not None and self.served >= self.most):
                self.full = max(0, self.full - 1)
                await _say(socket, options["uid"], status="WAIT", message=0.0001)
                return
            assert socket.request is not None
            stream = Stream(options, socket.request.headers.get("Authorization", ""))
            self.streams.append(stream)
            self.served += 1
            self.sockets.add(socket)
            try:
                await _say(socket, stream.uid, message="SERVER_READY", backend="scripted")
                await self._listen(socket, stream)
            finally:
                self.served -= 1
                self.sockets.discard(socket)

    async def _listen(self, socket: ServerConnection, stream: Stream) -> None:
        async for message in socket:
            if isinstance(message, str):
                await self._configure(socket, stream, json.loads(message))
            elif message == END_OF_AUDIO:
                await self._end(socket, stream)
                return
            elif not await self._hear(socket, stream, message):
                return

    async def _hear(self, socket: ServerConnection, stream: Stream, pcm: bytes) -> bool:
        """Hear a frame in steps, so that long ones are as good as short ones."""
        stream.longest_frame_bytes = max(stream.longest_frame_bytes, len(pcm))
        for begin in range(0, len(pcm), _STEP_BYTES):
            if not await self._hear_step(socket, stream, pcm[begin : begin + _STEP_BYTES]):
                return False
        return True

    async def _hear_step(self, socket: ServerConnection, stream: Stream, pcm: bytes) -> bool:
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.frozen:
            socket.transport.pause_reading()
            while self.frozen:  # noqa: ASYNC110 - tests set it
                await asyncio.sleep(0.01)
            socket.transport.resume_reading()
        stream.pcm.frombytes(pcm)
        stream.arrivals.append((time.monotonic(), len(stream.pcm)))
        if self.nonsense is not None:
            nonsense, self.nonsense = self.nonsense, None
            await socket.send(nonsense.replace("UID", stream.uid))
        if not self.deaf:
            await self._speak(socket, stream)
        if self.break_after is not None and len(stream.pcm) >= self.break_after:
            self.break_after = None
            socket.transport.abort()
            return False
        if self.disconnect_after is not None and len(stream.pcm) >= self.disconnect_after:
            self.disconnect_after = None
            if not self.stock and not self.deaf:
                await self._end_piece(socket, stream)
            await _say(socket, stream.uid, message="DISCONNECT")
            return False
        return True

    async def _speak(self, socket: ServerConnection, stream: Stream) -> None:
        # Of the stock server only more speech ends an utterance; silence brings it text, over and over.
        length = _sounding(stream.pcm) if self.stock else len(stream.pcm)
        while length >= stream.begin + SAMPLE_RATE_HZ:
            await self._say_piece(socket, stream, completed=True)
            stream.pieces += 1
            stream.begin += SAMPLE_RATE_HZ
        if len(stream.pcm) >= stream.begin + 0.5 * SAMPLE_RATE_HZ:
            await self._say_piece(socket, stream, completed=False)

    async def _say_piece(self, socket: ServerConnection, stream: Stream, *, completed: bool) -> None:
        piece = stream.pcm[stream.begin : stream.begin + SAMPLE_RATE_HZ]
        piece = piece[: _sounding(piece)]
        if _energy(piece) < LEAST_ENERGY:
            return
        text = f"heard {round(piece[0] * _SCALE)} to {round(piece[-1] * _SCALE)}"
        start_s = stream.begin / SAMPLE_RATE_HZ
        end_s = start_s + len(piece) / SAMPLE_RATE_HZ
        segment: dict[str, Any] = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "text": text}
        segment["completed"] = completed
        if not self.stock:
            language = stream.language or "en"
            segment |= {"id": stream.pieces, "revision": round(len(piece) / 1600), "language": language}
        await _say(socket, stream.uid, segments=[segment])
        if completed:
            stream.finals.append(text)
            stream.final_sent_at.append(time.monotonic())

    async def _configure(self, socket: ServerConnection, stream: Stream, message: dict[str, Any]) -> None:
        stream.configured.append(message)
        if not self.deaf:
            await self._end_piece(socket, stream)
            stream.language = message["language"]
            settings = {"language": message["language"], "task": message["task"]}
            await _say(socket, stream.uid, message="CONFIGURED", **settings)

    async def _end(self, socket: ServerConnection, stream: Stream) -> None:
        stream.ended = True
        if self.deaf:
            await socket.wait_closed()
        elif not self.stock:
            await self._end_piece(socket, stream)

    async def _end_piece(self, socket: ServerConnection, stream: Stream) -> None:
        """Make text of what is open."""
        await self._speak(socket, stream)
        if len(stream.pcm) > stream.begin:
            await self._say_piece(socket, stream, completed=True)
            stream.pieces += 1
            stream.begin = len(stream.pcm)

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Refuse who has no token."""
        if self.token is None or request.headers.get("Authorization") == f"Bearer {self.token}":
            return None
        self.refused += 1
        return socket.respond(http.HTTPStatus.UNAUTHORIZED, "")

    def greet(self, _: ServerConnection, __: Request, response: Response) -> None:
        """Say that Usher's additions are known."""
        if not self.stock:
            response.headers[EXTENSIONS_HEADER] = "1"


@contextlib.asynccontextmanager
async def speech_server(**behaviour: Any) -> AsyncIterator[SpeechServer]:  # noqa: ANN401 - the server's own fields
    """Serve the service on a port of its own."""
    speech = SpeechServer(**behaviour)
    async with serve(
        speech.handle, "127.0.0.1", 0, process_request=speech.admit, process_response=speech.greet, compression=None
    ) as server:
        speech.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield speech
        await asyncio.sleep(0)


def tone(value: float, seconds: float) -> bytes:
    """Sound that says its value in the text that is made of it: float32 mono 16 kHz."""
    return array.array("f", [value / _SCALE]).tobytes() * int(seconds * SAMPLE_RATE_HZ)


def _energy(pcm: "array.array[float]") -> float:
    return math.sqrt(sum(sample * sample for sample in pcm) / len(pcm)) if pcm else 0.0


def _sounding(pcm: "array.array[float]") -> int:
    """Number of samples without the silence at the end."""
    length = len(pcm)
    while length and not pcm[length - 1]:
        length -= 1
    return length


async def _say(socket: ServerConnection, uid: str, **message: Any) -> None:  # noqa: ANN401 - JSON
    await socket.send(json.dumps({"uid": uid, **message}))
