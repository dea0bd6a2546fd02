"""The Redis side, in memory and real, and the bots' end of it that the contract has to play."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from usher.adapters.memory.redis import (
    MemoryBotAccess,
    MemoryCommandChannel,
    MemoryFeed,
    MemorySegmentStream,
    SegmentLog,
)
from usher.adapters.redis.access import RedisBotAccess, account_name
from usher.adapters.redis.channel import RedisCommandChannel
from usher.adapters.redis.connection import connect
from usher.adapters.redis.feed import RedisFeed
from usher.adapters.redis.stream import DEAD_STREAM, RedisSegmentStream
from usher.ports import BotAccess, CommandChannel, Feed, SegmentStream
from usher.protocol.commands import command_channel
from usher.protocol.segments import STREAM

CLAIM_IDLE_S = 0.5
QUEUE_SIZE = 4
PATIENCE_S = 30.0


async def subscribed(client: Redis, channel: str) -> PubSub:
    """Subscribe and wait for the confirmation."""
    pubsub = client.pubsub()
    await pubsub.subscribe(channel)
    message = await pubsub.get_message(timeout=PATIENCE_S)
    assert message is not None
    assert message["type"] == "subscribe"
    return pubsub


async def next_message(pubsub: PubSub) -> str:
    """Return the next message of a subscription."""
    async with asyncio.timeout(PATIENCE_S):
        message = None
        while message is None:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
    text: str = message["data"].decode()
    return text


class RedisWorld(ABC):
    """One parameter of the contract."""

    channel: CommandChannel
    access: BotAccess
    feed: Feed

    @abstractmethod
    def stream(self) -> SegmentStream:
        """Return another consumer of the same stream; entries held for `CLAIM_IDLE_S` are abandoned."""

    @abstractmethod
    async def append(self, fields: Mapping[str, bytes]) -> None:
        """Add an entry to the stream."""

    @abstractmethod
    async def dead(self) -> list[str]:
        """Return the reasons of the dead letters."""

    @abstractmethod
    async def listen(self, connection_id: str) -> object:
        """Begin to listen to commands, as a bot."""

    @abstractmethod
    async def heard(self, ear: object) -> str:
        """Return the next command that `listen` hears."""

    @abstractmethod
    async def may_enter(self, connection_id: str, password: str) -> bool:
        """Say whether the bot's account opens with that password."""

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing behind."""


class InMemory(RedisWorld):
    def __init__(self) -> None:
        self.commands = MemoryCommandChannel()
        self.accounts = MemoryBotAccess()
        self.segments = SegmentLog()
        self.channel, self.access, self.feed = self.commands, self.accounts, MemoryFeed(queue_size=QUEUE_SIZE)

    def stream(self) -> MemorySegmentStream:
        return MemorySegmentStream(self.segments, claim_idle_s=CLAIM_IDLE_S)

    async def append(self, fields: Mapping[str, bytes]) -> None:
        self.segments.append(fields)

    async def dead(self) -> list[str]:
        return [reason for _, reason in self.segments.dead]

    async def listen(self, connection_id: str) -> asyncio.Queue[str]:
        return self.commands.listen(connection_id)

    async def heard(self, ear: object) -> str:
        assert isinstance(ear, asyncio.Queue)
        word: str = await asyncio.wait_for(ear.get(), PATIENCE_S)
        return word

    async def may_enter(self, connection_id: str, password: str) -> bool:
        return self.accounts.passwords.get(connection_id) == password

    async def close(self) -> None:
        return


class RealRedis(RedisWorld):
    def __init__(self, url: str) -> None:
        self._address = url.rpartition("@")[2]
        self.client = connect(url)
        self._consumers = itertools.count()
        self.live = RedisFeed(self.client, queue_size=QUEUE_SIZE, ping_s=0.5)
        self.channel, self.access, self.feed = RedisCommandChannel(self.client), RedisBotAccess(self.client), self.live

    def stream(self) -> RedisSegmentStream:
        return RedisSegmentStream(
            self.client, consumer=f"c{next(self._consumers)}", claim_idle_s=CLAIM_IDLE_S, claim_every_s=0.1
        )

    def bot(self, connection_id: str, password: str) -> Redis:
        return connect(f"redis://{account_name(connection_id)}:{password}@{self._address}")

    async def append(self, fields: Mapping[str, bytes]) -> None:
        await self.client.xadd(STREAM, dict(fields))  # type: ignore[arg-type]  # redis-py's field type is invariant

    async def dead(self) -> list[str]:
        letters: list[Any] = await self.client.xrange(DEAD_STREAM) or []
        return [fields[b"dead_reason"].decode() for _, fields in letters]

    async def listen(self, connection_id: str) -> PubSub:
        return await subscribed(self.client, command_channel(connection_id))

    async def heard(self, ear: object) -> str:
        assert isinstance(ear, PubSub)
        return await next_message(ear)

    async def may_enter(self, connection_id: str, password: str) -> bool:
        bot = self.bot(connection_id, password)
        try:
            await bot.ping()
        except RedisError:
            return False
        finally:
            await bot.aclose()
        return True

    async def close(self) -> None:
        await self.live.aclose()
        await self.client.aclose()
