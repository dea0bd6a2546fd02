"""What only a real Redis can show: what an account may not do, and what is left after a kill, a freeze, a flush."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError
from tests.contract.redis_server import RedisServer
from tests.contract.redis_worlds import PATIENCE_S, RealRedis, next_message, subscribed
from tests.support.eventually import eventually

from usher.adapters.redis.feed import RedisFeed
from usher.adapters.redis.stream import RedisSegmentStream
from usher.domain.errors import Unavailable
from usher.ports import Json, Subscription
from usher.protocol.commands import command_channel
from usher.protocol.segments import STREAM


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[RealRedis]:
    made = RealRedis(redis_url)
    yield made
    await made.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    made = RedisServer(tmp_path)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
async def mortal(server: RedisServer) -> AsyncIterator[RealRedis]:
    made = RealRedis(server.url)
    yield made
    await made.close()


@pytest.fixture
async def bot(world: RealRedis) -> AsyncIterator[Redis]:
    for name in "ab":
        await world.access.grant(name, f"secret-{name}")
    made = world.bot("a", "secret-a")
    yield made
    await made.aclose()


async def fails_for_now(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(Unavailable):
        await call()


async def next_frame(subscription: Subscription) -> Json:
    async with asyncio.timeout(PATIENCE_S):
        async for frame in subscription:
            return frame
    raise AssertionError("the subscription ended")


async def heard_again(world: RealRedis, viewer: Subscription) -> Json:
    """Wait for the word that there was a gap, then publish until something arrives."""
    assert await next_frame(viewer) == {}
    hearing = asyncio.create_task(next_frame(viewer))
    async with asyncio.timeout(PATIENCE_S):
        while not hearing.done():
            world.feed.publish(1, {"n": "after"})
            await asyncio.wait([hearing], timeout=0.1)
    return await hearing


async def test_a_bot_hears_its_channel_and_appends(world: RealRedis, bot: Redis) -> None:
    ear = await subscribed(bot, command_channel("a"))
    assert await world.channel.publish("a", "leave") == 1
    assert await next_message(ear) == "leave"
    assert await bot.xadd(STREAM, {"body": "x"})
    await ear.unsubscribe()
    await ear.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


FORBIDDEN = [
    ["SUBSCRIBE", command_channel("b")],
    ["PSUBSCRIBE", "bot_commands:*"],
    ["SUBSCRIBE", "usher:live:1"],
    ["PUBLISH", command_channel("a"), "x"],
    ["PUBLISH", command_channel("b"), "x"],
    ["XREAD", "STREAMS", STREAM, "0"],
    ["XRANGE", STREAM, "-", "+"],
    ["XREADGROUP", "GROUP", "collector", "x", "STREAMS", STREAM, ">"],
    ["XLEN", STREAM],
    ["XTRIM", STREAM, "MAXLEN", "0"],
    ["XDEL", STREAM, "1-0"],
    ["XACK", STREAM, "collector", "1-0"],
    ["XGROUP", "DESTROY", STREAM, "collector"],
    ["XADD", f"{STREAM}:dead", "*", "a", "b"],
    ["XADD", "anything", "*", "a", "b"],
    ["DEL", STREAM],
    ["UNLINK", STREAM],
    ["RENAME", STREAM, "x"],
    ["EXPIRE", STREAM, "1"],
    ["SET", STREAM, "x"],
    ["GET", STREAM],
    ["KEYS", "*"],
    ["SCAN", "0"],
    ["CONFIG", "GET", "*"],
    ["FLUSHALL"],
    ["FLUSHDB"],
    ["ACL", "LIST"],
    ["ACL", "SETUSER", "usher-bot-a", "+@all"],
    ["CLIENT", "LIST"],
    ["CLIENT", "KILL", "TYPE", "normal"],
    ["CLIENT", "NO-EVICT", "ON"],
    ["EVAL", "return 1", "0"],
    ["FUNCTION", "LIST"],
    ["INFO"],
    ["SHUTDOWN", "NOSAVE"],
    ["MONITOR"],
    ["PUBSUB", "CHANNELS"],
    ["MULTI"],
    ["SELECT", "1"],
]


@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
async def test_a_bot_may_not(world: RealRedis, bot: Redis, command: list[str]) -> None:
    await world.stream().read(limit=1, wait_s=0.0)
    await world.append({"body": b"kept"})
    connection = await bot.connection_pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    try:
        await connection.send_command(*command)
        with pytest.raises(NoPermissionError):
            await connection.read_response()
    finally:
        await bot.connection_pool.release(connection)
    assert await world.client.xlen(STREAM) == 1


async def test_a_refreshed_account_keeps_its_connection(world: RealRedis, bot: Redis) -> None:
    ear = await subscribed(bot, command_channel("a"))
    await world.access.grant("a", "secret-a")
    assert await world.channel.publish("a", "still") == 1
    assert await next_message(ear) == "still"
    await ear.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


async def test_revoking_cuts_a_live_connection_and_no_other(world: RealRedis, bot: Redis) -> None:
    other = world.bot("b", "secret-b")
    other_ear = await subscribed(other, command_channel("b"))
    await subscribed(bot, command_channel("a"))
    await bot.xadd(STREAM, {"body": "x"})
    await world.access.revoke("a")
    async with asyncio.timeout(PATIENCE_S):
        while await world.channel.publish("a", "anybody?"):  # noqa: ASYNC110  Redis closes it in its own time
            await asyncio.sleep(0.02)
    with pytest.raises(RedisError):
        await bot.xadd(STREAM, {"body": "y"})
    assert await world.channel.publish("b", "you") == 1
    assert await next_message(other_ear) == "you"
    await other_ear.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    await other.aclose()


async def test_a_password_is_not_kept_in_clear(world: RealRedis) -> None:
    await world.access.grant("a", "secret-a")
    accounts = await world.client.acl_list()
    assert "usher-bot-a" in str(accounts)
    assert "secret-a" not in str(accounts)


async def test_everything_says_unavailable_while_redis_is_down_and_works_after(
    mortal: RealRedis, server: RedisServer
) -> None:
    stream = mortal.stream()
    await stream.read(limit=1, wait_s=0.0)
    await server.kill()
    await fails_for_now(lambda: mortal.channel.publish("a", "x"))
    await fails_for_now(lambda: mortal.access.grant("a", "x"))
    await fails_for_now(lambda: mortal.access.revoke("a"))
    await fails_for_now(lambda: stream.read(limit=1, wait_s=0.0))
    await fails_for_now(lambda: stream.acknowledge(["1-0"]))
    await fails_for_now(stream.backlog)
    mortal.feed.publish(1, {})
    await eventually(lambda: mortal.live.unpublished == 1, timeout_s=PATIENCE_S)
    await server.start()
    assert await mortal.channel.publish("a", "x") == 0
    await mortal.access.grant("a", "x")
    await mortal.append({"body": b"0"})
    assert [entry.fields for entry in await stream.read(limit=1, wait_s=PATIENCE_S)] == [{"body": b"0"}]


async def test_a_flushed_stream_begins_anew(world: RealRedis) -> None:
    stream = world.stream()
    await world.append({"body": b"0"})
    assert len(await stream.read(limit=1, wait_s=PATIENCE_S)) == 1
    await world.client.flushall()
    await world.append({"body": b"1"})
    (entry,) = await stream.read(limit=1, wait_s=PATIENCE_S)
    assert entry.fields == {"body": b"1"}
    await stream.acknowledge([entry.entry_id])
    assert await stream.backlog() == 0


async def test_the_feed_is_back_after_redis_was_killed(mortal: RealRedis, server: RedisServer) -> None:
    async with mortal.feed.subscribe(1) as viewer:
        mortal.feed.publish(1, {"n": "before"})
        assert await next_frame(viewer) == {"n": "before"}
        await server.kill()
        await server.start()
        assert await heard_again(mortal, viewer) == {"n": "after"}
        assert viewer.lost >= 1
        async with mortal.feed.subscribe(1) as late:
            mortal.feed.publish(1, {"n": "late"})
            assert await next_frame(late) is not None


async def test_a_silent_connection_is_given_up(mortal: RealRedis, server: RedisServer) -> None:
    async with mortal.feed.subscribe(1) as viewer:
        server.freeze()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not viewer.lost:  # noqa: ASYNC110  what is waited for is the feed's own patience
                    await asyncio.sleep(0.05)
        finally:
            server.thaw()
        assert await heard_again(mortal, viewer) == {"n": "after"}


async def test_a_viewer_who_comes_while_redis_is_away_is_told_so(mortal: RealRedis, server: RedisServer) -> None:
    await server.kill()
    impatient = RedisFeed(mortal.client, join_timeout_s=0.3)
    with pytest.raises(Unavailable):
        await impatient.subscribe(1).__aenter__()
    await impatient.aclose()
    await server.start()


async def test_all_viewers_share_one_connection(world: RealRedis) -> None:
    viewers = [world.feed.subscribe(meeting_id) for meeting_id in range(100)]
    await asyncio.gather(*(viewer.__aenter__() for viewer in viewers))
    assert sum(int(client["sub"]) > 0 for client in await world.client.client_list()) == 1
    for meeting_id in range(100):
        world.feed.publish(meeting_id, {"n": meeting_id})
    assert [await next_frame(viewer) for viewer in viewers] == [{"n": n} for n in range(100)]
    for viewer in viewers:
        await viewer.__aexit__()
    async with asyncio.timeout(PATIENCE_S):
        while await world.client.pubsub_channels("usher:live:*"):  # noqa: ASYNC110  Redis does it in its own time
            await asyncio.sleep(0.02)


async def test_consumers_of_the_past_are_forgotten(world: RealRedis) -> None:
    stream = RedisSegmentStream(world.client, forget_idle_s=0.0)
    await world.append({"body": b"0"})
    await world.append({"body": b"1"})
    holds, idles = world.stream(), world.stream()
    assert len(await holds.read(limit=1, wait_s=PATIENCE_S)) == 1
    (entry,) = await idles.read(limit=1, wait_s=PATIENCE_S)
    await idles.acknowledge([entry.entry_id])
    await asyncio.sleep(0.01)
    await stream.read(limit=1, wait_s=0.0)
    names = {row["name"] for row in await world.client.xinfo_consumers(STREAM, "collector")}
    assert b"c0" in names
    assert b"c1" not in names
