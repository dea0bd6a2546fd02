"""Floor of B9: read a batch of the segment stream, write it with one upsert, acknowledge it, and again.

The same batches, table, key and drivers as Usher's; no signature, no validation, no sessions, no revisions, no dead
letters, nobody who watches.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from socket import socket
from typing import Any

import asyncpg
from redis.asyncio import Redis

from bench.floors.pool import open_pool

STREAM = "floor:segments"
"""A stream of its own: two groups of one stream would have each other's backlog."""

_GROUP = "floor"
_BATCH = 500
_BLOCK_MS = 1000
_TIMEOUT_S = 10.0

_SAVE = """
INSERT INTO transcriptions (
    meeting_id, segment_id, revision, session_uid, start_time, end_time, absolute_start, absolute_end,
    text, speaker, language, completed)
SELECT * FROM unnest(
    $1::bigint[], $2::text[], $3::integer[], $4::text[], $5::float8[], $6::float8[], $7::timestamptz[],
    $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::boolean[])
ON CONFLICT (meeting_id, segment_id) DO UPDATE SET
    revision = excluded.revision, text = excluded.text, completed = excluded.completed
"""


class Loop:
    """Collects until cancelled."""

    def __init__(self, redis: Redis, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._redis = redis
        self._pool = pool

    async def __call__(self, _listener: socket) -> None:
        """Collect; nobody calls."""
        await self._redis.xgroup_create(STREAM, _GROUP, id="0", mkstream=True)
        while True:
            answer = await self._redis.xreadgroup(_GROUP, "one", {STREAM: ">"}, count=_BATCH, block=_BLOCK_MS)
            entries = _entries(answer)
            if not entries:
                continue
            rows = [row for _, fields in entries for row in _rows(json.loads(fields[b"body"]))]
            await self._pool.execute(_SAVE, *(list(column) for column in zip(*rows, strict=True)))
            async with self._redis.pipeline(transaction=True) as pipe:
                ids = [entry_id for entry_id, _ in entries]
                pipe.xack(STREAM, _GROUP, *ids)
                pipe.xdel(STREAM, *ids)
                await pipe.execute()


@asynccontextmanager
async def open_collector(dsn: str, redis_url: str, pool_size: int) -> AsyncIterator[Loop]:
    """Connect to both databases and return the loop."""
    async with open_pool(dsn, pool_size) as pool, Redis.from_url(redis_url, socket_timeout=_TIMEOUT_S) as redis:
        yield Loop(redis, pool)


def _entries(answer: Any) -> list[tuple[bytes, Mapping[bytes, bytes]]]:  # noqa: ANN401 - the client's own type
    """Return the entries; by the version of the protocol the client gives a map of lists of lists, or pairs."""
    batches = answer.values() if isinstance(answer, dict) else (batch for _, batch in answer or ())
    return [entry for batch in batches for entry in (batch if isinstance(batch[0][0], bytes) else batch[0])]


def _rows(entry: Mapping[str, Any]) -> list[tuple[object, ...]]:
    began = datetime.fromisoformat(entry["session_start"])
    return [
        (
            entry["meeting_id"],
            one["segment_id"],
            one["revision"],
            entry["session_uid"],
            one["start_s"],
            one["end_s"],
            began + timedelta(seconds=one["start_s"]),
            began + timedelta(seconds=one["end_s"]),
            one["text"],
            one["speaker"],
            one["language"],
            one["completed"],
        )
        for one in entry["segments"]
    ]
