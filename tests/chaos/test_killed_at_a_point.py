"""A manager is killed at every point where it matters; the next one finishes what it began."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import pytest
from tests.support.chaos_evidence import converged
from tests.support.chaos_load import unheard
from tests.support.chaos_script import Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World

from usher.domain.lifecycle import State

_COMPLETED = State.COMPLETED


@dataclass(frozen=True, slots=True)
class End:
    """How a meeting has to end, whoever dies."""

    status: State
    reason: str
    attempt: int = 1


async def _play(stage: Stage, point: str, act: Callable[[World], Coroutine[None, None, None]], end: End) -> None:
    """Let a manager die at a point of a story, start another, and see the story to its end."""
    async with stage.world() as world:
        wounded = await world.manager("--kill", point)
        acting = asyncio.create_task(act(world))
        assert await wounded.died() == -signal.SIGKILL
        await world.manager()
        await acting
        evidence = await converged(world)
        (meeting,) = evidence.meetings
        assert (meeting.status, meeting.reason, meeting.attempt) == (end.status, end.reason, end.attempt)
        assert unheard(world, evidence) == set()


def _points(short: str, long: str) -> pytest.MarkDecorator:
    points = [*short.split(), *(pytest.param(point, marks=pytest.mark.long) for point in long.split())]
    return pytest.mark.parametrize("point", points)


async def _visit(world: World) -> None:
    await world.caller.send(Script(stay_s=2.0, talk_s=0.3))


async def _stop(world: World) -> None:
    meeting_id = await world.caller.send(Script(talk_s=0.3), name="stopped")
    await world.until(meeting_id, State.ACTIVE)
    await world.caller.stop("stopped")


async def _stop_one_that_hears_nothing(world: World) -> None:
    meeting_id = await world.caller.send(Script(mute=True), name="stopped")
    await world.bot_pid(meeting_id)
    await world.caller.stop("stopped")


async def _reconfigure(world: World) -> None:
    meeting_id = await world.caller.send(Script(), name="changed")
    await world.until(meeting_id, State.ACTIVE)
    assert await world.caller.configure("changed", "de")
    await world.until(meeting_id, State.ACTIVE)
    assert (await world.caller.meeting(meeting_id))["configuration"]["language"] == "de"
    await world.caller.stop("changed")


async def _crash_once(world: World) -> None:
    await world.caller.send(Script(fails=1, stay_s=1.0))


@_points(
    "create:after start:before start:after",
    "create:before change/launch_begun:before change/launch_begun:after grant:before grant:after "
    "complete:before complete:after",
)
@story
async def test_killed_while_launching(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, End(_COMPLETED, "meeting_ended"))


@_points(
    "change/admitted:after",
    "change/admitted:before change/joining_begun:after answer/started:before answer/started:after "
    "change/left:before change/left:after answer/exited:before answer/exited:after "
    "answer/heartbeat:before",
)
@story
async def test_killed_while_taking_a_report(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, End(_COMPLETED, "meeting_ended"))


@_points(
    "save:after",
    "save:before acknowledge:before acknowledge:after",
)
@story
async def test_killed_while_collecting_text(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, End(_COMPLETED, "meeting_ended"))


@_points(
    "change/stop_requested:after remove:before totals:before",
    "change/stop_requested:before publish:before publish:after stop:before stop:after revoke:before "
    "revoke:after remove:after totals:after",
)
@story
async def test_killed_while_stopping(stage: Stage, point: str) -> None:
    await _play(stage, point, _stop, End(_COMPLETED, "stopped"))


@_points(
    "change/terminated:before",
    "stop:before stop:after change/terminated:after",
)
@story
async def test_killed_while_stopping_a_bot_that_hears_nothing(stage: Stage, point: str) -> None:
    await _play(stage, point, _stop_one_that_hears_nothing, End(_COMPLETED, "stopped"))


@_points(
    "publish:before outcome:after",
    "change/configuration_requested:before change/configuration_requested:after publish:after "
    "outcome:before change/configuration_applied:before change/configuration_applied:after "
    "answer/commands:before answer/commands:after",
)
@story
async def test_killed_while_a_command_is_on_its_way(stage: Stage, point: str) -> None:
    await _play(stage, point, _reconfigure, End(_COMPLETED, "stopped"))


@_points(
    "change/retry_granted:after",
    "change/crashed:before change/crashed:after stop:before stop:after remove:after change/retry_granted:before",
)
@story
async def test_killed_while_cleaning_up_after_a_crash(stage: Stage, point: str) -> None:
    await _play(stage, point, _crash_once, End(_COMPLETED, "meeting_ended", attempt=2))


@_points("tell:after", "tell:before")
@story
async def test_killed_while_telling_a_webhook(stage: Stage, point: str) -> None:
    await _play(stage, point, _visit, End(_COMPLETED, "meeting_ended"))
