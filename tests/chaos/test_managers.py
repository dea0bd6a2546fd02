"""Several managers on one database: there is no leader, and any of them may be killed, paused or replaced."""

import asyncio
import signal
from collections.abc import Sequence

from tests.support.chaos_evidence import converged
from tests.support.chaos_script import Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World
from tests.support.invariants.evidence import Evidence

from usher.domain.lifecycle import State

_ENDS = ("ends-1", "ends-2", "ends-3")
_STAYS = ("stays-1", "stays-2", "stays-3")


async def _send_all(world: World) -> list[int]:
    """Send bots at once: some leave by themselves, some stay until they are told, one crashes first."""
    return await asyncio.gather(
        *(world.caller.send(Script(stay_s=4.0, talk_s=0.4), name=name) for name in _ENDS),
        *(world.caller.send(Script(talk_s=0.4), name=name) for name in _STAYS),
        world.caller.send(Script(fails=1, stay_s=1.0), name="crashes"),
    )


async def _until_in(world: World, meetings: Sequence[int]) -> None:
    await asyncio.gather(*(world.until(one, State.ACTIVE, State.COMPLETED) for one in meetings))


async def _stop_all(world: World) -> Evidence:
    """Stop who stays, and see that every meeting ended as it had to."""
    await asyncio.gather(*(world.caller.stop(name) for name in _STAYS))
    evidence = await converged(world)
    ends = {one.ref.native_id: (one.status, one.reason) for one in evidence.meetings}
    assert ends == {
        **dict.fromkeys((*_ENDS, "crashes"), (State.COMPLETED, "meeting_ended")),
        **dict.fromkeys(_STAYS, (State.COMPLETED, "stopped")),
    }
    return evidence


@story
async def test_one_manager_and_nothing_goes_wrong(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        await _until_in(world, await _send_all(world))
        assert await world.caller.configure("stays-1", "de")
        evidence = await _stop_all(world)
        assert evidence.confirmed


@story
async def test_three_managers_and_one_is_killed(stage: Stage) -> None:
    async with stage.world() as world:
        managers = [await world.manager() for _ in range(3)]
        sending = asyncio.create_task(_send_all(world))
        await world.wait(lambda: bool(world.lives.look()))
        managers[0].kill()
        await _until_in(world, await sending)
        managers[1].kill()
        await _stop_all(world)
        assert [one.code for one in managers] == [-signal.SIGKILL, -signal.SIGKILL, None]


@story
async def test_a_manager_that_was_paused_past_its_claims_changes_nothing(stage: Stage) -> None:
    """I12: it wakes up in the middle of what another has taken over and finished."""
    async with stage.world() as world:
        paused = await world.manager()
        sending = asyncio.create_task(_send_all(world))
        await world.wait(lambda: bool(world.lives.look()))
        paused.pause()
        await world.manager()
        meetings = await sending
        await _until_in(world, meetings)
        await world.until(meetings[0], State.COMPLETED)
        paused.resume()
        await _stop_all(world)
        assert paused.code is None


@story
async def test_a_manager_that_is_paused_again_and_again(stage: Stage) -> None:
    async with stage.world() as world:
        paused, _ = await world.manager(), await world.manager()
        sending = asyncio.create_task(_send_all(world))
        for _ in range(4):
            paused.pause()
            await asyncio.sleep(6.0)
            paused.resume()
            await asyncio.sleep(1.0)
        await _until_in(world, await sending)
        await _stop_all(world)


@story
async def test_managers_are_replaced_one_by_one(stage: Stage) -> None:
    """As in an upgrade: each ends in order when its successor serves; its bots stay where they are."""
    async with stage.world() as world:
        old = [await world.manager(), await world.manager()]
        meetings = await _send_all(world)
        await _until_in(world, meetings)
        for manager in old:
            await world.manager()
            manager.end()
            assert await manager.died() == 0
        evidence = await _stop_all(world)
        assert {one.attempt for one in evidence.meetings if one.ref.native_id != "crashes"} == {1}


@story
async def test_roles_apart_and_each_killed_once(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager("--role", "api")
        for role in ("dispatch", "reconcile", "collect"):
            await world.manager("--role", role, serves=False)
        meetings = await _send_all(world)
        await _until_in(world, meetings)
        for manager in list(world.managers):
            manager.kill()
        await world.manager("--role", "api")
        for role in ("dispatch", "reconcile", "collect"):
            await world.manager("--role", role, serves=False)
        await _stop_all(world)
