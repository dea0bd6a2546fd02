"""One Pub/Sub connection from its making to its end."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from redis.asyncio.client import PubSub

from usher.adapters.redis.connection import FAILURES

_KEEPALIVE = "usher:live"
"""Always subscribed, so that the connection is a Pub/Sub connection even while nobody listens to anything."""


class Link:
    """Brings the channels that Redis delivers into line with those that are wanted, and takes what it delivers.

    Args:
        pubsub: Not yet connected, used by this link alone.
        take: Called with a channel's name and each of its messages, and with None when its delivery has begun.
        ping_s: Between two pings; silence for twice as long ends the link.
    """

    def __init__(self, pubsub: PubSub, take: Callable[[str, bytes | None], None], *, ping_s: float) -> None:
        self._pubsub, self._take, self._ping_s = pubsub, take, ping_s
        self._wanted: set[str] = set()
        self._subscribed: set[str] = set()
        self._unconfirmed: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def want(self, name: str) -> None:
        """Have a channel delivered; the word that it is may come again."""
        self._wanted.add(name)
        self._changed.set()
        if name in self._subscribed and not self._unconfirmed[name]:
            self._take(name, None)

    def want_no_more(self, name: str) -> None:
        """Have a channel delivered no longer."""
        self._wanted.discard(name)
        self._changed.set()

    async def run(self) -> None:
        """Connect, and stay until something fails.

        Raises:
            ExceptionGroup: Of `connection.FAILURES`; a silent connection is a `TimeoutError`.
        """
        try:
            await self._pubsub.subscribe(_KEEPALIVE)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                tasks.create_task(self._read())
        finally:
            with contextlib.suppress(*FAILURES):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def _write(self) -> None:
        """Send what changes, and a ping where nothing does.

        Ends on a cancellation that did not arrive: redis-py sends with `asyncio.wait_for`, which loses one that comes
        in the moment of success.
        Source: CPython issue 86296, mended in 3.12.
        """
        task = asyncio.current_task()
        while True:
            self._changed.clear()
            await self._align()
            if task is None or task.cancelling():
                return
            try:
                async with asyncio.timeout(self._ping_s):
                    await self._changed.wait()
            except TimeoutError:
                await self._pubsub.ping()

    async def _align(self) -> None:
        begun, ended = self._wanted - self._subscribed, self._subscribed - self._wanted
        self._subscribed = set(self._wanted)
        self._unconfirmed.update(begun)
        if begun:
            await self._pubsub.subscribe(*begun)
        if ended:
            await self._pubsub.unsubscribe(*ended)

    async def _read(self) -> None:
        while True:
            async with asyncio.timeout(2 * self._ping_s):
                message = await self._pubsub.get_message(timeout=None)
            if message is not None and message["channel"] is not None:
                self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        name = message["channel"].decode()
        if message["type"] == "message":
            self._take(name, message["data"])
        elif message["type"] == "subscribe" and name in self._unconfirmed:
            self._unconfirmed[name] -= 1
            if not self._unconfirmed[name]:  # else it was left and joined again, and this is the first joining
                del self._unconfirmed[name]
                self._take(name, None)
