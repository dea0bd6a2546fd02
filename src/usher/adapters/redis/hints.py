"""Hints between processes that there is work, over Redis Pub/Sub. Losing one costs a poll interval."""

import asyncio
from collections.abc import Callable

import structlog
from redis.asyncio import Redis

from usher.adapters.redis.connection import FAILURES
from usher.adapters.redis.link import Link

log = structlog.get_logger(__name__)

_CHANNEL = "usher:work"


class RedisHints:
    """Sends hints, and hears those of others.

    Args:
        client: Its pool lends the connections.
        ping_s: Between two pings of the listening connection.
    """

    def __init__(self, client: Redis, *, ping_s: float = 4.0) -> None:
        self._client = client
        self._ping_s = ping_s
        self._sending: asyncio.Task[None] | None = None
        self._again = False

    def send(self) -> None:
        """Give a hint in the background; those given while one is under way become one more."""
        self._again = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="hints")

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` for each hint until the connection is lost; also when it is made: some may have been missed."""
        link = Link(self._client.pubsub(), lambda _name, _data: heard(), ping_s=self._ping_s)
        link.want(_CHANNEL)
        try:
            await link.run()
        except* FAILURES as group:
            log.warning("hints_disconnected", error=repr(group.exceptions))

    async def _send(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._client.publish(_CHANNEL, b"")
            except FAILURES as error:
                log.warning("hint_not_sent", error=type(error).__name__)
