"""V45 to V74 where the failure was about Redis: emptied, away, trimmed, or answered twice."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis
from tests.failure_modes.real_manager import CREDENTIALS, PATIENCE_S, Manager, manager_with_redis
from tests.support.world import wish

from usher.adapters.redis.stream import RedisSegmentStream
from usher.app.collector import Collector
from usher.bot.publisher import Publisher
from usher.domain.lifecycle import State
from usher.ports import Configuration, Meeting, StreamEntry
from usher.protocol.credentials import BotIdentity
from usher.protocol.segments import STREAM, SegmentEntry, SpokenSegment, sign

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def manager(database_dsn: str, redis_url: str) -> AsyncIterator[tuple[Manager, Redis]]:
    async with manager_with_redis(database_dsn, redis_url) as both:
        yield both


async def active(manager: Manager) -> Meeting:
    user = await manager.store.create_user("ann@example.com", name=None, max_concurrent_bots=9)
    meeting = (await manager.bots.request(user.user_id, wish())).meeting
    await manager.settle()
    await manager.reports.started(await manager.bot_of(meeting.meeting_id))
    return await manager.meeting(meeting.meeting_id)


def entry(meeting: Meeting, *numbers: int) -> SegmentEntry:
    said = [
        SpokenSegment(segment_id=f"s:{n}", revision=1, start_s=n, end_s=n + 1, text=f"word {n}", completed=True)
        for n in numbers
    ]
    return SegmentEntry(meeting_id=meeting.meeting_id, session_uid="uid", session_start=BEGAN, segments=said)


def fields(meeting: Meeting, *numbers: int) -> dict[str, str]:
    token = CREDENTIALS.token(BotIdentity(meeting.meeting_id, meeting.connection_id))
    return sign(entry(meeting, *numbers), meeting.connection_id, token)


async def collect_all(manager: Manager, collector: Collector | None = None) -> None:
    """Collect until the stream is empty."""
    async with asyncio.timeout(PATIENCE_S):
        while await manager.stream.backlog():
            await (collector or manager.collector).collect()


async def texts(manager: Manager, meeting: Meeting) -> list[str]:
    return [segment.text for segment in await manager.store.segments(meeting.meeting_id)]


async def test_v45_text_that_an_emptied_redis_lost_comes_again(manager: tuple[Manager, Redis]) -> None:
    here, client = manager
    meeting = await active(here)
    token = CREDENTIALS.token(BotIdentity(meeting.meeting_id, meeting.connection_id))
    publisher = Publisher(client, meeting.meeting_id, meeting.connection_id, token, retry_s=0.01)
    sending = asyncio.create_task(publisher.run())
    publisher.publish(entry(meeting, 1))
    await publisher.flush(PATIENCE_S)
    await client.flushall()
    later = asyncio.get_running_loop().time() + 60.0
    for _ in range(2):
        asked = publisher.unconfirmed.marks(later)
        publisher.settle(asked, [], later)
    await publisher.flush(PATIENCE_S)
    await here.collector.collect()
    await collect_all(here)
    sending.cancel()
    assert await texts(here, meeting) == ["word 1"]


async def test_v46_text_that_nobody_has_read_yet_is_never_trimmed(manager: tuple[Manager, Redis]) -> None:
    here, client = manager
    meeting = await active(here)
    async with client.pipeline(transaction=False) as pipe:
        for n in range(2000):
            pipe.xadd(STREAM, dict(fields(meeting, n)))  # type: ignore[arg-type]  # redis-py's field type is invariant
        await pipe.execute()
    await collect_all(here)
    assert len(await texts(here, meeting)) == 2000


class _DiesBeforeAcknowledging(RedisSegmentStream):
    """A collector's stream that ends with its process, between the commit and the acknowledgement."""

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        raise ConnectionAbortedError(f"{len(entry_ids)} entries are committed, and nobody says so")


async def test_v74_a_collector_that_dies_after_its_commit_doubles_and_loses_nothing(
    manager: tuple[Manager, Redis],
) -> None:
    here, client = manager
    meeting = await active(here)
    await client.xadd(STREAM, dict(fields(meeting, 1, 2, 3)))  # type: ignore[arg-type]  # as above
    dying = Collector(_DiesBeforeAcknowledging(client, consumer="dying"), here.store, here.feed, CREDENTIALS)
    with pytest.raises(ConnectionAbortedError):
        await dying.collect()
    assert await here.stream.backlog() == 1
    await collect_all(here)
    assert await texts(here, meeting) == ["word 1", "word 2", "word 3"]


class _NeverStores(RedisSegmentStream):
    """A collector's stream that gives entries and then dies with them unread."""

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        await super().read(limit=limit, wait_s=wait_s)
        raise ConnectionAbortedError("it had them, and is gone")


async def test_v47_what_a_dead_collector_had_taken_is_stored_by_another(manager: tuple[Manager, Redis]) -> None:
    here, client = manager
    meeting = await active(here)
    await client.xadd(STREAM, dict(fields(meeting, 1)))  # type: ignore[arg-type]  # as above
    dying = Collector(_NeverStores(client, consumer="dying"), here.store, here.feed, CREDENTIALS, wait_s=0.0)
    with pytest.raises(ConnectionAbortedError):
        await dying.collect()
    await collect_all(here)
    assert await texts(here, meeting) == ["word 1"]


async def test_v48_without_redis_bots_are_requested_configured_listed_and_stopped(database_dsn: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}"
        async with manager_with_redis(database_dsn, url, timeout_s=1.0) as (here, _):
            user = await here.store.create_user("ann@example.com", name=None, max_concurrent_bots=9)
            meeting = (await here.bots.request(user.user_id, wish())).meeting
            ref = meeting.ref
            await here.settle()
            await here.reports.started(await here.bot_of(meeting.meeting_id))
            changed = await here.bots.configure(user.user_id, ref.platform, ref.native_id, {"language": "de"})
            assert changed.desired_configuration == Configuration("de")
            assert len(await here.bots.list_running(user.user_id)) == 1
            await here.bots.stop(user.user_id, ref.platform, ref.native_id)
            bot = await here.bot_of(meeting.meeting_id)
            pending = await here.reports.pending_commands(bot, after_seq=0)
            assert [command.action for command in pending] == ["reconfigure", "leave"], "the bot reads them over HTTP"
            await here.settle()
            assert (await here.meeting(meeting.meeting_id)).status is State.COMPLETED


async def test_v70_text_is_shown_whatever_its_session_is_called(manager: tuple[Manager, Redis]) -> None:
    here, client = manager
    meeting = await active(here)
    token = CREDENTIALS.token(BotIdentity(meeting.meeting_id, meeting.connection_id))
    for uid in ("first", "after-a-reconnect"):
        spoken = entry(meeting, 1).segments[0].model_copy(update={"segment_id": f"{uid}:1"})
        said = entry(meeting).model_copy(update={"session_uid": uid, "segments": [spoken]})
        await client.xadd(STREAM, dict(sign(said, meeting.connection_id, token)))  # type: ignore[arg-type]  # as above
    await collect_all(here)
    assert await texts(here, meeting) == ["word 1", "word 1"]
