"""What commands' fast path, bots' accounts, live feed and segment stream have to do, in memory and in a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.contract.redis_worlds import CLAIM_IDLE_S, PATIENCE_S, QUEUE_SIZE, InMemory, RealRedis, RedisWorld

from usher.ports import Json, SegmentStream, StreamEntry, Subscription


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[RedisWorld]:
    made = InMemory() if request.param == "memory" else RealRedis(redis_url)
    yield made
    await made.close()


async def take(subscription: Subscription, count: int) -> list[Json]:
    frames: list[Json] = []
    async with asyncio.timeout(PATIENCE_S):
        async for frame in subscription:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames


async def read_some(stream: SegmentStream, limit: int = 10) -> Sequence[StreamEntry]:
    async with asyncio.timeout(PATIENCE_S):
        while not (entries := await stream.read(limit=limit, wait_s=0.2)):
            pass
    return entries


async def test_a_command_reaches_its_bot_and_no_other(world: RedisWorld) -> None:
    mine, other = await world.listen("a"), await world.listen("b")
    assert await world.channel.publish("a", '{"seq": 1}') == 1
    assert await world.channel.publish("b", '{"seq": 2}') == 1
    assert await world.heard(mine) == '{"seq": 1}'
    assert await world.heard(other) == '{"seq": 2}'


async def test_a_command_to_nobody_reaches_nobody(world: RedisWorld) -> None:
    assert await world.channel.publish("nobody", "{}") == 0


async def test_an_account_opens_with_its_password_only(world: RedisWorld) -> None:
    await world.access.grant("a", "secret-a")
    await world.access.grant("a", "secret-a")
    assert await world.may_enter("a", "secret-a")
    assert not await world.may_enter("a", "secret-b")
    assert not await world.may_enter("b", "secret-a")


async def test_a_refreshed_account_has_the_new_password_only(world: RedisWorld) -> None:
    await world.access.grant("a", "old")
    await world.access.grant("a", "new")
    assert await world.may_enter("a", "new")
    assert not await world.may_enter("a", "old")


async def test_a_revoked_account_is_closed(world: RedisWorld) -> None:
    await world.access.grant("a", "secret")
    await world.access.revoke("a")
    await world.access.revoke("a")
    assert not await world.may_enter("a", "secret")


async def test_accounts_are_told_by_their_connections(world: RedisWorld) -> None:
    assert await world.access.accounts() == frozenset()
    for name in "ab":
        await world.access.grant(name, "secret")
    assert await world.access.accounts() == {"a", "b"}
    await world.access.revoke("a")
    assert await world.access.accounts() == {"b"}


async def test_frames_arrive_in_order_at_every_viewer_of_the_meeting(world: RedisWorld) -> None:
    async with world.feed.subscribe(1) as first, world.feed.subscribe(1) as second, world.feed.subscribe(2) as other:
        for n in range(3):
            world.feed.publish(1, {"n": n})
        world.feed.publish(2, {"n": "other"})
        assert await take(first, 3) == await take(second, 3) == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert await take(other, 1) == [{"n": "other"}]
        assert first.lost == 0


async def test_frames_to_nobody_are_no_error(world: RedisWorld) -> None:
    world.feed.publish(2, {"n": 0})
    async with world.feed.subscribe(1) as viewer:
        world.feed.publish(1, {"n": 1})
        assert await take(viewer, 1) == [{"n": 1}]


async def test_a_slow_viewer_loses_the_oldest_and_is_told_how_many(world: RedisWorld) -> None:
    async with world.feed.subscribe(1) as slow, world.feed.subscribe(2) as quick:
        for n in range(QUEUE_SIZE + 3):
            world.feed.publish(1, {"n": n})
        world.feed.publish(2, {})
        await take(quick, 1)
        assert slow.lost == 3
        assert [frame["n"] for frame in await take(slow, QUEUE_SIZE)] == [3, 4, 5, 6]


async def test_whoever_leaves_hears_no_more_and_the_others_still_do(world: RedisWorld) -> None:
    async with world.feed.subscribe(1) as stays:
        async with world.feed.subscribe(1) as leaves:
            waiting = asyncio.create_task(take(leaves, 1))
            await asyncio.sleep(0)
        assert await asyncio.wait_for(waiting, PATIENCE_S) == []
        world.feed.publish(1, {"n": 1})
        assert await take(stays, 1) == [{"n": 1}]


async def test_a_meeting_can_be_left_and_joined_again(world: RedisWorld) -> None:
    for n in range(20):
        async with world.feed.subscribe(1) as viewer:
            world.feed.publish(1, {"n": n})
            assert await take(viewer, 1) == [{"n": n}]


async def test_entries_come_once_and_in_order(world: RedisWorld) -> None:
    stream = world.stream()
    for n in range(5):
        await world.append({"body": str(n).encode(), "signature": b"\xff\x00"})
    first = await read_some(stream, limit=3)
    second = await read_some(stream, limit=3)
    assert [entry.fields["body"] for entry in [*first, *second]] == [b"0", b"1", b"2", b"3", b"4"]
    assert first[0].fields["signature"] == b"\xff\x00"
    assert len({entry.entry_id for entry in [*first, *second]}) == 5


async def test_two_consumers_share_the_entries(world: RedisWorld) -> None:
    one, other = world.stream(), world.stream()
    for n in range(4):
        await world.append({"body": str(n).encode()})
    taken = [*await read_some(one, limit=2), *await read_some(other, limit=2)]
    assert sorted(entry.fields["body"] for entry in taken) == [b"0", b"1", b"2", b"3"]


async def test_reading_nothing_takes_as_long_as_asked_and_news_end_the_wait(world: RedisWorld) -> None:
    stream = world.stream()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await stream.read(limit=1, wait_s=0.3) == []
    assert loop.time() - begun >= 0.25
    reading = asyncio.create_task(stream.read(limit=1, wait_s=PATIENCE_S))
    await asyncio.sleep(0.1)
    await world.append({"body": b"news"})
    (entry,) = await asyncio.wait_for(reading, PATIENCE_S)
    assert entry.fields == {"body": b"news"}


async def test_what_a_dead_consumer_took_is_given_to_another(world: RedisWorld) -> None:
    await world.append({"body": b"0"})
    dead, alive = world.stream(), world.stream()
    (taken,) = await read_some(dead)
    assert await alive.read(limit=10, wait_s=0.0) == []
    await asyncio.sleep(CLAIM_IDLE_S + 0.2)
    assert await read_some(alive) == [taken]
    assert await alive.backlog() == 1


async def test_acknowledged_entries_are_gone_for_good(world: RedisWorld) -> None:
    stream = world.stream()
    for n in range(3):
        await world.append({"body": str(n).encode()})
    entries = await read_some(stream)
    assert await stream.backlog() == 3
    for _ in range(2):
        await stream.acknowledge([entry.entry_id for entry in entries[:2]])
    await stream.acknowledge([])
    assert await stream.backlog() == 1
    await asyncio.sleep(CLAIM_IDLE_S + 0.2)
    assert await read_some(world.stream()) == entries[2:]


async def test_a_buried_entry_is_off_the_stream_and_kept_with_the_reason(world: RedisWorld) -> None:
    stream = world.stream()
    await world.append({"body": b"x" * 1_000_000})
    (entry,) = await read_some(stream)
    await stream.bury(entry, reason="signature")
    assert await stream.backlog() == 0
    assert await world.dead() == ["signature"]


async def test_the_lag_is_the_age_of_the_oldest_entry_that_is_left(world: RedisWorld) -> None:
    stream = world.stream()
    assert await stream.lag_s() == 0.0
    await world.append({"body": b"1"})
    await asyncio.sleep(0.3)
    await world.append({"body": b"2"})
    first, second = await read_some(stream)
    assert 0.3 <= await stream.lag_s() < PATIENCE_S
    await stream.acknowledge([first.entry_id])
    assert await stream.lag_s() < PATIENCE_S
    await stream.acknowledge([second.entry_id])
    assert await stream.lag_s() == 0.0


async def test_a_meeting_is_forgotten_wherever_its_entries_are(world: RedisWorld) -> None:
    """Entries that wait, that a consumer holds, and dead ones, also such as nobody can read; and no others."""
    stream = world.stream()
    bodies = [b'{"meeting_id":7,"x":1}', b'{"meeting_id": 77}', b'{"meeting_id":8,"text":"say \\"meeting_id\\":7"}']
    for body in (*bodies, b'{"meeting_id":7,"cut o', b"nonsense"):
        await world.append({"body": body})
    for entry, reason in zip(await read_some(stream, limit=5), ["seven", "other", "quoted", "cut", "odd"], strict=True):
        await stream.bury(entry, reason=reason)
    for body in bodies:
        await world.append({"body": body})
    held = await read_some(stream)
    await world.append({"body": bodies[0]})
    await stream.forget(7)
    assert await world.dead() == ["other", "quoted", "odd"]
    assert await stream.backlog() == 2
    await stream.forget(7)
    await stream.acknowledge([entry.entry_id for entry in held])
    assert await stream.backlog() == 0
    await asyncio.sleep(CLAIM_IDLE_S + 0.1)
    await world.append({"body": b"new"})
    assert [entry.fields["body"] for entry in await read_some(world.stream())] == [b"new"]


async def test_very_many_entries_are_gone_through(world: RedisWorld) -> None:
    for number in range(1203):
        await world.append({"body": b'{"meeting_id":%d}' % (number % 2)})
    stream = world.stream()
    await stream.forget(1)
    assert await stream.backlog() == 602
    entries = await read_some(stream, limit=2000)
    assert {entry.fields["body"] for entry in entries} == {b'{"meeting_id":0}'}
