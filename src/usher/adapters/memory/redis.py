"""The Redis side in memory: for tests and simulations, all of it within one event loop."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from usher.ports import Json, StreamEntry
from usher.protocol.segments import meeting_named_in


class MemoryCommandChannel:
    """Hands commands to whoever listens in this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[asyncio.Queue[str]]] = {}

    async def publish(self, connection_id: str, message: str) -> int:
        """Publish and return the number of listeners reached."""
        listeners = self._listeners.get(connection_id, [])
        for queue in listeners:
            queue.put_nowait(message)
        return len(listeners)

    def listen(self, connection_id: str) -> asyncio.Queue[str]:
        """Be the bot: returns the queue of what is published from now on."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.setdefault(connection_id, []).append(queue)
        return queue

    def hang_up(self, connection_id: str) -> None:
        """Let the bot be deaf from now on."""
        self._listeners.pop(connection_id, None)


class MemoryBotAccess:
    """Remembers who has an account.

    Attributes:
        passwords: Of the accounts that are granted, by connection.
    """

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}

    async def grant(self, connection_id: str, password: str) -> None:
        """Create or refresh an account."""
        self.passwords[connection_id] = password

    async def revoke(self, connection_id: str) -> None:
        """Remove an account."""
        self.passwords.pop(connection_id, None)

    async def accounts(self) -> frozenset[str]:
        """Return the connections that have an account."""
        return frozenset(self.passwords)


class MemorySubscription:
    """A viewer's bounded queue."""

    def __init__(self, listeners: "set[MemorySubscription]", queue_size: int) -> None:
        self.lost = 0
        self._listeners = listeners
        self._frames: deque[Json] = deque(maxlen=queue_size)
        self._news = asyncio.Event()
        self._open = True

    async def __aenter__(self) -> "MemorySubscription":
        """Begin to listen."""
        self._listeners.add(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening; whoever iterates comes to an end."""
        self._listeners.discard(self)
        self._open = False
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Json]:
        """Iterate over frames as they come, until the subscription is left."""
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


class MemoryFeed:
    """Fans frames out within this process."""

    def __init__(self, *, queue_size: int = 256) -> None:
        self._queue_size = queue_size
        self._listeners: dict[int, set[MemorySubscription]] = {}

    def publish(self, meeting_id: int, frame: Json) -> None:
        """Send a frame to whoever listens."""
        for listener in self._listeners.get(meeting_id, ()):
            listener.offer(frame)

    def subscribe(self, meeting_id: int) -> MemorySubscription:
        """Listen to a meeting. Enter the result."""
        return MemorySubscription(self._listeners.setdefault(meeting_id, set()), self._queue_size)


@dataclass(slots=True)
class _Held:
    entry: StreamEntry
    added: float
    since: float | None = None


class SegmentLog:
    """What outlives a consumer: the stream and its dead letters.

    Attributes:
        dead: Entries that can never be stored, and why.
    """

    def __init__(self, *, dead_limit: int = 10_000) -> None:
        self.dead: deque[tuple[StreamEntry, str]] = deque(maxlen=dead_limit)
        self.held: dict[str, _Held] = {}
        self.news = asyncio.Event()
        self._numbers = itertools.count(1)

    def append(self, fields: Mapping[str, bytes]) -> str:
        """Be the bot: add an entry and return its id."""
        entry = StreamEntry(f"{next(self._numbers)}-0", dict(fields))
        self.held[entry.entry_id] = _Held(entry, asyncio.get_running_loop().time())
        self.news.set()
        return entry.entry_id


class MemorySegmentStream:
    """One consumer of a segment log. Time is the loop's own."""

    def __init__(self, segments: SegmentLog | None = None, *, claim_idle_s: float = 5.0) -> None:
        self.log = segments or SegmentLog()
        self._claim_idle_s = claim_idle_s

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        """Return abandoned and new entries, or nothing after `wait_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            entries = self._take(limit, loop.time())
            if entries or loop.time() >= deadline:
                return entries
            self.log.news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self.log.news.wait()
            except TimeoutError:
                continue

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take entries off the stream for good."""
        for entry_id in entry_ids:
            self.log.held.pop(entry_id, None)

    async def bury(self, entry: StreamEntry, *, reason: str) -> None:
        """Move an entry to the dead letters."""
        self.log.dead.append((entry, reason))
        self.log.held.pop(entry.entry_id, None)

    async def forget(self, meeting_id: int) -> None:
        """Take every entry of a meeting off the log and out of the dead letters."""
        for entry_id, held in list(self.log.held.items()):
            if meeting_named_in(held.entry.fields) == meeting_id:
                del self.log.held[entry_id]
        for letter in list(self.log.dead):
            if meeting_named_in(letter[0].fields) == meeting_id:
                self.log.dead.remove(letter)

    async def backlog(self) -> int:
        """Return the number of entries that are not acknowledged."""
        return len(self.log.held)

    async def lag_s(self) -> float:
        """Return the age of the oldest entry that is not acknowledged."""
        oldest = next(iter(self.log.held.values()), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest.added

    def _take(self, limit: int, now: float) -> list[StreamEntry]:
        free = (one for one in self.log.held.values() if one.since is None or now - one.since >= self._claim_idle_s)
        taken = list(itertools.islice(free, limit))
        for one in taken:
            one.since = now
        return [one.entry for one in taken]
