"""What was heard, on its way into the segment stream of a real Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest_asyncio
from redis.asyncio import Redis

from usher.bot.publisher import Publisher
from usher.protocol.segments import BODY, CONNECTION, STREAM, SegmentEntry, SpokenSegment, is_signed

_PATIENCE_S = 20.0
_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def _entry(segment_id: str, revision: int, text: str, *, session: str = "s", completed: bool = False) -> SegmentEntry:
    segment = SpokenSegment(
        segment_id=segment_id, revision=revision, start_s=0.0, end_s=1.0, text=text, completed=completed
    )
    return SegmentEntry(meeting_id=7, session_uid=session, session_start=_START, segments=[segment])


class _Away:
    """A Redis that takes no writes for a while: its memory is full."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self) -> None:
        await self._redis.set("occupied", "x" * 100)
        await self._redis.config_set("maxmemory", "1")

    async def end(self) -> None:
        await self._redis.config_set("maxmemory", "0")


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as client:
        yield client
        await client.config_set("maxmemory", "0")


@pytest_asyncio.fixture
async def publisher(redis: Redis) -> AsyncIterator[Publisher]:
    publishing = Publisher(redis, 7, "connection", "token", retry_s=0.02)
    task = asyncio.create_task(publishing.run())
    yield publishing
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _stream(redis: Redis) -> list[Mapping[str, bytes]]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await cast("Awaitable[Any]", redis.xrange(STREAM)))
    return [{name.decode(): value for name, value in fields.items()} for _, fields in entries]


async def _segments(redis: Redis) -> list[SpokenSegment]:
    bodies = [SegmentEntry.model_validate_json(fields[BODY]) for fields in await _stream(redis)]
    return [segment for body in bodies for segment in body.segments]


async def test_entries_are_signed_and_say_whose_they_are(redis: Redis, publisher: Publisher) -> None:
    publisher.publish(_entry("s:1", 0, "hello"))
    await publisher.flush(_PATIENCE_S)
    (fields,) = await _stream(redis)
    assert is_signed(fields, "token")
    assert not is_signed(fields, "another token")
    assert fields[CONNECTION] == b"connection"
    entry = SegmentEntry.model_validate_json(fields[BODY])
    assert (entry.meeting_id, entry.session_uid, entry.session_start) == (7, "s", _START)


async def test_order_is_kept(redis: Redis, publisher: Publisher) -> None:
    for number in range(250):
        publisher.publish(_entry(f"s:{number}", 0, str(number)))
    await publisher.flush(_PATIENCE_S)
    assert [segment.text for segment in await _segments(redis)] == [str(number) for number in range(250)]
    assert all(len(SegmentEntry.model_validate_json(f[BODY]).segments) <= 100 for f in await _stream(redis))


async def test_sessions_do_not_share_entries(redis: Redis, publisher: Publisher) -> None:
    for session in ("one", "two", "one"):
        publisher.publish(_entry(f"{session}:1", 0, session, session=session))
    await publisher.flush(_PATIENCE_S)
    bodies = [SegmentEntry.model_validate_json(fields[BODY]) for fields in await _stream(redis)]
    assert [(body.session_uid, len(body.segments)) for body in bodies] == [("one", 1), ("two", 1)]


async def test_while_redis_is_away_the_newest_revision_waits(redis: Redis, publisher: Publisher) -> None:
    away = _Away(redis)
    await away.begin()
    for revision, text in enumerate(("hel", "hello", "hello there")):
        publisher.publish(_entry("s:1", revision, text))
    publisher.publish(_entry("s:2", 0, "and"))
    publisher.publish(_entry("s:1", 3, "Hello there.", completed=True))
    await publisher.flush(0.1)
    assert await _stream(redis) == []
    await away.end()
    await publisher.flush(_PATIENCE_S)
    heard = await _segments(redis)
    assert [(segment.segment_id, segment.text) for segment in heard] == [("s:1", "Hello there."), ("s:2", "and")]


async def test_what_waits_is_bounded_and_final_text_stays_longest(redis: Redis, publisher: Publisher) -> None:
    away = _Away(redis)
    await away.begin()
    publisher.publish(_entry("s:final", 0, "Final.", completed=True))
    for number in range(6000):
        publisher.publish(_entry(f"s:{number}", 0, str(number)))
    assert publisher.lost == 1001
    await away.end()
    await publisher.flush(_PATIENCE_S)
    heard = await _segments(redis)
    assert len(heard) == 5000
    assert heard[0].text == "Final."
    assert heard[-1].text == "5999"


async def test_a_flush_with_nothing_to_send_is_done(publisher: Publisher) -> None:
    async with asyncio.timeout(1.0):
        await publisher.flush(_PATIENCE_S)


async def test_what_is_sent_again_does_not_replace_what_is_newer(redis: Redis, publisher: Publisher) -> None:
    publisher.publish(_entry("s:1", 1, "old", completed=True))
    await publisher.flush(_PATIENCE_S)
    away = _Away(redis)
    await away.begin()
    publisher.publish(_entry("s:1", 2, "new", completed=True))
    later_s = asyncio.get_running_loop().time() + 10.0
    for _ in range(2):
        publisher.settle(publisher.unconfirmed.marks(later_s), [], later_s)
    assert [item.segment.text for item in publisher.undelivered()] == ["new"]
    await away.end()
    await publisher.flush(_PATIENCE_S)
    assert [segment.text for segment in await _segments(redis)] == ["old", "new"]
    assert not publisher.delivered


async def test_final_text_is_delivered_when_the_manager_has_it_and_partial_text_when_it_is_sent(
    publisher: Publisher,
) -> None:
    publisher.publish(_entry("s:1", 0, "hel"))
    assert not publisher.delivered
    await publisher.flush(_PATIENCE_S)
    assert publisher.delivered
    publisher.publish(_entry("s:1", 1, "Hello.", completed=True))
    await publisher.flush(_PATIENCE_S)
    assert not publisher.delivered
    now_s = asyncio.get_running_loop().time()
    asked = publisher.unconfirmed.marks(now_s, settled=False)
    publisher.settle(asked, asked, now_s)
    assert publisher.delivered
