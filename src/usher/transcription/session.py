"""One WebSocket connection, from its options to its close."""

import asyncio
import contextlib
import math
from enum import Enum, auto

import structlog
from pydantic import BaseModel
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from usher.protocol.whisper import (
    END_OF_AUDIO,
    SAMPLE_RATE_HZ,
    ClientOptions,
    Configured,
    Disconnect,
    Problem,
    ProtocolViolation,
    ServerReady,
    parse_configure,
)
from usher.transcription.config import ServerConfig
from usher.transcription.lane import Lane
from usher.transcription.meter import Meter
from usher.transcription.pcm import decode_frame, samples, seconds
from usher.transcription.rates import Pace
from usher.transcription.speech import SpeechStream
from usher.transcription.transcript import Transcript

log = structlog.get_logger(__name__)

_LOOK_AT_LAG_S = 1.0
_TELL_LAG_EVERY_S = 60.0

CLOSE_DONE = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_BAD_INPUT = 1007
CLOSE_TOO_SLOW = 1011


class Ending(Enum):
    """Why a stream ends while its client is still there."""

    END_OF_AUDIO = auto()
    TIME_LIMIT = auto()
    SHUTDOWN = auto()


async def send(socket: ServerConnection, message: BaseModel, *, timeout_s: float) -> None:
    """Sends one message; fields that are None and have a default are left out.

    Raises:
        TimeoutError: The client does not take it.
        ConnectionClosed: The client is gone.
    """
    async with asyncio.timeout(timeout_s):
        await socket.send(message.model_dump_json(exclude_none=not isinstance(message, Configured)))


