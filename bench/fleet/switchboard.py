"""One connection to Redis that thousands of simulated bots share, where each real bot has one of its own.

Ten thousand connections are more than a process of this machine may open and than Redis takes by default.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

_RETRY_S = 1.0
_MOST_WAITING = 1000
_OWN_CHANNEL = "usher:bench:fleet"


class Switchboard:
    """Hears the channels of many bots over one connection and passes on what comes."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pubsub = redis.pubsub()
        self._ears: dict[str, Ear] = {}

    def line(self) -> Redis:
        """Return what takes the place of a bot's own client."""
        return cast("Redis", _Line(self._redis, self))

    async def run(self) -> None:
        """Pass messages on until cancelled. The client connects again by itself, and then subscribes again."""
        await self._pubsub.subscribe(_OWN_CHANNEL)
        while True:
            try:
                message = await self._pubsub.get_message(timeout=None)
            except (RedisError, OSError):
                await asyncio.sleep(_RETRY_S)
                continue
            if message is not None and (ear := self._ears.get(message["channel"].decode())):
                ear.take(message)

    async def listen(self, channel: str, ear: "Ear") -> None:
        """Begin to hear a channel; a message of type `subscribe` comes first."""
        self._ears[channel] = ear
        await self._pubsub.subscribe(channel)

    async def stop_listening(self, channel: str) -> None:
        """Hear a channel no longer."""
        if self._ears.pop(channel, None) is not None:
            await self._pubsub.unsubscribe(channel)


class _Line:
    """As much of a Redis client as a bot uses."""

    def __init__(self, redis: Redis, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self.xadd = redis.xadd

    def pubsub(self) -> "Ear":
        return Ear(self._switchboard)


class Ear:
    """One bot's subscription."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._channel = ""
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(_MOST_WAITING)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        await self._switchboard.stop_listening(self._channel)

    async def subscribe(self, channel: str) -> None:
        """Hear a channel."""
        self._channel = channel
        await self._switchboard.listen(channel, self)

    async def get_message(self, timeout: float) -> Mapping[str, Any] | None:
        """Return the next message; None after the timeout, seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._waiting.get()
        except TimeoutError:
            return None

    async def ping(self) -> None:
        """Answer at once: the connection is watched by the switchboard."""
        self.take({"type": "pong"})

    def take(self, message: Mapping[str, Any]) -> None:
        """Queue a message.

        Raises:
            ConnectionError: The bot has not listened for too long.
        """
        if self._waiting.full():
            raise RedisConnectionError("too much was published and not heard")
        self._waiting.put_nowait(message)
