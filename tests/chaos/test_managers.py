"""Several managers on one database: there is no leader, and any of them may be killed, paused or replaced."""

import asyncio
import signal

import pytest
from tests.support.chaos_load import send_all, stop_all, until_in
from tests.support.chaos_theatre import Stage, story

from usher.domain.lifecycle import State


@story
async def test_one_manager_and_nothing_goes_wrong(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        await until_in(world, await send_all(world))
        assert await world.caller.configure("stays-1", "de")
        await world.burglar.strike()
        evidence = await stop_all(world)
        assert evidence.confirmed
        viewer = world.caller.viewer
        assert viewer.filled < len(viewer.frames), "live frames are not pushed"
        assert {one.where.split()[0] for one in evidence.accesses} == {"HTTP", "Redis"}, (
            "the burglar's keys fit nothing"
        )


@story
async def test_three_managers_and_one_is_killed(stage: Stage) -> None:
    async with stage.world() as world:
        managers = [await world.manager() for _ in range(3)]
        sending = asyncio.create_task(send_all(world))
        await world.wait(lambda: bool(world.lives.look()))
        managers[0].kill()
        await until_in(world, await sending)
        managers[1].kill()
        await stop_all(world)
        assert [one.code for one in managers] == [-signal.SIGKILL, -signal.SIGKILL, None]


@story
async def test_a_manager_that_was_paused_past_its_claims_changes_nothing(stage: Stage) -> None:
    """I12: it wakes up in the middle of what another has taken over and finished."""
    async with stage.world() as world:
        paused = await world.manager()
        sending = asyncio.create_task(send_all(world))
        await world.wait(lambda: bool(world.lives.look()))
        paused.pause()
        await world.manager()
        meetings = await sending
        await until_in(world, meetings)
        await world.until(meetings[0], State.COMPLETED)
        paused.resume()
        await stop_all(world)
        assert paused.code is None


@pytest.mark.long
@story
async def test_a_manager_that_is_paused_again_and_again(stage: Stage) -> None:
    async with stage.world() as world:
        paused, _ = await world.manager(), await world.manager()
        sending = asyncio.create_task(send_all(world))
        for _ in range(4):
            paused.pause()
            await asyncio.sleep(6.0)
            paused.resume()
            await asyncio.sleep(1.0)
        await until_in(world, await sending)
        await stop_all(world)


@story
async def test_managers_are_replaced_one_by_one(stage: Stage) -> None:
    """As in an upgrade: each ends in order when its successor serves; its bots stay where they are."""
    async with stage.world() as world:
        old = [await world.manager(), await world.manager()]
        meetings = await send_all(world)
        await until_in(world, meetings)
        for manager in old:
            await world.manager()
            manager.end()
            assert await manager.died() == 0
        evidence = await stop_all(world)
        assert {one.attempt for one in evidence.meetings if one.ref.native_id != "crashes"} == {1}


@pytest.mark.long
@story
async def test_roles_apart_and_each_killed_once(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager("--role", "api")
        for role in ("dispatch", "reconcile", "collect"):
            await world.manager("--role", role, serves=False)
        meetings = await send_all(world)
        await until_in(world, meetings)
        for manager in list(world.managers):
            manager.kill()
        await world.manager("--role", "api")
        for role in ("dispatch", "reconcile", "collect"):
            await world.manager("--role", role, serves=False)
        await stop_all(world)
