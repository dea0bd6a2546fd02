"""The WebSocket server: its streams, from their first message to their end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import structlog
from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from usher.domain.rates import Allowance
from usher.protocol.credentials import BotIdentity
from usher.protocol.whisper import ClientOptions, ProtocolViolation, Wait, find_uid, parse_options
from usher.transcription.admission import Admission, Limits, Queue, Reason, Refused, Seat
from usher.transcription.config import ServerConfig
from usher.transcription.door import Authenticate, Door, Visitor, tell_extensions
from usher.transcription.endpoint import Endpointer
from usher.transcription.engine import Engine
from usher.transcription.meter import Meter
from usher.transcription.scheduler import Scheduler, open_scheduler
from usher.transcription.session import CLOSE_DONE, Session, check_language, refuse, send
from usher.transcription.speech import SpeechStream
from usher.transcription.transcript import Transcript
from usher.transcription.voice import VoiceDetector

log = structlog.get_logger(__name__)

_Answer = Callable[[ServerConnection, Request], Response | None]

_CLOSE_TIMEOUT_S = 5.0
_MOST_UNREAD = 4
"""Messages of a client that are taken in before they are read: with `max_frame_bytes` the bound of its memory."""
_WORST_LAGS = 5
_HURRIED_RETRY_S = 1.0


class Server:
    """A running transcription server. Made by `serve`."""

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        scheduler: Scheduler,
        meter: Meter,
        *,
        detect: Callable[[], VoiceDetector],
        authenticate: Authenticate | None,
    ) -> None:
        self._config = config
        self._engine = engine
        self._scheduler = scheduler
        self._meter = meter
        self._detect = detect
        self._stop = asyncio.Event()
        self._arrivals = Allowance[str](
            per_s=config.new_streams_per_s, burst=8 * config.new_streams_per_s, clock=meter.clock
        )
        self._admission = Admission(_limits(config), meter.load, clock=meter.clock)
        self.door = Door(config, meter, authenticate=authenticate, health=self.health)
        """What connections meet first."""
        self.port = 0
        """Port it listens on."""
        self._watch()

    def health(self) -> dict[str, object]:
        """Says how much work there is.

        Returns:
            `streams` being served, `max_streams`, `load` (share of the workers' time that is taken; what streams that
            have just come in will take is estimated), `waiting_finals` (ended utterances without a text), `backlog_s`
            (their length), `queue_lag_s` (how long the oldest of them has waited) and `worst_lags_s` (of the streams
            that are furthest behind, the furthest first).
        """
        return {
            "status": "stopping" if self._stop.is_set() else "ok",
            "backend": self._engine.backend,
            "streams": self._admission.streams,
            "max_streams": self._config.max_streams,
            "load": round(self._admission.forecast, 3),
            "waiting_finals": self._scheduler.waiting_finals,
            "backlog_s": round(self._scheduler.backlog_s, 3),
            "queue_lag_s": round(self._scheduler.lag_s, 3),
            "worst_lags_s": [round(lag_s, 3) for lag_s in self._scheduler.worst_lags_s(_WORST_LAGS)],
        }

    async def handle(self, socket: ServerConnection) -> None:
        """Serves one connection from its first message to its close."""
        try:
            await self._greet(cast("Visitor", socket))
        except (ConnectionClosed, TimeoutError) as error:
            log.info("client_gone", error=type(error).__name__)

    def stop(self) -> None:
        """Ends all streams: each is finalised, told and closed. Idempotent; does not wait."""
        self._stop.set()

    async def _greet(self, socket: Visitor) -> None:
        config = self._config
        try:
            first = await asyncio.wait_for(socket.recv(), config.handshake_timeout_s)
        except TimeoutError:
            self._meter.refused_input.inc()
            await refuse(socket, "", "no options were sent in time", timeout_s=config.send_timeout_s)
            return
        socket.settle()
        try:
            options = parse_options(first)
            check_language(options.language, self._engine.languages)
            _check_name(options.uid, socket.bot)
        except ProtocolViolation as violation:
            self._meter.refused_input.inc()
            await refuse(socket, find_uid(first), str(violation), timeout_s=config.send_timeout_s)
            return
        seat = self._admit(socket.bot, socket.address)
        if isinstance(seat, Refused):
            log.info("stream_waits", uid=options.uid, reason=seat.reason.value, retry_s=round(seat.retry_s, 1))
            wait = Wait(uid=options.uid, message=seat.retry_s / 60)
            await send(socket, wait, timeout_s=config.send_timeout_s)
            await socket.close(CLOSE_DONE)
            return
        try:
            await self._serve(socket, options)
        finally:
            self._admission.leave(seat)

    def _admit(self, bot: BotIdentity | None, address: str) -> Seat | Refused:
        name = bot.connection_id if bot else None
        answer: Seat | Refused
        if self._stop.is_set():
            answer = Refused(Reason.STOPPING, self._config.retry_after_s)
        elif not self._arrivals.allows(name or address):
            answer = Refused(Reason.HURRIED, _HURRIED_RETRY_S)
        else:
            queue = Queue(wait_s=self._scheduler.wait_s, backlog_s=self._scheduler.backlog_s)
            answer = self._admission.admit(name, queue)
        self._meter.admissions.labels(answer.reason.value if isinstance(answer, Refused) else "admitted").inc()
        return answer

    def _watch(self) -> None:
        watch, scheduler, load = self._meter.watch, self._scheduler, self._meter.load
        watch("usher_speech_streams", "Streams being served.", lambda: self._admission.streams)
        watch("usher_speech_connections", "Open connections.", lambda: self.door.connections)
        watch("usher_speech_load", "Share of the workers' time taken, new streams estimated.", self._forecast)
        watch("usher_speech_busy", "Share of the workers' time taken, measured.", lambda: load.busy / load.workers)
        watch("usher_speech_hearing", "Share of the event loop's time for voice detection.", lambda: load.hearing)
        watch("usher_speech_lag_seconds", "Lag of the stream that is furthest behind.", lambda: scheduler.lag_s)
        watch("usher_speech_waiting_finals", "Ended utterances without a text.", lambda: scheduler.waiting_finals)
        watch("usher_speech_backlog_seconds", "Length of those utterances.", lambda: scheduler.backlog_s)

    def _forecast(self) -> float:
        return self._admission.forecast

    async def _serve(self, socket: Visitor, options: ClientOptions) -> None:
        config, changed = self._config, asyncio.Event()
        rules = config.endpoint.asked_for(options.vad_parameters)
        transcript = Transcript(
            options.uid, repeat=options.send_last_n_segments, rehearse=options.same_output_threshold is not None
        )
        with self._scheduler.lane() as lane:
            speech = SpeechStream(
                options,
                endpointer=Endpointer(self._detect(), rules),
                transcript=transcript,
                lane=lane,
                changed=changed.set,
            )
            session = Session(
                socket,
                options,
                speech=speech,
                transcript=transcript,
                lane=lane,
                changed=changed,
                stop=self._stop,
                config=config,
                meter=self._meter,
                languages=self._engine.languages,
            )
            log.info("stream_started", uid=options.uid, language=options.language, task=options.task.value)
            await session.run(self._engine.backend)


def _limits(config: ServerConfig) -> Limits:
    return Limits(
        max_streams=config.max_streams,
        max_streams_per_bot=config.max_streams_per_bot,
        max_load=config.max_load,
        max_lag_s=config.max_lag_s,
        retry_after_s=config.retry_after_s,
    )


def _check_name(uid: str, bot: BotIdentity | None) -> None:
    """Checks that a stream is named after the bot whose token opened it.

    Raises:
        ProtocolViolation: It is not.
    """
    if bot is not None and not bot.owns(uid):
        own = bot.connection_id
        raise ProtocolViolation(f"uid: with this token it must be {own!r}, or begin with {own + '.'!r}")


@contextlib.asynccontextmanager
async def serve(
    config: ServerConfig,
    engine: Engine,
    *,
    detect: Callable[[], VoiceDetector] | None = None,
    authenticate: Authenticate | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Server]:
    """Runs a transcription server for as long as the context lasts.

    The engine is loaded and warm before the port opens. When the context ends no new streams are taken, and the open
    ones are finalised, told and closed.

    Args:
        config: Address and limits.
        engine: Transcribes; loaded here.
        detect: Makes a voice detector for a stream; Silero when left out.
        authenticate: Checks tokens; everybody may come in when left out.
        clock: Monotonic clock, in seconds, for what is measured.

    Raises:
        EngineError: The model cannot be loaded.
        OSError: The port cannot be opened.
        ExceptionGroup: Something in the server broke: a bug.
    """
    await asyncio.to_thread(engine.load)
    if detect is None:
        detect = await asyncio.to_thread(_load_silero)
    meter = Meter(workers=config.workers, clock=clock)
    async with open_scheduler(
        engine,
        workers=config.workers,
        batch_size=config.batch_size,
        draft_wait_s=config.draft_wait_s,
        meter=meter,
    ) as scheduler:
        server = Server(config, engine, scheduler, meter, detect=detect, authenticate=authenticate)
        sockets = await serve_sockets(
            server.handle,
            config.host,
            config.port,
            create_connection=cast("type[ServerConnection]", server.door.connection),
            process_request=cast("_Answer", server.door.answer),
            process_response=tell_extensions,
            compression=None,
            max_size=config.max_frame_bytes,
            max_queue=_MOST_UNREAD,
            open_timeout=config.handshake_timeout_s,
            ping_interval=config.ping_interval_s,
            ping_timeout=config.ping_timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            logger=_quiet_logger(),
        )
        server.port = sockets.sockets[0].getsockname()[1]
        log.info("transcription_server_started", host=config.host, port=server.port, workers=config.workers)
        try:
            yield server
        finally:
            await _shut_down(server, sockets, config)
    log.info("transcription_server_stopped")


async def _shut_down(server: Server, sockets: SocketServer, config: ServerConfig) -> None:
    server.stop()
    sockets.close(close_connections=False)
    try:
        async with asyncio.timeout(config.flush_timeout_s + config.send_timeout_s + 2 * _CLOSE_TIMEOUT_S):
            await sockets.wait_closed()
    except TimeoutError:
        log.warning("streams_abandoned", streams=len(sockets.connections))
        for socket in sockets.connections:
            socket.transport.abort()


def _load_silero() -> Callable[[], VoiceDetector]:
    from usher.transcription.silero import SileroModel  # noqa: PLC0415 -- needs the network's runtime, other detectors do not

    return SileroModel.load().open


def _quiet_logger() -> logging.Logger:
    """Makes a logger for the WebSocket library that stays below warnings: it logs addresses with tokens in them."""
    logger = logging.getLogger("usher.transcription.websockets")
    logger.setLevel(logging.WARNING)
    return logger
