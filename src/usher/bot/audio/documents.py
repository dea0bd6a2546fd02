"""Reads what the scripts in the page's documents send: numbered messages that go on over several connections."""

import asyncio
import json
import secrets
import struct
import time
from collections.abc import Callable
from typing import Any

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from usher.bot.audio.frames import SAMPLE_BYTES, Ears, Frame

log = structlog.get_logger(__name__)

_HEADER = struct.Struct("<Id")
_SECRET_S = 10.0
_MOST_POSITION = 2**53
_MOST_NAME = 255
_MOST_HEARD = 100
_MOST_DOCUMENTS = 500
_TRACKS_OF_A_DOCUMENT = 1_000_000
_MALFORMED = (ValueError, KeyError, TypeError, OverflowError, struct.error)


class _Document:
    """One document of the page, across its connections.

    Attributes:
        received: How many numbered messages of it came.
        tracks: Its tracks that are not over, by our number.
    """

    def __init__(self, number: int) -> None:
        self._first_track = number * _TRACKS_OF_A_DOCUMENT
        self._ahead_s = float("inf")
        self.connection: ServerConnection | None = None
        self.received = 0
        self.tracks: set[int] = set()
        self.ending: asyncio.TimerHandle | None = None

    def track(self, number: object) -> int:
        """Return our number of a track, by the page's."""
        if not isinstance(number, int) or not 0 <= number < _TRACKS_OF_A_DOCUMENT:
            raise ValueError("not the number of a track")
        return self._first_track + number

    def age_s(self, at_ms: object) -> float:
        """Return how long ago something was by the page's clock, of which the fastest message tells the most."""
        if at_ms is None:
            return 0.0
        if not isinstance(at_ms, int | float) or not 0 <= at_ms < _MOST_POSITION:
            raise ValueError("not a time")
        now_s = time.monotonic()
        self._ahead_s = min(self._ahead_s, now_s - at_ms / 1000)
        return max(0.0, now_s - at_ms / 1000 - self._ahead_s)


class Desk:
    """Reads the messages of all pages and hands them to the ears.

    Args:
        ears: Who hears.
        secret: What a page has to know.
        away_s: How long a page may be without a connection before its tracks are over.
    """

    def __init__(self, ears: Ears, secret: str, away_s: float) -> None:
        self._ears = ears
        self._secret = secret.encode()
        self._away_s = away_s
        self._documents: dict[str, _Document] = {}
        self._opened = 0
        self._news: dict[str, Callable[[_Document, dict[str, Any]], None]] = {
            "track": self._begin,
            "ended": self._end,
            "sources": self._sources,
            "speaks": self._speaks,
            "resume": self._resume,
            "deaf": _note_deafness,
        }

    async def serve(self, socket: ServerConnection) -> None:
        """Serve one connection of a page, which proves itself by the secret."""
        try:
            document = await self._admit(socket)
            if document is not None:
                await self._receive(socket, document)
        except (ConnectionClosed, TimeoutError):
            log.info("capture_disconnected")
        except _MALFORMED as error:
            # Only this connection ends: the capture script comes back with a new one.
            log.warning("capture_malformed", error=type(error).__name__)

    async def _admit(self, socket: ServerConnection) -> _Document | None:
        async with asyncio.timeout(_SECRET_S):
            first = await socket.recv()
        try:
            said = json.loads(first)
            secret, name = said["secret"], str(said.get("page", id(socket)))[:_MOST_NAME]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        if not isinstance(secret, str) or not secrets.compare_digest(secret.encode(), self._secret):
            return None
        document = self._documents.get(name)
        if document is None:
            if len(self._documents) >= _MOST_DOCUMENTS:
                self._documents.pop(next(iter(self._documents)))
            document = self._documents[name] = _Document(self._opened)
            self._opened += 1
        document.age_s(said.get("atMs"))
        return document

    async def _receive(self, socket: ServerConnection, document: _Document) -> None:
        if document.ending is not None:
            document.ending.cancel()
        # One that is half open may hang on; what it still carries comes over the new one.
        before, document.connection = document.connection, socket
        if before is not None:
            before.transport.abort()
        try:
            await socket.send(json.dumps({"received": document.received}))
            async for message in socket:
                if document.connection is not socket:
                    return
                self._take(document, message)
        finally:
            if document.connection is socket:
                document.connection = None
                document.ending = asyncio.get_running_loop().call_later(self._away_s, self._end_all, document)

    def _take(self, document: _Document, message: str | bytes) -> None:
        # Counted first: what cannot be read is not asked for again.
        document.received += 1
        if isinstance(message, bytes):
            track, frame = _read_frame(message)
            self._ears.hear(document.track(track), frame)
            return
        news = json.loads(message)
        if (take := self._news.get(news["type"])) is not None:
            take(document, news)

    def _begin(self, document: _Document, news: dict[str, Any]) -> None:
        track, track_id, kind = (
            document.track(news["id"]),
            str(news["trackId"])[:_MOST_NAME],
            news.get("kind", "remote"),
        )
        if kind not in {"remote", "output"}:
            raise ValueError("not a kind of track")
        if track not in document.tracks:
            document.tracks.add(track)
            self._ears.begin(track, track_id, kind=kind, age_s=document.age_s(news.get("atMs")))

    def _end(self, document: _Document, news: dict[str, Any]) -> None:
        track = document.track(news["id"])
        document.tracks.discard(track)
        self._ears.end(track)

    def _sources(self, document: _Document, news: dict[str, Any]) -> None:
        heard = [int(source) for source, _ in news["heard"][:_MOST_HEARD]]
        self._ears.sources(document.track(news["id"]), _position(news["position"]), heard)

    def _speaks(self, document: _Document, news: dict[str, Any]) -> None:
        people = [str(person)[:_MOST_NAME] for person in news["ids"][:_MOST_HEARD]]
        self._ears.speaks(people, age_s=document.age_s(news["atMs"]))

    def _resume(self, document: _Document, news: dict[str, Any]) -> None:
        """Go on counting where the page says; what it no longer has is a gap in the positions."""
        for track in news["tracks"]:
            self._begin(document, track)
        document.received = _position(news["from"])

    def _end_all(self, document: _Document) -> None:
        for track in sorted(document.tracks):
            self._ears.end(track)
        document.tracks.clear()


def _read_frame(message: bytes) -> tuple[int, Frame]:
    track, position = _HEADER.unpack_from(message)
    pcm = message[_HEADER.size :]
    if not 0 <= position < _MOST_POSITION or len(pcm) % SAMPLE_BYTES:
        raise ValueError("not a frame of samples")
    return track, Frame(int(position), pcm)


def _position(number: object) -> int:
    if not isinstance(number, int | float) or not 0 <= number < _MOST_POSITION:
        raise ValueError("not a position")
    return int(number)


def _note_deafness(_: _Document, news: dict[str, Any]) -> None:
    # Packets with sound come in and nothing comes out: the page attaches the track anew.
    log.warning("track_delivers_zeros", times=int(news["times"]))