class Session:
    """Reads audio from one client and tells it what was said.

    Two tasks share the connection: the reader, which is the caller of `run`, and the publisher, which sends what has
    changed since it last sent something. A client that reads slowly gets fewer partial texts and all final ones.
    """

    def __init__(
        self,
        socket: ServerConnection,
        options: ClientOptions,
        *,
        speech: SpeechStream,
        transcript: Transcript,
        lane: Lane,
        changed: asyncio.Event,
        stop: asyncio.Event,
        config: ServerConfig,
        meter: Meter,
        languages: frozenset[str],
    ) -> None:
        """Puts a session together.

        Args:
            socket: The open connection.
            options: What the client asked for.
            speech: Turns its audio into texts.
            transcript: Holds the texts.
            lane: Its place in the scheduler.
            changed: Set by `speech` when there is something to send.
            stop: Set when the server shuts down.
            config: Limits.
            meter: Counts what happens.
            languages: Language codes the engine knows.
        """
        self._socket = socket
        self._options = options
        self._speech = speech
        self._transcript = transcript
        self._lane = lane
        self._changed = changed
        self._stop = stop
        self._config = config
        self._meter = meter
        self._pace = Pace(config, meter.clock)
        self._languages = languages
        self._ending = False
        self._silent_of_lag_until = -math.inf

    async def run(self, backend: str) -> None:
        """Serves the client until it or the server ends the stream. Everything heard is answered before the close.

        Args:
            backend: Name of the engine, for SERVER_READY.

        Raises:
            ConnectionClosed: The client went away.
            TimeoutError: The client does not take its messages.
        """
        await self._send(ServerReady(uid=self._options.uid, backend=backend))
        for missing in self._options.not_offered:
            await self._send(Problem(uid=self._options.uid, status="WARNING", message=missing))
        publisher = asyncio.create_task(self._publish(), name="publish")
        try:
            await self._serve(publisher)
        finally:
            publisher.cancel()

    async def _serve(self, publisher: asyncio.Task[None]) -> None:
        try:
            ending = await self._listen()
        except ProtocolViolation as violation:
            self._meter.refused_input.inc()
            await self._flush(publisher)
            await refuse(self._socket, self._options.uid, str(violation), timeout_s=self._config.send_timeout_s)
            return
        flushed = await self._flush(publisher)
        log.info("stream_ended", uid=self._options.uid, ending=ending.name.lower(), flushed=flushed)
        if not flushed:
            problem = Problem(
                uid=self._options.uid, status="ERROR", message="the last speech took too long to transcribe"
            )
            await self._send(problem)
            await self._socket.close(CLOSE_TOO_SLOW)
            return
        if ending is not Ending.END_OF_AUDIO:
            await self._send(Disconnect(uid=self._options.uid))
        await self._socket.close(CLOSE_GOING_AWAY if ending is Ending.SHUTDOWN else CLOSE_DONE)

    async def _listen(self) -> Ending:
        """Reads until the stream ends. Waits for the scheduler rather than buffer without bound."""
        deadline = asyncio.get_running_loop().time() + self._config.max_stream_s
        limit = samples(self._config.max_backlog_s)
        while True:
            await self._lane.room(limit)
            message = await self._receive(deadline)
            if isinstance(message, Ending):
                return message
            if message == END_OF_AUDIO:
                return Ending.END_OF_AUDIO
            if isinstance(message, str):
                await self._pace.text()
                await self._configure(message)
            else:
                await self._hear(message)

    async def _receive(self, deadline: float) -> str | bytes | Ending:
        """Waits for a message, the end of the stream's time, or the server's shutdown, whichever is first."""
        message = asyncio.ensure_future(self._socket.recv())
        stop = asyncio.ensure_future(self._stop.wait())
        left_s = deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({message, stop}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            return Ending.SHUTDOWN if stop.done() else Ending.TIME_LIMIT
        finally:
            stop.cancel()
            message.cancel()

    async def _hear(self, frame: bytes) -> None:
        """Takes a frame second by second, so that a long one does not hold up the other streams."""
        pcm = decode_frame(frame, self._options.audio_format)
        await self._pace.frame(seconds(len(pcm)))
        for first in range(0, len(pcm), SAMPLE_RATE_HZ):
            second = pcm[first : first + SAMPLE_RATE_HZ]
            with self._meter.hearing(len(second)):
                self._speech.hear(second)
            await asyncio.sleep(0)

    async def _configure(self, text: str) -> None:
        change = parse_configure(text)
        check_language(change.language, self._languages)
        settings = self._speech.configure(change)
        await self._send(Configured(uid=self._options.uid, language=settings.language, task=settings.task))

    async def _flush(self, publisher: asyncio.Task[None]) -> bool:
        """Makes everything heard final and sends it; False when the engine was too slow for that."""
        self._speech.finish()
        try:
            await self._lane.drained(patience_s=self._config.flush_timeout_s)
        except TimeoutError:
            return False
        self._ending = True
        self._changed.set()
        await publisher
        return True

    async def _publish(self) -> None:
        """Sends what has changed, until the stream ends and the client knows everything."""
        try:
            while True:
                await self._news()
                ending = self._ending
                await self._tell()
                if ending:
                    return
        except TimeoutError:
            log.warning("client_too_slow", uid=self._options.uid)
            self._meter.slow_clients.inc()
            self._socket.transport.abort()
        except ConnectionClosed:
            return

    async def _news(self) -> None:
        """Waits until something has changed, or it is time to see whether the texts are still coming."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AT_LAG_S):
                await self._changed.wait()
        self._changed.clear()

    async def _tell(self) -> None:
        for notice in self._speech.take_notices():
            await self._send(notice)
        lag_s = self._lane.take_lag_s()
        lagging = lag_s >= self._config.max_lag_s
        while segments := self._transcript.take(lag_s=round(lag_s, 1) if lagging else None):
            await self._send(segments)
        if lagging and self._meter.clock() >= self._silent_of_lag_until:
            self._silent_of_lag_until = self._meter.clock() + _TELL_LAG_EVERY_S
            message = f"the texts are {lag_s:.0f} s behind the speech"
            log.warning("stream_lags", uid=self._options.uid, lag_s=round(lag_s, 1))
            await self._send(Problem(uid=self._options.uid, status="WARNING", message=message))

    async def _send(self, message: BaseModel) -> None:
        await send(self._socket, message, timeout_s=self._config.send_timeout_s)


def check_language(language: str | None, known: frozenset[str]) -> None:
    """Checks a language asked for.

    Raises:
        ProtocolViolation: The engine does not know it.
    """
    if language is not None and language not in known:
        some = ", ".join(sorted(known)[:8])
        raise ProtocolViolation(f"language: {language!r} is not a language code this model knows, such as {some}")


async def refuse(socket: ServerConnection, uid: str, message: str, *, timeout_s: float) -> None:
    """Says what is wrong and closes.

    Raises:
        TimeoutError: The client does not take it.
        ConnectionClosed: The client is gone.
    """
    log.info("input_refused", uid=uid, problem=message)
    await send(socket, Problem(uid=uid, status="ERROR", message=message), timeout_s=timeout_s)
    await socket.close(CLOSE_BAD_INPUT)
