"""A Redis in memory: accounts, Pub/Sub and the segment stream, as managers and bots reach it."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.explorer.faults import Boundaries, Lost, Remote, now_s
from tests.explorer.plans import Place
from tests.explorer.processes import current

from usher.adapters.memory.redis import MemoryBotAccess, MemorySegmentStream, SegmentLog
from usher.ports import BotAccess, CommandChannel, Mark, SegmentStream
from usher.protocol.commands import command_channel
from usher.protocol.segments import BODY, STREAM, SegmentEntry


class RedisServer:
    """What outlives its clients.

    Attributes:
        acknowledged: Final segments whose entries were taken off the stream.
    """

    def __init__(self) -> None:
        self.acknowledged: set[Mark] = set()
        self.access = _Accounts(self)
        self.segments = SegmentLog()
        self._listening: list[BotPubSub] = []

    def listen(self, one: "BotPubSub") -> None:
        """Begin to hand messages to a connection."""
        self._listening.append(one)

    def listeners(self, channel: str) -> "list[BotPubSub]":
        """Return the connections that are subscribed."""
        self._listening = [one for one in self._listening if not one.broken]
        return [one for one in self._listening if channel in one.channels]

    def cut(self, connection_id: str | None = None) -> None:
        """Cut the connections of one account, or all."""
        for one in self._listening:
            if connection_id in {None, one.connection_id}:
                one.cut()

    def empty(self) -> None:
        """Forget all keys: the stream, its groups and what was read of it (FLUSHALL)."""
        self.segments.held.clear()

    def restart(self, *, durable: bool) -> None:
        """Cut everybody off; accounts are in no file, and the stream is in one only if it is `durable`."""
        self.cut()
        self.access.passwords.clear()
        if not durable:
            self.empty()


class _Accounts(MemoryBotAccess):
    """The accounts; to revoke one is to cut its connections."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self._server = server

    async def revoke(self, connection_id: str) -> None:
        """Remove an account, and cut its connections."""
        await super().revoke(connection_id)
        self._server.cut(connection_id)


class _Channel:
    """Pub/Sub as a manager sees it. What a connection is sent may be delayed, and overtaken."""

    def __init__(self, server: RedisServer, boundaries: Boundaries) -> None:
        self._server = server
        self._boundaries = boundaries

    async def publish(self, connection_id: str, message: str) -> int:
        """Publish and return the number of listeners reached."""
        listeners = self._server.listeners(command_channel(connection_id))
        for one in listeners:
            if self._boundaries.plan.is_deaf():
                self._boundaries.chronicle.fault(
                    now_s(), "message lost", "redis", f"{one.connection_id[:8]} hears nothing"
                )
                continue
            asyncio.get_running_loop().call_later(self._boundaries.plan.delay_s(), one.hand, message.encode())
        told = f"published to {len(listeners)} of {connection_id[:8]}: {message}"
        self._boundaries.chronicle.note(now_s(), "redis", told)
        return len(listeners)


class _Stream(MemorySegmentStream):
    """The stream; notes what is taken off it for good."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server.segments)
        self._server = server

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take entries off the stream."""
        for entry_id in entry_ids:
            held = self._server.segments.held.get(entry_id)
            if held is not None:
                said = SegmentEntry.model_validate_json(held.entry.fields[BODY])
                final = (one for one in said.segments if one.completed)
                self._server.acknowledged.update(Mark(said.meeting_id, one.segment_id, one.revision) for one in final)
        await super().acknowledge(entry_ids)


def remote_access(server: RedisServer, boundaries: Boundaries) -> BotAccess:
    """Return a manager's way to the accounts."""
    return cast("BotAccess", Remote(server.access, boundaries, Place.REDIS))


def remote_channel(server: RedisServer, boundaries: Boundaries) -> CommandChannel:
    """Return a manager's way to publish commands."""
    return cast("CommandChannel", Remote(_Channel(server, boundaries), boundaries, Place.REDIS))


def remote_stream(server: RedisServer, boundaries: Boundaries) -> SegmentStream:
    """Return a collector of its own: what it has read and not acknowledged is its own."""
    return cast("SegmentStream", Remote(_Stream(server), boundaries, Place.REDIS))


class BotRedis:
    """A bot's client: what `usher.bot` uses of `redis.asyncio.Redis`, with the bot's own account."""

    def __init__(self, server: RedisServer, boundaries: Boundaries, connection_id: str, password: str) -> None:
        self._server = server
        self._boundaries = boundaries
        self._connection_id = connection_id
        self._password = password

    def client(self) -> Redis:
        """Return it as what it stands in for."""
        return cast("Redis", self)

    async def xadd(self, stream: str, fields: Mapping[str, str]) -> str:
        """Append an entry."""

        async def append() -> str:
            self.require_account(stream)
            return self._server.segments.append({key: value.encode() for key, value in fields.items()})

        return str(await self.cross("xadd", append))

    def pubsub(self) -> "BotPubSub":
        """Return a connection for Pub/Sub."""
        return BotPubSub(self._server, self, self._connection_id)

    def require_account(self, target: str) -> None:
        """Let only those in who have an account, and to nothing but their own."""
        if self._server.access.passwords.get(self._connection_id) != self._password:
            raise AuthenticationError("WRONGPASS invalid username-password pair or user is disabled.")
        if target not in {STREAM, command_channel(self._connection_id)}:
            raise NoPermissionError(f"No permissions to access {target}")

    async def cross(self, name: str, call: Any) -> Any:
        """Make a call.

        Raises:
            redis.exceptions.ConnectionError: There is no answer.
        """
        try:
            return await self._boundaries.cross(Place.REDIS, f"redis.{name}", call)
        except Lost as error:
            raise RedisConnectionError(str(error)) from None


class BotPubSub:
    """One connection of a bot for Pub/Sub; once cut it says so, and never works again.

    Attributes:
        channels: What it is subscribed to.
        broken: Whether it was cut.
    """

    def __init__(self, server: RedisServer, client: BotRedis, connection_id: str) -> None:
        self.connection_id = connection_id
        self.channels: set[str] = set()
        self.broken = False
        self._server = server
        self._client = client
        self._messages: deque[Mapping[str, Any]] = deque()
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.broken = True

    async def subscribe(self, channel: str) -> None:
        """Subscribe."""

        async def subscribe() -> None:
            self._client.require_account(channel)
            self.channels.add(channel)
            self._server.listen(self)
            self._offer({"type": "subscribe", "channel": channel.encode(), "data": 1})

        await self._client.cross("subscribe", subscribe)

    async def ping(self) -> None:
        """Ask for a pong."""

        async def ping() -> None:
            self._offer({"type": "pong", "data": b""})

        self._require_unbroken()
        await self._client.cross("ping", ping)

    async def get_message(self, timeout: float = 0.0, **_: object) -> Mapping[str, Any] | None:
        """Return the next message, or None when none comes in time."""
        self._require_unbroken()
        if not self._messages:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._news.wait()
            except TimeoutError:
                return None
        if (process := current()) is not None:
            await process.gate()
        self._require_unbroken()
        return self._messages.popleft() if self._messages else None

    def hand(self, data: bytes) -> None:
        """Deliver a message of a channel, if the connection still stands."""
        if not self.broken:
            self._offer({"type": "message", "data": data})

    def cut(self) -> None:
        """Break the connection."""
        self.broken = True
        self._news.set()

    def _offer(self, message: Mapping[str, Any]) -> None:
        self._messages.append(message)
        self._news.set()

    def _require_unbroken(self) -> None:
        if self.broken:
            raise RedisConnectionError("Connection closed by server.")
