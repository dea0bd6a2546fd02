"""Live frames: one Redis connection per process, fanned out to bounded queues in the process.

One connection that 1,000 viewers share delivers about eight times as fast as a connection each, and Redis allows only
so many connections.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator

import structlog
from pydantic_core import to_json
from redis.asyncio import Redis

from usher.adapters.redis.connection import FAILURES
from usher.adapters.redis.link import Link
from usher.adapters.redis.sender import FrameSender
from usher.domain.errors import Unavailable
from usher.ports import Json

log = structlog.get_logger(__name__)

_FIRST_RETRY_S, _SLOWEST_RETRY_S = 0.1, 2.0


def live_channel(meeting_id: int) -> str:
    """Return the name of the channel of a meeting's frames."""
    return f"usher:live:{meeting_id}"


class RedisSubscription:
    """A viewer's bounded queue.

    Attributes:
        lost: Frames that overflowed, and one for each time that the connection to Redis was lost: nobody knows how
            many frames that cost. Whoever sees it grow reads again from the store.
    """

    def __init__(self, feed: "RedisFeed", channel: str, queue_size: int) -> None:
        self.lost = 0
        self._feed, self._channel = feed, channel
        self._frames: deque[Json] = deque(maxlen=queue_size)
        self._news = asyncio.Event()
        self._open = True

    async def __aenter__(self) -> "RedisSubscription":
        """Return once frames published from now on will arrive.

        Raises:
            Unavailable: Redis does not answer.
        """
        await self._feed.join(self._channel, self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening; whoever iterates comes to an end."""
        self._feed.leave(self._channel, self)
        self.close()

    async def __aiter__(self) -> AsyncIterator[Json]:
        """Iterate over frames as they come, until the subscription is left or the feed closed."""
        while self._open:
            await self._news.wait()
            self._news.clear()
            while self._frames and self._open:
                yield self._frames.popleft()

    def offer(self, frame: Json) -> None:
        """Queue a frame; the oldest makes room."""
        self.lost += len(self._frames) == self._frames.maxlen
        self._frames.append(frame)
        self._news.set()

    def close(self) -> None:
        """End the iteration."""
        self._open = False
        self._news.set()


class _Channel:
    """Who listens here to one channel; `ready` while Redis is known to deliver it, `gap` since it last was."""

    def __init__(self) -> None:
        self.listeners: set[RedisSubscription] = set()
        self.ready = asyncio.Event()
        self.gap = False

    def offer(self, frame: Json) -> None:
        """Give every listener a frame."""
        for listener in self.listeners:
            listener.offer(frame)


class RedisFeed:
    """Publishes frames, and hears them over one connection that is made when somebody first listens.

    The connection is pinged; one that is silent for two pings is given up and made anew, with all its channels.

    Args:
        client: Its pool lends the one connection.
        queue_size: Frames that a slow viewer may be behind.
        ping_s: Between two pings; a dead connection is noticed after twice that at most.
        join_timeout_s: How long entering a subscription may take.
    """

    def __init__(
        self, client: Redis, *, queue_size: int = 256, ping_s: float = 4.0, join_timeout_s: float = 10.0
    ) -> None:
        self._sender = FrameSender(client)
        self._client = client
        self._queue_size, self._ping_s, self._join_timeout_s = queue_size, ping_s, join_timeout_s
        self._channels: dict[str, _Channel] = {}
        self._link: Link | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def unpublished(self) -> int:
        """Frames that could not be sent."""
        return self._sender.unsent

    def publish(self, meeting_id: int, frame: Json) -> None:
        """Queue a frame for whoever listens; nobody waits for Redis, and a loss is counted in `unpublished`."""
        self._sender.send(live_channel(meeting_id), to_json(frame))

    def subscribe(self, meeting_id: int) -> RedisSubscription:
        """Listen to a meeting. Enter the result."""
        return RedisSubscription(self, live_channel(meeting_id), self._queue_size)

    async def aclose(self) -> None:
        """Send what is queued, let go of the connection and end all iterations. The client is the caller's."""
        await self._sender.flush()
        for channel in self._channels.values():
            for listener in channel.listeners:
                listener.close()
        listening, self._listening = self._listening, None
        while listening is not None and not listening.done():
            listening.cancel()  # more than once, as one may be lost: see Link
            await asyncio.wait([listening], timeout=0.1)

    async def join(self, name: str, listener: RedisSubscription) -> None:
        """Add a listener and wait until Redis has confirmed the channel.

        Raises:
            Unavailable: It has not, in time.
        """
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="redis-feed")
        channel = self._channels.setdefault(name, _Channel())
        channel.listeners.add(listener)
        if self._link is not None:
            self._link.want(name)
        try:
            async with asyncio.timeout(self._join_timeout_s):
                await channel.ready.wait()
        except TimeoutError as error:
            raise Unavailable("Redis does not answer: live frames cannot be heard.") from error
        finally:
            if not channel.ready.is_set():
                self.leave(name, listener)

    def leave(self, name: str, listener: RedisSubscription) -> None:
        """Take a listener away, and the channel with the last one. Idempotent."""
        channel = self._channels.get(name)
        if channel is None:
            return
        channel.listeners.discard(listener)
        if not channel.listeners:
            del self._channels[name]
            if self._link is not None:
                self._link.want_no_more(name)

    async def _listen(self) -> None:
        """Keep one connection after another, for as long as the feed lives."""
        retry_s = _FIRST_RETRY_S
        while True:
            link = self._link = Link(self._client.pubsub(), self._dispatch, ping_s=self._ping_s)
            for name in self._channels:
                link.want(name)
            try:
                await link.run()
            except* FAILURES as group:
                log.warning("feed_disconnected", error=repr(group.exceptions), retry_s=retry_s)
            retry_s = _FIRST_RETRY_S if self._lose() else min(retry_s * 2, _SLOWEST_RETRY_S)
            await asyncio.sleep(retry_s)

    def _lose(self) -> bool:
        """Take note that the connection is lost; returns whether there was one."""
        self._link = None
        had = [channel for channel in self._channels.values() if channel.ready.is_set()]
        for channel in had:
            channel.ready.clear()
            channel.gap = True
            for listener in channel.listeners:
                listener.lost += 1
        return bool(had)

    def _dispatch(self, name: str, data: bytes | None) -> None:
        """Take a message of a channel, or the word that the channel is delivered from now on."""
        channel = self._channels.get(name)
        if channel is None:
            return
        if data is not None:
            try:
                channel.offer(json.loads(data))
            except ValueError:
                log.warning("frame_unreadable", channel=name)
            return
        channel.ready.set()
        if channel.gap:
            channel.gap = False
            channel.offer({})
