"""I12: a manager is paused at a point, another takes over what it had claimed, and then it goes on."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from tests.support.chaos_evidence import converged
from tests.support.chaos_script import Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World

from usher.domain.lifecycle import State


def _points(short: str, long: str) -> pytest.MarkDecorator:
    points = [*short.split(), *(pytest.param(point, marks=pytest.mark.long) for point in long.split())]
    return pytest.mark.parametrize("point", points)


async def _visit(world: World) -> int:
    return await world.caller.send(Script(stay_s=2.0, talk_s=0.3))


async def _stop_one_that_hears_nothing(world: World) -> int:
    meeting_id = await world.caller.send(Script(mute=True), name="stopped")
    await world.bot_pid(meeting_id)
    await world.caller.stop("stopped")
    return meeting_id


async def _crash_once(world: World) -> int:
    return await world.caller.send(Script(fails=1, stay_s=1.0))


async def _play(
    stage: Stage, point: str, act: Callable[[World], Coroutine[None, None, int]], reason: str, attempt: int = 1
) -> None:
    """Pause a manager at a point, let another one bring the story to its very end, and let the first one go on.

    Not between the lock on a workload and its spawning: whether that attempt is going to run, only the paused manager
    can tell, so all that the others can do about it is wait.
    """
    async with stage.world() as world:
        paused = await world.manager("--pause", point)
        acting = asyncio.create_task(act(world))
        await world.wait(lambda: paused.is_paused)
        await world.manager()
        meeting_id = await acting
        await converged(world)
        history = await world.store.events(meeting_id)
        paused.resume()
        await paused.is_up()
        await converged(world)
        assert await world.store.events(meeting_id) == history
        (last,) = history[-1:]
        assert (last.to_state, last.attempt) == (State.COMPLETED, attempt)
        assert reason in {line.reason for line in history}


@_points("start:before spawn:after", "change/launch_begun:before grant:before start:after complete:before")
@story
async def test_paused_while_launching(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, "meeting_ended")


@_points("", "change/admitted:before save:before change/left:before acknowledge:before")
@story
async def test_paused_while_a_bot_reports(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, "meeting_ended")


@_points("change/terminated:before", "stop:before stop:after")
@story
async def test_paused_while_stopping(stage: Stage, point: str) -> None:
    await _play(stage, point, _stop_one_that_hears_nothing, "stopped")


@_points("change/retry_granted:before", "stop:before remove:before")
@story
async def test_paused_while_cleaning_up(stage: Stage, point: str) -> None:
    await _play(stage, point, _crash_once, "meeting_ended", attempt=2)
