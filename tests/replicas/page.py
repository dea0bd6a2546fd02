"""One page of the bot that is open, and what brings sound to it."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any, Protocol

from fastapi import WebSocket, WebSocketDisconnect

_MOST_UNTOLD = 1000

Send = Callable[[dict[str, Any]], None]


class Media(Protocol):
    """What brings sound to the page."""

    async def connect(self, send: Send) -> None:
        """The page is in the call: offer it the sound. Ends an earlier page's connection."""
        ...

    async def take(self, message: dict[str, Any]) -> None:
        """Take the page's answer."""
        ...

    async def disconnect(self) -> None:
        """The page is not in the call any more. Idempotent."""
        ...

    def cut(self, *, connected: bool) -> None:
        """The page's network is there, or is not."""
        ...

    async def play(self, socket: WebSocket) -> None:
        """Send the mix as PCM for as long as the page listens."""
        ...


class OpenPage:
    """One open page: what is sent to it goes in order, and its sound follows the phase."""

    def __init__(self, socket: WebSocket, media: Media | None) -> None:
        self._socket = socket
        self._media = media
        self._unsent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_UNTOLD)
        self._inside: asyncio.Queue[bool] = asyncio.Queue(_MOST_UNTOLD)

    def send(self, message: dict[str, Any]) -> None:
        """Send soon. The state is written down now: what changes later is another message."""
        self._unsent.put_nowait(copy.deepcopy(message))

    async def run(self) -> None:
        """Send for as long as the page is there, and let it hear while it is inside."""
        following = asyncio.create_task(self._follow())
        try:
            while True:
                message = await self._unsent.get()
                await self._socket.send_json(message)
                if message["type"] == "state":
                    self._inside.put_nowait(message["phase"] == "inside")
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            following.cancel()
            await asyncio.wait({following})

    async def _follow(self) -> None:
        hears = False
        while True:
            inside, media = await self._inside.get(), self._media
            if media is None or inside == hears:
                continue
            hears = inside
            if inside:
                await media.connect(self.send)
            else:
                await media.disconnect()
