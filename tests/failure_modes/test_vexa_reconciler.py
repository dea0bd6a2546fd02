"""V31 to V43: a reconciler that kills the living or misses the dead, and launches that are not what they seem."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from tests.support.world import World, exited, on_the_way

from usher.adapters.memory.failing_launchers import SilentLauncher
from usher.adapters.memory.launcher import MemoryLauncher, Workload
from usher.app.commands import CommandEffect
from usher.app.dispatcher import Dispatcher
from usher.app.effects import handlers
from usher.app.loops import Wakeups
from usher.app.notify import Notifier
from usher.app.post_meeting import PostMeeting
from usher.app.reconciler import Reconciler
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason, State
from usher.domain.reconcile import Observation, WorkloadName
from usher.ports import Claim, Lane, Outbox

S = State


class _Forgetful(SilentLauncher):
    """A launcher that was restarted: it answers, and knows nobody, while `failing`."""

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        return {} if self.failing else await super().list()


async def test_v31_a_launcher_that_knows_nobody_for_a_moment_ends_no_meeting() -> None:
    launcher = _Forgetful(MemoryLauncher())
    launcher.failing = False
    world = World(launcher=launcher)
    meeting = await world.active()
    for forgets in (True, False, True, False):
        launcher.failing = forgets
        await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE


async def test_v32_a_quiet_meeting_is_not_reaped_while_its_bot_is_heard() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    for _ in range(60):
        await world.reports.heartbeat(bot)
        await world.listen(world.policy.heartbeat_s)
        await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE


async def test_v32_a_bot_may_wait_in_the_lobby_as_long_as_it_was_told_to() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    await world.reports.status(await world.bot_of(meeting.meeting_id), on_the_way("awaiting_admission"))
    world.clock.advance(world.policy.admission_timeout_s)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.AWAITING_ADMISSION


async def test_v33_a_launcher_that_comes_back_finds_its_bots_alive() -> None:
    world = World()
    meeting = await world.active()
    restarted = MemoryLauncher(world.machine)
    reconciler = Reconciler(world.store, world.transitions, restarted, world.legacy, world.policy)
    for _ in range(3):
        await reconciler.reconcile()
    await reconciler.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE
    assert world.machine.running() == {WorkloadName(meeting.meeting_id, 1)}


class _Hanging(MemoryLauncher):
    """A launcher that never answers when it is asked what runs."""

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        await asyncio.Event().wait()
        return None


async def test_v33_a_launcher_that_hangs_ends_no_meeting() -> None:
    world = World()
    meeting = await world.active()
    hanging = _Hanging(world.machine)
    reconciler = Reconciler(world.store, world.transitions, hanging, world.legacy, world.policy, list_timeout_s=0.01)
    for _ in range(3):
        await reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE


async def test_v35_a_workload_that_died_before_its_first_report_is_found_and_replaced() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    world.machine.crash(WorkloadName(meeting.meeting_id, 1))
    for _ in range(2):
        await world.reconciler.reconcile()
    await world.settle()
    world.clock.advance(world.policy.retry.first_s)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).attempt == 2
    assert world.machine.running() == {WorkloadName(meeting.meeting_id, 2)}


class _LosesOneAnswer:
    """An outbox whose database fails once, after the work was done."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self.lost = outbox, False

    async def complete(self, claim: Claim) -> bool:
        if not self.lost:
            self.lost = True
            raise Unavailable("the database is away")
        return await self._outbox.complete(claim)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the outbox has under that name
        return getattr(self._outbox, name)


async def test_v37_a_database_that_fails_after_the_launch_costs_no_second_workload() -> None:
    world = World()
    outbox = _LosesOneAnswer(world.store)
    command = CommandEffect(world.store, world.channel)
    todo = handlers(
        world.workload,
        command,
        PostMeeting(world.store, world.stream).finish,
        Notifier(world.store, world.webhooks).notify,
    )
    dispatcher = Dispatcher(cast("Outbox", outbox), todo, world.policy, Wakeups())
    meeting = await world.send_bot()
    await dispatcher.run_pending()
    assert outbox.lost
    world.clock.advance(world.policy.claim_s)
    while await dispatcher.run_pending():
        pass
    assert world.machine.starts == {WorkloadName(meeting.meeting_id, 1): 1}
    assert (await world.meeting(meeting.meeting_id)).status is S.STARTING


async def test_v38_what_has_exited_is_removed_and_what_is_silent_ends() -> None:
    world = World()
    gone, silent = await world.active("gone"), await world.active("silent")
    await world.reports.heartbeat(await world.bot_of(silent.meeting_id))
    await world.reports.exited(await world.bot_of(gone.meeting_id), exited(0, Reason.MEETING_ENDED))
    await world.listen(world.policy.lease_s + 1)
    await world.reconciler.reconcile()
    await world.settle()
    assert (await world.meeting(silent.meeting_id)).attempt == 2, "cleaned up, and tried again"
    assert not [name for name in world.machine.workloads if name.attempt == 1]


async def test_v39_a_launch_that_is_run_again_starts_nothing_again() -> None:
    world = World()
    meeting = await world.send_bot()
    (effect,) = await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    for _ in range(3):
        await world.workload.launch(effect)
    assert world.machine.starts == {WorkloadName(meeting.meeting_id, 1): 1}


async def test_v41_a_bot_that_said_goodbye_and_stays_is_ended_all_the_same() -> None:
    world = World()
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    assert world.machine.running(), "its process did not end with its last word"
    await world.settle()
    assert not world.machine.workloads


async def test_v42_a_bot_that_ignores_every_signal_is_killed_within_the_graces() -> None:
    over = asyncio.Event()

    async def stubborn(_: Workload) -> int:
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        return 0

    world = World(bot=stubborn)
    meeting = await world.active()
    begun = world.clock()
    await world.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert not world.machine.workloads
    assert world.clock() - begun <= timedelta(seconds=world.policy.deadlines.stopping_s)
    over.set()
