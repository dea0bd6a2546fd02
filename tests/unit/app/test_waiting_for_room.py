"""A launch for which there is no room yet, and its time."""

from datetime import timedelta

from tests.support.world import World

from usher.adapters.memory.failing_launchers import FullLauncher
from usher.adapters.memory.launcher import MemoryLauncher
from usher.domain.lifecycle import Reason
from usher.ports import WorkloadSpec


async def test_that_a_launch_waits_for_room_gives_it_no_more_time() -> None:
    hesitates_s = [7.0]

    class Hesitating(FullLauncher):
        async def start(self, spec: WorkloadSpec) -> None:
            world.clock.advance(hesitates_s.pop() if hesitates_s else 0.0)
            await super().start(spec)

    world = World(launcher=Hesitating(MemoryLauncher()))
    meeting = await world.send_bot()
    begun_at = world.clock()
    await world.settle()
    waiting = await world.meeting(meeting.meeting_id)
    assert waiting.reason is Reason.NO_ROOM
    assert waiting.deadline_at == begun_at + timedelta(seconds=world.policy.deadlines.starting_s)
