"""The door of the server: what is answered before a connection becomes a WebSocket."""

import collections
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from usher.domain.rates import Allowance
from usher.protocol.credentials import BotIdentity
from usher.protocol.whisper import EXTENSIONS_HEADER
from usher.transcription.config import ServerConfig
from usher.transcription.meter import Meter

log = structlog.get_logger(__name__)

Authenticate = Callable[[str | None], BotIdentity | None]
"""Says whom a token (None when the client sent none) speaks for; None turns it away. Must compare in constant time."""

_SPARE_CONNECTIONS = 512


class Visitor(ServerConnection):
    """A connection, from its first byte on.

    Attributes:
        bot: Whom its token speaks for; None where no token is asked for.
        address: Where it comes from; "" when that is not known.
    """

    def __init__(self, door: "Door", protocol: ServerProtocol, server: SocketServer, **options: Any) -> None:  # noqa: ANN401 -- the library's own options
        """Makes a connection as the library does, and remembers the door."""
        super().__init__(protocol, server, **options)
        self.bot: BotIdentity | None = None
        self.address = ""
        self._door = door
        self._in = False
        self._unfinished = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- the library's signature is wider than it means
        """Counts it, or drops it where there are too many: even a connection that says nothing costs a socket."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._in = self._unfinished = self._door.arrive(self.address)
        if not self._in:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives its places back."""
        self.settle()
        if self._in:
            self._door.connections -= 1
            self._in = False
        super().connection_lost(exc)

    def settle(self) -> None:
        """Notes that it has said what it wants. Idempotent."""
        if self._unfinished:
            self._door.settled(self.address)
            self._unfinished = False


class Door:
    """Answers `GET /health` and `GET /metrics`, and turns away who may not come in.

    Attributes:
        connections: How many there are, from the first byte of each to its last.
    """

    def __init__(
        self,
        config: ServerConfig,
        meter: Meter,
        *,
        authenticate: Authenticate | None,
        health: Callable[[], Mapping[str, object]],
    ) -> None:
        """Opens nothing yet.

        Args:
            config: Limits.
            meter: Counts who is turned away, and has the metrics.
            authenticate: Checks tokens; everybody may come in when left out.
            health: Says how the server is.
        """
        self.connections = 0
        self._most = config.max_streams + _SPARE_CONNECTIONS
        self._most_unfinished = config.max_handshakes_per_address
        self._meter = meter
        self._authenticate = authenticate
        self._health = health
        self._failures = Allowance[str](
            per_s=config.failures_per_minute / 60.0, burst=config.failures_per_minute, clock=meter.clock
        )
        self._unfinished: collections.Counter[str] = collections.Counter()

    def connection(self, protocol: ServerProtocol, server: SocketServer, **options: Any) -> Visitor:  # noqa: ANN401 -- the library's own options
        """Makes a connection object for a socket that was accepted."""
        return Visitor(self, protocol, server, **options)

    def arrive(self, address: str) -> bool:
        """Says whether one more connection may stay, and counts it, as unfinished for now, if so."""
        if self.connections >= self._most or self._unfinished[address] >= self._most_unfinished:
            self._meter.refused_handshakes.labels("too_many").inc()
            return False
        self.connections += 1
        self._unfinished[address] += 1
        return True

    def settled(self, address: str) -> None:
        """Notes that a connection that was counted is no longer unfinished."""
        self._unfinished[address] -= 1
        if self._unfinished[address] <= 0:
            del self._unfinished[address]

    def answer(self, visitor: Visitor, request: Request) -> Response | None:
        """Answers a request. None lets the WebSocket's handshake go on."""
        parts = urlsplit(request.path)
        if parts.path == "/health":
            return _response("application/json", json.dumps(self._health()).encode())
        if parts.path == "/metrics":
            return _response(CONTENT_TYPE_LATEST, self._meter.page())
        if self._authenticate is None:
            return None
        bot = self._authenticate(find_token(request.headers, parts.query))
        if bot is None:
            return self._turn_away(visitor)
        visitor.bot = bot
        return None

    def _turn_away(self, visitor: Visitor) -> Response:
        """Says that the token is no good. Who has a good one is never held up by the failures of a neighbour."""
        self._meter.refused_handshakes.labels("unauthorized").inc()
        if not self._failures.allows(visitor.address):
            return visitor.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many attempts without a valid token\n")
        log.info("stream_unauthorized")
        return visitor.respond(HTTPStatus.UNAUTHORIZED, "a valid bearer token is required\n")


def tell_extensions(_visitor: ServerConnection, _request: Request, response: Response) -> None:
    """Adds to the handshake's answer what this server can do beyond the stock protocol."""
    response.headers[EXTENSIONS_HEADER] = "configure"


def find_token(headers: Headers, query: str) -> str | None:
    """Finds the bearer token of a request: in `Authorization`, else in `?token=`, where stock clients put it."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next(iter(parse_qs(query).get("token", [])), None)


def _response(content_type: str, data: bytes) -> Response:
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(data)), "Connection": "close"})
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, data)
