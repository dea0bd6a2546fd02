"""Long days: requests come in all the time, and one thing after another goes wrong, by chance."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest
from tests.support.chaos_evidence import converged
from tests.support.chaos_load import unheard
from tests.support.chaos_mishaps import Mishaps
from tests.support.chaos_script import Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import World

from usher.domain.lifecycle import State

_DAYS = 8
_MISHAPS = 12
_PAUSE_S = 2.0
_CALLERS = 4
_STAY_S = 6.0

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", range(_DAYS))
@story
async def test_a_long_day(stage: Stage, seed: int) -> None:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(stage.postgres())
        world = await stack.enter_async_context(stage.world(dsn=postgres.dsn, proxied=True))
        await world.manager()
        await world.manager()
        over = asyncio.Event()
        calls = [
            asyncio.create_task(_call_again_and_again(world, f"{seed}-{number}", over)) for number in range(_CALLERS)
        ]
        mishaps = Mishaps(world, postgres, random.Random(seed))  # noqa: S311 - nothing secret
        struck = []
        for _ in range(_MISHAPS):
            struck.append(await mishaps.strike())
            await asyncio.sleep(_PAUSE_S)
        over.set()
        made = sum(await asyncio.gather(*calls))
        evidence = await converged(world)
        assert len(evidence.meetings) == made, struck
        assert unheard(world, evidence) == set(), struck


async def _call_again_and_again(world: World, name: str, over: asyncio.Event) -> int:
    """Send one bot after another into one call, until it is over; returns how many that were."""
    chance = random.Random(name)  # noqa: S311 - nothing secret
    for number in range(1, 1000):
        meeting_id = await world.caller.send(_script(chance), name=f"call-{name}")
        if chance.random() < 0.5:
            await asyncio.sleep(chance.uniform(0.0, _STAY_S))
            await world.caller.stop(f"call-{name}")
        elif chance.random() < 0.5:
            await world.until(meeting_id, State.ACTIVE, State.COMPLETED, State.FAILED)
            await world.caller.configure(f"call-{name}", chance.choice(["de", "en", "fr"]))
        await world.until(meeting_id, State.COMPLETED, State.FAILED, timeout_s=200.0)
        if over.is_set():
            return number
    return number


def _script(chance: random.Random) -> Script:
    return Script(
        lobby_s=chance.choice([0.0, 0.1, 1.0]),
        stay_s=round(chance.uniform(0.5, _STAY_S), 1),
        talk_s=chance.choice([0.0, 0.3]),
        fails=chance.choice([0, 0, 0, 1]),
    )
