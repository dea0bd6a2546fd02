"""Takes what the capture script sends out of the page: 16 kHz mono float32 frames of each track."""

import asyncio
import json
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

log = structlog.get_logger(__name__)

_HEADER = struct.Struct("<Id")
_SECRET_S = 10.0
_MOST_FRAME_BYTES = 64 * 1024
_SAMPLE_BYTES = 4
_MOST_POSITION = 2**53
_MOST_NAME = 200
_MALFORMED = (ValueError, KeyError, TypeError, OverflowError, struct.error)
_SCRIPT = Path(__file__).with_name("capture.js")


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples of one track.

    Attributes:
        position: Number of the first sample since the track began.
        pcm: float32 little endian, mono, 16 kHz.
    """

    position: int
    pcm: bytes


class Ears(Protocol):
    """Whoever wants to hear."""

    def begin(self, track: int, track_id: str) -> None:
        """A track appeared; `track_id` is the page's own name of it."""

    def hear(self, track: int, frame: Frame) -> None:
        """Samples of a track, in order."""

    def end(self, track: int) -> None:
        """A track is over."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """An open receiver; `script` is what the page has to run before anything else."""

    script: str


@asynccontextmanager
async def open_receiver(ears: Ears) -> AsyncIterator[Receiver]:
    """Listen on a loopback port for one page, which proves itself by a secret made for this visit."""
    secret = secrets.token_urlsafe(24)

    async def handle(socket: ServerConnection) -> None:
        try:
            if await _is_ours(socket, secret):
                await _receive(socket, ears)
        except (ConnectionClosed, TimeoutError):
            log.info("capture_disconnected")
        except _MALFORMED as error:
            # Only this connection ends: the capture script comes back with a new one.
            log.warning("capture_malformed", error=type(error).__name__)

    async with serve(
        handle, "127.0.0.1", 0, compression=None, max_size=_MOST_FRAME_BYTES, ping_interval=None
    ) as server:
        port = server.sockets[0].getsockname()[1]
        config = json.dumps({"url": f"ws://127.0.0.1:{port}", "secret": secret})
        yield Receiver(_SCRIPT.read_text().replace("__CONFIG__", config))


async def _is_ours(socket: ServerConnection, secret: str) -> bool:
    async with asyncio.timeout(_SECRET_S):
        first = await socket.recv()
    try:
        said = json.loads(first)["secret"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(said, str) and secrets.compare_digest(said.encode(), secret.encode())


async def _receive(socket: ServerConnection, ears: Ears) -> None:
    async for message in socket:
        if isinstance(message, bytes):
            ears.hear(*_read_frame(message))
            continue
        news = json.loads(message)
        if news["type"] == "track":
            ears.begin(int(news["id"]), str(news["trackId"])[:_MOST_NAME])
        elif news["type"] == "ended":
            ears.end(int(news["id"]))


def _read_frame(message: bytes) -> tuple[int, Frame]:
    track, position = _HEADER.unpack_from(message)
    pcm = message[_HEADER.size :]
    if not 0 <= position < _MOST_POSITION or len(pcm) % _SAMPLE_BYTES:
        raise ValueError("not a frame of samples")
    return track, Frame(int(position), pcm)
