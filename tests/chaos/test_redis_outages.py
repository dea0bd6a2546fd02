"""Redis is killed and comes back empty, is emptied, or does not answer for a while."""

import asyncio

import pytest
from redis.asyncio import Redis
from tests.support.chaos_blows import freeze, restart_empty
from tests.support.chaos_load import send_all, stop_all, until_in
from tests.support.chaos_theatre import Stage, story

_STAY_S = 12.0
_FROZEN_S = 15.0


@story
async def test_redis_is_killed_and_restarted_empty(stage: Stage) -> None:
    """Its accounts are gone as well: the bots get theirs again, and send again what was not stored."""
    async with stage.world() as world:
        await world.manager()
        await until_in(world, await send_all(world, stay_s=_STAY_S))
        await restart_empty(world.redis, away_s=2.0)
        evidence = await stop_all(world)
        assert {one.attempt for one in evidence.meetings if one.ref.native_id != "crashes"} == {1}


@pytest.mark.parametrize("times", [5, pytest.param(40, marks=pytest.mark.long)])
@story
async def test_redis_is_emptied_while_bots_talk(stage: Stage, times: int) -> None:
    async with stage.world() as world:
        await world.manager()
        await until_in(world, await send_all(world, stay_s=times * 1.5))
        async with Redis.from_url(world.redis.url) as client:
            for _ in range(times):
                await client.flushall()
                await asyncio.sleep(0.7)
        await stop_all(world)


@story
async def test_redis_is_emptied_while_no_manager_reads(stage: Stage) -> None:
    """What the bots have handed in is lost with the stream, and was never confirmed: they have it still."""
    async with stage.world() as world:
        manager = await world.manager()
        await until_in(world, await send_all(world, stay_s=_STAY_S))
        manager.kill()
        await manager.died()
        async with world.outage():
            await asyncio.sleep(2.0)
            async with Redis.from_url(world.redis.url) as client:
                await client.flushall()
            await world.manager()
        await stop_all(world)


@story
async def test_redis_does_not_answer_for_a_while(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        await world.manager()
        sending = asyncio.create_task(send_all(world, stay_s=_STAY_S))
        await world.wait(lambda: bool(world.lives.look()))
        async with world.outage():
            await freeze(world.redis, _FROZEN_S)
        await until_in(world, await sending)
        await stop_all(world)
