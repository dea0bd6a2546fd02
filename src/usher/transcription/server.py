"""The WebSocket server: who may come in, how many, and how they leave."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from usher.protocol.whisper import (
    EXTENSIONS_HEADER,
    ClientOptions,
    ProtocolViolation,
    Wait,
    find_uid,
    parse_options,
)
from usher.transcription.config import ServerConfig
from usher.transcription.endpoint import Endpointer
from usher.transcription.engine import Engine
from usher.transcription.scheduler import Scheduler, open_scheduler
from usher.transcription.session import CLOSE_DONE, Session, check_language, refuse, send
from usher.transcription.speech import SpeechStream
from usher.transcription.transcript import Transcript
from usher.transcription.voice import VoiceDetector

log = structlog.get_logger(__name__)

Authenticate = Callable[[str | None], bool]
"""Says whether a token (None when the client sent none) lets its bearer in. Must compare in constant time."""

_SPARE_CONNECTIONS = 32
_CLOSE_TIMEOUT_S = 5.0


class Server:
    """A running transcription server. Made by `serve`."""

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        scheduler: Scheduler,
        *,
        detect: Callable[[], VoiceDetector],
        authenticate: Authenticate | None,
    ) -> None:
        self._config = config
        self._engine = engine
        self._scheduler = scheduler
        self._detect = detect
        self._authenticate = authenticate
        self._stop = asyncio.Event()
        self._streams = 0
        self._connections = 0
        self.port = 0
        """Port it listens on."""

    def health(self) -> dict[str, object]:
        """Says how much work there is.

        Returns:
            `streams` being served, `max_streams`, `waiting_finals` (ended utterances without a text) and `queue_lag_s`
            (how long the oldest of them has waited).
        """
        return {
            "status": "stopping" if self._stop.is_set() else "ok",
            "backend": self._engine.backend,
            "streams": self._streams,
            "max_streams": self._config.max_streams,
            "waiting_finals": self._scheduler.waiting_finals,
            "queue_lag_s": round(self._scheduler.lag_s, 3),
        }

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answers `GET /health`, and turns away who may not come in. None lets the handshake go on."""
        parts = urlsplit(request.path)
        if parts.path == "/health":
            return _json_response(self.health())
        if self._authenticate and not self._authenticate(find_token(request.headers, parts.query)):
            log.info("stream_unauthorized")
            return socket.respond(HTTPStatus.UNAUTHORIZED, "a valid bearer token is required\n")
        if self._connections >= self._config.max_streams + _SPARE_CONNECTIONS:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections\n")
        return None

    async def handle(self, socket: ServerConnection) -> None:
        """Serves one connection from its first message to its close."""
        self._connections += 1
        try:
            await self._greet(socket)
        except (ConnectionClosed, TimeoutError) as error:
            log.info("client_gone", error=type(error).__name__)
        finally:
            self._connections -= 1

    def stop(self) -> None:
        """Ends all streams: each is finalised, told and closed. Idempotent; does not wait."""
        self._stop.set()

    async def _greet(self, socket: ServerConnection) -> None:
        config = self._config
        try:
            first = await asyncio.wait_for(socket.recv(), config.handshake_timeout_s)
        except TimeoutError:
            await refuse(socket, "", "no options were sent in time", timeout_s=config.send_timeout_s)
            return
        try:
            options = parse_options(first)
            check_language(options.language, self._engine.languages)
        except ProtocolViolation as violation:
            await refuse(socket, find_uid(first), str(violation), timeout_s=config.send_timeout_s)
            return
        if self._streams >= config.max_streams or self._stop.is_set():
            wait = Wait(uid=options.uid, message=config.retry_after_s / 60)
            await send(socket, wait, timeout_s=config.send_timeout_s)
            await socket.close(CLOSE_DONE)
            return
        self._streams += 1
        try:
            await self._serve(socket, options)
        finally:
            self._streams -= 1

    async def _serve(self, socket: ServerConnection, options: ClientOptions) -> None:
        config, changed = self._config, asyncio.Event()
        rules = config.endpoint.asked_for(options.vad_parameters)
        transcript = Transcript(options.uid, repeat=options.send_last_n_segments)
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
                languages=self._engine.languages,
            )
            log.info("stream_started", uid=options.uid, language=options.language, task=options.task.value)
            await session.run(self._engine.backend)


def _tell_extensions(_socket: ServerConnection, _request: Request, response: Response) -> None:
    response.headers[EXTENSIONS_HEADER] = "configure"


def find_token(headers: Headers, query: str) -> str | None:
    """Finds the bearer token of a request: in `Authorization`, else in `?token=`, where stock clients put it."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next(iter(parse_qs(query).get("token", [])), None)


@contextlib.asynccontextmanager
async def serve(
    config: ServerConfig,
    engine: Engine,
    *,
    detect: Callable[[], VoiceDetector] | None = None,
    authenticate: Authenticate | None = None,
) -> AsyncIterator[Server]:
    """Runs a transcription server for as long as the context lasts.

    The engine is loaded and warm before the port opens. When the context ends no new streams are taken, and the open
    ones are finalised, told and closed.

    Args:
        config: Address and limits.
        engine: Transcribes; loaded here.
        detect: Makes a voice detector for a stream; Silero when left out.
        authenticate: Checks tokens; everybody may come in when left out.

    Raises:
        EngineError: The model cannot be loaded.
        OSError: The port cannot be opened.
        ExceptionGroup: Something in the server broke: a bug.
    """
    await asyncio.to_thread(engine.load)
    if detect is None:
        detect = await asyncio.to_thread(_load_silero)
    async with open_scheduler(
        engine, workers=config.workers, batch_size=config.batch_size, draft_wait_s=config.draft_wait_s
    ) as scheduler:
        server = Server(config, engine, scheduler, detect=detect, authenticate=authenticate)
        sockets = await serve_sockets(
            server.handle,
            config.host,
            config.port,
            process_request=server.admit,
            process_response=_tell_extensions,
            compression=None,
            max_size=config.max_frame_bytes,
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


def _json_response(body: dict[str, object]) -> Response:
    data = json.dumps(body).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"})
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, data)


def _quiet_logger() -> logging.Logger:
    """Makes a logger for the WebSocket library that stays below warnings: it logs addresses with tokens in them."""
    logger = logging.getLogger("usher.transcription.websockets")
    logger.setLevel(logging.WARNING)
    return logger
