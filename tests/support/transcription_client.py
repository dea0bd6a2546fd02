"""A small client of the WhisperLive protocol, for tests."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from tests.support.speech_clips import Pcm, frames
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from usher.protocol.whisper import (
    END_OF_AUDIO,
    Problem,
    Segment,
    Segments,
    ServerMessage,
    ServerReady,
    parse_server_message,
)

PATIENCE_S = 60.0
OPTIONS = {"uid": "test", "language": "en", "task": "transcribe", "model": "base", "use_vad": True}

M = TypeVar("M", bound=ServerMessage)


class Client:
    """One stream. Keeps every message; `close_code` is set when the server has closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[ServerMessage] = []
        self.close_code: int | None = None
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in self.socket:
                async with self._news:
                    self.messages.append(parse_server_message(data))
                    self._news.notify_all()
        async with self._news:
            self.close_code = self.socket.close_code
            self._news.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition on what was received; fails when the server closes before it holds."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: condition() or self.close_code is not None)
        assert condition(), f"closed with {self.close_code} after {self.messages}"

    @contextlib.asynccontextmanager
    async def more(self, kind: type[M]) -> AsyncIterator[None]:
        """Waits at its end until there is a message of a kind that was not there at its beginning."""
        known = len(self.all(kind))
        yield
        await self.until(lambda: len(self.all(kind)) > known)

    async def closed(self) -> int | None:
        await self.until(lambda: self.close_code is not None)
        return self.close_code

    async def say(self, pcm: Pcm) -> None:
        for frame in frames(pcm):
            await self.socket.send(frame)

    async def configure(self, **change: object) -> None:
        await self.socket.send(json.dumps({"type": "configure", **change}))

    async def end(self) -> None:
        """Sends the end of the audio and waits for the server to finish and close with 1000."""
        await self.socket.send(END_OF_AUDIO)
        assert await self.closed() == 1000

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def problems(self) -> list[str]:
        return [f"{message.status}: {message.message}" for message in self.all(Problem)]

    @property
    def heard(self) -> list[Segment]:
        """Every segment of every message, in the order received."""
        return [segment for message in self.all(Segments) for segment in message.segments]

    @property
    def completed(self) -> list[Segment]:
        """The newest revision of each completed segment, by id."""
        newest = {segment.id: segment for segment in self.heard if segment.completed}
        return sorted(newest.values(), key=lambda segment: segment.id or 0)

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.completed).strip()


@contextlib.asynccontextmanager
async def open_client(
    port: int,
    *,
    path: str = "/",
    token: str | None = None,
    first: str | bytes | None = None,
    **options: str | int | None,
) -> AsyncIterator[Client]:
    """Connects and sends the options, or `first` in their place."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers, compression=None) as socket:
        await socket.send(first if first is not None else json.dumps(OPTIONS | options))
        client = Client(socket)
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            listening.cancel()


@contextlib.asynccontextmanager
async def open_ready_client(
    port: int, *, token: str | None = None, **options: str | int | None
) -> AsyncIterator[Client]:
    """Connects and waits until the server takes audio."""
    async with open_client(port, token=token, first=json.dumps(OPTIONS | options)) as client:
        await client.until(lambda: bool(client.all(ServerReady)))
        yield client
