"""Appends what was heard to the segment stream, through the bot's own Redis account."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from datetime import datetime
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from usher.bot.cancellation import is_cancelled
from usher.protocol.segments import STREAM, SegmentEntry, SpokenSegment, sign

log = structlog.get_logger(__name__)

_MOST_WAITING = 5000
_BATCH = 100
_RETRY_S = 1.0

_Key = tuple[str, str]
_Waiting = tuple[datetime, SpokenSegment]


class Publisher:
    """Sends entries in order; while Redis is away, a newer revision of a segment takes the place of an older one.

    Bounded: beyond the limit the oldest partial text goes first, then the oldest final text; both are counted.

    Attributes:
        lost: Segments that had to go unsent.
    """

    def __init__(
        self, redis: Redis, meeting_id: int, connection_id: str, token: str, *, retry_s: float = _RETRY_S
    ) -> None:
        self._retry_s = retry_s
        self._redis = redis
        self._meeting_id = meeting_id
        self._connection_id = connection_id
        self._token = token
        self._waiting: OrderedDict[_Key, _Waiting] = OrderedDict()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.lost = 0

    def publish(self, entry: SegmentEntry) -> None:
        """Queue an entry."""
        for segment in entry.segments:
            self._waiting[entry.session_uid, segment.segment_id] = (entry.session_start, segment)
        while len(self._waiting) > _MOST_WAITING:
            partial = next((key for key, (_, segment) in self._waiting.items() if not segment.completed), None)
            self._waiting.pop(partial or next(iter(self._waiting)))
            self.lost += 1
        self._idle.clear()
        self._news.set()

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

    async def _send_some(self) -> bool:
        session_uid = next(iter(self._waiting))[0]
        keys = [key for key in self._waiting if key[0] == session_uid][:_BATCH]
        batch = {key: self._waiting[key] for key in keys}
        entry = SegmentEntry(
            meeting_id=self._meeting_id,
            session_uid=session_uid,
            session_start=next(iter(batch.values()))[0],
            segments=[segment for _, segment in batch.values()],
        )
        fields: dict[Any, Any] = dict(sign(entry, self._connection_id, self._token))
        try:
            await cast("Awaitable[object]", self._redis.xadd(STREAM, fields))
        except (RedisError, OSError) as error:
            log.warning("stream_unreachable", error=type(error).__name__, waiting=len(self._waiting))
            return False
        for key, sent in batch.items():
            if self._waiting.get(key) is sent:
                del self._waiting[key]
        return True
