"""Appends what was heard to the segment stream, through the bot's own Redis account."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from usher.bot.cancellation import is_cancelled
from usher.bot.unconfirmed import Item, Unconfirmed
from usher.protocol.reports import SegmentMark
from usher.protocol.segments import STREAM, SegmentEntry, sign

log = structlog.get_logger(__name__)

_MOST_WAITING = 5000
_BATCH = 100
_RETRY_S = 1.0

_Key = tuple[str, str]


class Publisher:
    """Sends entries in order; while Redis is away, a newer revision of a segment takes the place of an older one.

    Bounded: beyond the limit the oldest partial text goes first, then the oldest final text; both are counted.

    Attributes:
        lost: Segments that had to go unsent.
        unconfirmed: Final segments that were sent and are not known to be safe.
    """

    def __init__(
        self, redis: Redis, meeting_id: int, connection_id: str, token: str, *, retry_s: float = _RETRY_S
    ) -> None:
        self._retry_s = retry_s
        self._redis = redis
        self._meeting_id = meeting_id
        self._connection_id = connection_id
        self._token = token
        self._waiting: OrderedDict[_Key, Item] = OrderedDict()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.unconfirmed = Unconfirmed()
        self.lost = 0

    def publish(self, entry: SegmentEntry) -> None:
        """Queue an entry."""
        self._queue([Item(entry.session_uid, entry.session_start, segment) for segment in entry.segments])

    def settle(self, asked: Sequence[SegmentMark], stored: Sequence[SegmentMark], asked_s: float) -> None:
        """Take the manager's answer, and send again what Redis seems to have lost; `asked_s` is the loop's time."""
        lost = self.unconfirmed.lost
        again = self.unconfirmed.settle(asked, stored, asked_s)
        if again:
            log.warning("segments_sent_again", segments=len(again))
            self._queue([item for item in again if item.key not in self._waiting])
        if self.unconfirmed.lost > lost:
            log.error("segments_lost", segments=self.unconfirmed.lost - lost)

    def undelivered(self) -> list[Item]:
        """Return what is not known to be safe: first what was sent, then what waits."""
        return [*self.unconfirmed, *self._waiting.values()]

    @property
    def delivered(self) -> bool:
        """Whether everything is sent, and all final text is known to be safe."""
        return not self._waiting and not len(self.unconfirmed)

    async def run(self) -> None:
        """Send until cancelled."""
        while not is_cancelled():
            await self._news.wait()
            self._news.clear()
            while self._waiting and not is_cancelled():
                if not await self._send_some():
                    await asyncio.sleep(self._retry_s)
            if not self._waiting:
                self._idle.set()

    async def flush(self, timeout_s: float) -> None:
        """Wait until everything is sent, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("segments_unsent", segments=len(self._waiting), lost=self.lost)

    def _queue(self, items: Sequence[Item]) -> None:
        for item in items:
            self._waiting[item.key] = item
        while len(self._waiting) > _MOST_WAITING:
            partial = next((key for key, item in self._waiting.items() if not item.segment.completed), None)
            self._waiting.pop(partial or next(iter(self._waiting)))
            self.lost += 1
        if self._waiting:
            self._idle.clear()
            self._news.set()

    async def _send_some(self) -> bool:
        first = next(iter(self._waiting.values()))
        batch = [item for item in self._waiting.values() if item.session_uid == first.session_uid][:_BATCH]
        entry = SegmentEntry(
            meeting_id=self._meeting_id,
            session_uid=first.session_uid,
            session_start=first.session_start,
            segments=[item.segment for item in batch],
        )
        fields: dict[Any, Any] = dict(sign(entry, self._connection_id, self._token))
        try:
            await cast("Awaitable[object]", self._redis.xadd(STREAM, fields))
        except (RedisError, OSError) as error:
            log.warning("stream_unreachable", error=type(error).__name__, waiting=len(self._waiting))
            return False
        for item in batch:
            if self._waiting.get(item.key) is item:
                del self._waiting[item.key]
        self.unconfirmed.note(batch, asyncio.get_running_loop().time())
        return True
