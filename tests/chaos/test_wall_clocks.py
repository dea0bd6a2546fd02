"""I15: managers and bots whose wall clocks are wrong, next to a database that has the right time."""

import json

import pytest
from tests.support.chaos_evidence import converged
from tests.support.chaos_script import Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World
from tests.support.invariants.evidence import Evidence

from usher.domain.lifecycle import State

_HOUR_S = 3600.0
_LEAD_S = 60.0


async def _play(world: World, shift_s: float, twin: Evidence | None = None) -> Evidence:
    """Play a story of every way to end, with wall clocks that are wrong by `shift_s`."""
    arguments = ("--shift", str(shift_s)) if shift_s else ()
    command = [*json.loads(world.environment["USHER_LAUNCHER__COMMAND"]), str(shift_s)]
    await world.manager(*arguments, afresh=bool(shift_s), USHER_LAUNCHER__COMMAND=json.dumps(command))
    ends = await world.caller.send(Script(stay_s=1.5, talk_s=0.3), name="ends")
    stays = await world.caller.send(Script(talk_s=0.3), name="stays")
    crashes = await world.caller.send(Script(fails=1, stay_s=1.0), name="crashes")
    scheduled = await world.caller.send(Script(stay_s=1.0), name="scheduled", join_in_s=_LEAD_S + 3.0)
    await world.until(stays, State.ACTIVE)
    assert await world.caller.configure("stays", "de")
    await world.until(stays, State.ACTIVE)
    for meeting_id in (ends, crashes, scheduled):
        await world.until(meeting_id, State.COMPLETED)
    await world.caller.stop("stays")
    return await converged(world, twin=twin)


@pytest.mark.parametrize("shift_s", [_HOUR_S, pytest.param(-_HOUR_S, marks=pytest.mark.long)])
@story
async def test_a_wall_clock_that_is_wrong_by_an_hour_changes_nothing(stage: Stage, shift_s: float) -> None:
    async with stage.world() as right, stage.world() as wrong:
        twin = await _play(right, 0.0)
        await _play(wrong, shift_s, twin)
