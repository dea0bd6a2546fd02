"""Frames on their way to Redis: a bounded queue, sent in batches, so that nobody who publishes waits for Redis."""

import asyncio
from collections import deque

import structlog
from redis.asyncio import Redis

from usher.adapters.redis.connection import FAILURES

log = structlog.get_logger(__name__)

_MOST_WAITING = 10_000
_BATCH = 200
_GATHER_S = 0.005


class FrameSender:
    """Publishes in the order of `send`. What finds no room, or no Redis, is dropped and counted.

    Attributes:
        unsent: Frames that were dropped.
    """

    def __init__(self, client: Redis) -> None:
        self.unsent = 0
        self._client = client
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def send(self, channel: str, frame: bytes) -> None:
        """Queue a frame."""
        if len(self._waiting) >= _MOST_WAITING:
            self.unsent += 1
            return
        self._waiting.append((channel, frame))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name="frame-sender")

    async def flush(self) -> None:
        """Wait until what is queued has been sent or dropped."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])

    async def _send_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_S)
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                async with self._client.pipeline(transaction=False) as pipeline:
                    for channel, frame in batch:
                        pipeline.publish(channel, frame)
                    await pipeline.execute()
            except FAILURES as error:
                self.unsent += len(batch)
                log.warning("frames_not_published", frames=len(batch), error=type(error).__name__)
