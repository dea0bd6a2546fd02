"""The reconciler goes on with the others where one meeting, one workload or the launcher is broken."""

import asyncio
from collections.abc import Mapping

from tests.support.world import World

from usher.adapters.memory.launcher import MemoryLauncher
from usher.app.reconciler import Reconciler
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.errors import InvariantBroken, Unavailable
from usher.domain.lifecycle import Reason, State
from usher.domain.reconcile import Observation, WorkloadName
from usher.ports import Meeting, WorkloadSpec


class BrokenRow(Transitions):
    """Cannot write one meeting, as where a key of the database refuses it."""

    broken: int

    async def apply(self, meeting_id: int, report: Report, *, known: Meeting | None = None) -> Outcome:
        if meeting_id == self.broken:
            raise InvariantBroken("the database refuses it")
        return await super().apply(meeting_id, report, known=known)


class StuckRemoval(MemoryLauncher):
    """Never comes back from removing one workload."""

    stuck: WorkloadName

    async def remove(self, name: WorkloadName) -> None:
        if name == self.stuck:
            await asyncio.Event().wait()
        await super().remove(name)


class NeverListing(MemoryLauncher):
    """Never comes back from listing."""

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        await asyncio.Event().wait()
        return {}


async def test_one_broken_row_does_not_keep_the_others_from_their_end() -> None:
    world = World()
    broken, other = await world.active("room-1"), await world.active("room-2")
    transitions = BrokenRow(world.store, world.feed, world.policy, lambda: None, world.sender.send)
    transitions.broken = broken.meeting_id
    reconciler = Reconciler(world.store, transitions, world.launcher, world.legacy, world.policy)
    world.clock.advance(world.policy.deadlines.active_s + 1)
    await reconciler.reconcile()
    assert (await world.meeting(broken.meeting_id)).status is State.ACTIVE
    assert (await world.meeting(other.meeting_id)).status is State.STOPPING


async def test_a_removal_that_hangs_holds_up_nothing() -> None:
    launcher = StuckRemoval()
    launcher.stuck = WorkloadName(77, 1)
    world = World(launcher=launcher)
    meeting = await world.active()
    for number in (77, 78):
        await launcher.start(WorkloadSpec(WorkloadName(number, 1), {}))
    world.clock.advance(world.policy.deadlines.active_s + 1)
    for _ in range(3):
        await world.reconciler.reconcile()
        await asyncio.sleep(0.01)
    assert set(launcher.machine.workloads) == {WorkloadName(77, 1), WorkloadName(meeting.meeting_id, 1)}
    assert (await world.meeting(meeting.meeting_id)).status is State.STOPPING


class StubbornOnce(MemoryLauncher):
    """Cannot remove anything the first time."""

    refused = False

    async def remove(self, name: WorkloadName) -> None:
        if not self.refused:
            self.refused = True
            raise Unavailable("not now")
        await super().remove(name)


async def test_a_workload_that_could_not_be_removed_is_removed_in_a_later_pass() -> None:
    launcher = StubbornOnce()
    world = World(launcher=launcher)
    await launcher.start(WorkloadSpec(WorkloadName(77, 1), {}))
    for remaining in (1, 0):
        await world.reconciler.reconcile()
        await world.reconciler.settle()
        assert len(launcher.machine.workloads) == remaining


async def test_deadlines_are_kept_while_the_launcher_hangs() -> None:
    world = World(launcher=NeverListing())
    meeting = await world.send_bot()
    await world.settle()
    reconciler = Reconciler(
        world.store, world.transitions, world.launcher, world.legacy, world.policy, list_timeout_s=0.01
    )
    world.clock.advance(world.policy.deadlines.starting_s + 1)
    await reconciler.reconcile()
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.reason) == (State.ERROR, Reason.LAUNCH_TIMEOUT)
