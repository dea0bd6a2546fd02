"""The stream between bots and collectors, read by one consumer group."""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.typing import EncodableT, FieldT

from usher.adapters.redis.connection import answering
from usher.ports import StreamEntry
from usher.protocol.segments import STREAM, meeting_named_in

log = structlog.get_logger(__name__)

DEAD_STREAM = f"{STREAM}:dead"
GROUP = "collector"
_LONGEST_BLOCK_S = 1.0
_DEAD_FIELDS, _DEAD_VALUE_BYTES = 16, 1 << 16
_PAGE = 500

_FORGET_CONSUMERS = """
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local about = {}
    for i = 1, #row, 2 do about[row[i]] = row[i + 1] end
    if about['pending'] == 0 and about['idle'] > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    end
end
"""


class RedisSegmentStream:
    """One consumer of the segment stream.

    Entries are deleted when they are acknowledged, so the length of the stream is the backlog.

    Args:
        client: Its socket timeout has to be longer than a second, which is how long one read blocks.
        consumer: Name within the group; unique to the process if left out.
        claim_idle_s: Entries that another consumer has held for longer are taken over.
        claim_every_s: How often to look for them.
        forget_idle_s: Consumers that hold nothing and were not seen for longer are forgotten.
        dead_limit: About how many entries the dead-letter stream keeps.
    """

    def __init__(
        self,
        client: Redis,
        *,
        consumer: str | None = None,
        claim_idle_s: float = 3.0,
        claim_every_s: float = 1.0,
        forget_idle_s: float = 3600.0,
        dead_limit: int = 10_000,
    ) -> None:
        self._client = client
        self._consumer = consumer or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._claim_idle_ms = int(claim_idle_s * 1000)
        self._claim_every_s = claim_every_s
        self._forget_idle_ms = int(forget_idle_s * 1000)
        self._dead_limit = dead_limit
        self._next_claim = 0.0
        self._cursor = b"0-0"

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        """Return abandoned entries if there are any, else new ones, else nothing after `wait_s`.

        Raises:
            Unavailable: Redis does not answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        with answering():
            if loop.time() >= self._next_claim and (entries := await self._in_group(partial(self._claim, limit))):
                return entries
            while True:
                block_s = min(deadline - loop.time(), _LONGEST_BLOCK_S)
                entries = await self._in_group(partial(self._read_new, limit, block_s))
                if entries or loop.time() >= deadline:
                    return entries

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take entries off the stream for good, all or none. Idempotent.

        Raises:
            Unavailable: Redis does not answer; the entries may be gone or not.
        """
        if not entry_ids:
            return
        with answering():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xack(STREAM, GROUP, *entry_ids)
                pipe.xdel(STREAM, *entry_ids)
                await pipe.execute()

    async def bury(self, entry: StreamEntry, *, reason: str) -> None:
        """Move an entry to the dead-letter stream, cut to a size that cannot fill the memory.

        Raises:
            Unavailable: Redis does not answer; the entry is where it was or buried.
        """
        with answering():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xadd(DEAD_STREAM, _obituary(entry, reason), maxlen=self._dead_limit, approximate=True)
                pipe.xack(STREAM, GROUP, entry.entry_id)
                pipe.xdel(STREAM, entry.entry_id)
                await pipe.execute()
        log.warning("stream_entry_buried", entry_id=entry.entry_id, reason=reason)

    async def forget(self, meeting_id: int) -> None:
        """Take every entry of a meeting off the stream and out of the dead letters, a page at a time. Idempotent.

        Raises:
            Unavailable: Redis does not answer; some may be gone.
        """
        with answering():
            for stream in (STREAM, DEAD_STREAM):
                async for page in self._pages(stream):
                    found = [entry_id for entry_id, fields in page if _is_of(meeting_id, fields)]
                    if found:
                        await self._remove(stream, found)

    async def backlog(self) -> int:
        """Return the number of entries that are not acknowledged.

        Raises:
            Unavailable: Redis does not answer.
        """
        with answering():
            return int(await self._client.xlen(STREAM))

    async def lag_s(self) -> float:
        """Return the age of the oldest entry that is not acknowledged.

        Source: Redis documentation, "Entry IDs": the first part of an id is the time of the server in milliseconds.

        Raises:
            Unavailable: Redis does not answer.
        """
        with answering():
            oldest: Any = await self._client.xrange(STREAM, count=1)
            if not oldest:
                return 0.0
            seconds, microseconds = await self._client.time()
        added_ms = int(oldest[0][0].split(b"-")[0])
        return max(0.0, int(seconds) + int(microseconds) / 1e6 - added_ms / 1e3)

    async def _pages(self, stream: str) -> AsyncIterator[Sequence[Any]]:
        """Yield what a stream holds now, page by page."""
        after = "-"
        while True:
            page: Any = await self._client.xrange(stream, min=after, count=_PAGE)
            if not page:
                return
            yield page
            after = "(" + page[-1][0].decode()

    async def _remove(self, stream: str, entry_ids: Sequence[bytes]) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            if stream == STREAM:
                pipe.xack(STREAM, GROUP, *entry_ids)
            pipe.xdel(stream, *entry_ids)
            await pipe.execute()

    async def _in_group(self, call: Callable[[], Awaitable[list[StreamEntry]]]) -> list[StreamEntry]:
        """Call, and once more after making the group if it is missing: Redis was new, emptied or restarted."""
        try:
            return await call()
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
        await self._create_group()
        return await call()

    async def _create_group(self) -> None:
        try:
            await self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another collector was faster
                raise
        log.info("stream_group_created", stream=STREAM, group=GROUP)

    async def _claim(self, limit: int) -> list[StreamEntry]:
        cursor, found, *_ = await self._client.xautoclaim(
            STREAM, GROUP, self._consumer, self._claim_idle_ms, start_id=self._cursor, count=limit
        )
        self._cursor = cursor
        if cursor == b"0-0":
            self._next_claim = asyncio.get_running_loop().time() + self._claim_every_s
            await self._client.eval(_FORGET_CONSUMERS, 1, STREAM, GROUP, str(self._forget_idle_ms))
        return [_entry(*one) for one in found]

    async def _read_new(self, limit: int, block_s: float) -> list[StreamEntry]:
        block_ms = int(block_s * 1000) if block_s > 0 else None
        answer = await self._client.xreadgroup(
            GROUP, self._consumer, {STREAM: ">"}, count=limit, block=block_ms or None
        )
        return [_entry(*one) for one in _entries(answer)]


def _entries(answer: Any) -> Sequence[Any]:  # noqa: ANN401  the client's own type depends on the protocol version
    """Return the entries of the one stream that was asked for; RESP 2 answers with pairs, RESP 3 with a map."""
    if not answer:
        return ()
    if isinstance(answer, dict):
        (batches,) = answer.values()
        return [entry for batch in batches for entry in batch]
    ((_, entries),) = answer
    return list(entries)


def _is_of(meeting_id: int, fields: Mapping[bytes, bytes]) -> bool:
    return meeting_named_in({name.decode(errors="replace"): value for name, value in fields.items()}) == meeting_id


def _entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> StreamEntry:
    return StreamEntry(entry_id.decode(), {name.decode(errors="replace"): value for name, value in fields.items()})


def _obituary(entry: StreamEntry, reason: str) -> dict[FieldT, EncodableT]:
    kept: dict[FieldT, EncodableT] = {}
    kept |= {name[:100]: value[:_DEAD_VALUE_BYTES] for name, value in list(entry.fields.items())[:_DEAD_FIELDS]}
    return {**kept, "dead_entry_id": entry.entry_id, "dead_reason": reason}
