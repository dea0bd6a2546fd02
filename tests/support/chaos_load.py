"""What goes on while things break: seven meetings, some of which end by themselves, some when they are told to."""

import asyncio
from collections.abc import Sequence

from tests.support.chaos_diaries import read_diaries
from tests.support.chaos_evidence import converged
from tests.support.chaos_script import Script
from tests.support.chaos_world import World
from tests.support.invariants.evidence import Evidence

from usher.domain.lifecycle import State

ENDING = ("ends-1", "ends-2", "ends-3")
STAYING = ("stays-1", "stays-2", "stays-3")
CRASHING = "crashes"
_TALK_S = 0.4


async def send_all(world: World, *, stay_s: float = 4.0) -> list[int]:
    """Send bots at once: some leave after `stay_s`, some stay until they are told, one dies in its first attempt."""
    return await asyncio.gather(
        *(world.caller.send(Script(stay_s=stay_s, talk_s=_TALK_S), name=name) for name in ENDING),
        *(world.caller.send(Script(talk_s=_TALK_S), name=name) for name in STAYING),
        world.caller.send(Script(fails=1, stay_s=1.0), name=CRASHING),
    )


async def until_in(world: World, meetings: Sequence[int]) -> None:
    """Wait until each bot is in its meeting, or was."""
    await asyncio.gather(*(world.until(one, State.ACTIVE, State.COMPLETED) for one in meetings))


async def stop_all(world: World) -> Evidence:
    """Stop who stays, and see that every meeting ends as it has to and that no word was lost."""
    await asyncio.gather(*(world.caller.stop(name) for name in STAYING))
    evidence = await converged(world)
    ends = {one.ref.native_id: (one.status, one.reason) for one in evidence.meetings}
    assert ends == {
        **dict.fromkeys((*ENDING, CRASHING), (State.COMPLETED, "meeting_ended")),
        **dict.fromkeys(STAYING, (State.COMPLETED, "stopped")),
    }
    assert unheard(world, evidence) == set()
    return evidence


def unheard(world: World, evidence: Evidence) -> set[str]:
    """Return the segments that bots said for good, before an end in order, and that nobody stored."""
    stored = {one.segment_id for one in evidence.stored if one.completed}
    orderly = [diary for diary in read_diaries(world.diaries) if list(diary.lines("ended"))]
    return {line["segment_id"] for diary in orderly for line in diary.lines("said")} - stored
