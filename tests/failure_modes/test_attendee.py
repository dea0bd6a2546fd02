"""Failures that Attendee met (A) and those it still has (G), where no other test is about them."""

import asyncio

import pytest
from tests.support.world import World, exited, on_the_way

from usher.adapters.memory.failing_launchers import SilentLauncher
from usher.adapters.memory.launcher import MemoryLauncher, Workload
from usher.app.loops import run_forever
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason, State
from usher.domain.reconcile import WorkloadName

S = State


@pytest.mark.parametrize("error", [Unavailable("the database is away"), KeyError("a bug")])
async def test_a12_a_loop_outlives_every_pass_that_fails(error: Exception) -> None:
    passes = 0
    done = asyncio.Event()

    async def one_pass() -> bool:
        nonlocal passes
        passes += 1
        if passes == 1:
            raise error
        done.set()
        return False

    loop = asyncio.create_task(run_forever("test", one_pass, lambda: asyncio.sleep(3600)))
    async with asyncio.timeout(60):
        await done.wait()
    loop.cancel()


async def test_a14_what_a_dead_bot_printed_is_kept_before_it_is_removed() -> None:
    async def crash(workload: Workload) -> int:
        workload.write(b"Chromium could not start")
        return 1

    world = World(bot=crash)
    meeting = await world.send_bot()
    await world.settle()
    await asyncio.sleep(0)
    for _ in range(2):
        await world.reconciler.reconcile()
    await world.settle()
    assert "Chromium could not start" in (await world.meeting(meeting.meeting_id)).data["bot_log_1"]
    assert WorkloadName(meeting.meeting_id, 1) not in world.machine.workloads


async def test_a24_the_lobby_is_left_in_time_whatever_the_bot_does() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    await world.reports.status(await world.bot_of(meeting.meeting_id), on_the_way("awaiting_admission"))
    for _ in range(20):
        world.clock.advance(60)
        await world.reconciler.reconcile()
        await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.FAILED, Reason.ADMISSION_TIMEOUT)
    assert not world.machine.workloads


async def test_a25_a_bot_that_is_told_to_go_before_it_joined_goes() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    bot = await world.bot_of(meeting.meeting_id)
    await world.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)
    await world.reports.exited(bot, exited(0, Reason.STOPPED))
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.STOPPED)


async def test_g02_a_stop_is_obeyed_although_its_message_was_lost() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    world.channel.hang_up(bot.connection_id)
    await world.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)
    await world.settle()
    beat = await world.reports.heartbeat(bot)
    pending = await world.reports.pending_commands(bot, after_seq=0)
    assert (beat.newest_seq, [command.action for command in pending]) == (1, ["leave"])


async def test_g05_a_launcher_that_is_away_for_minutes_costs_no_bot_and_doubles_none() -> None:
    inner = MemoryLauncher()
    launcher = SilentLauncher(inner)
    world = World(launcher=launcher)
    meeting = await world.send_bot()
    for second in range(400):
        launcher.failing = second < 300
        await world.settle()
        await world.reconciler.reconcile()
        world.clock.advance(1)
    assert (await world.meeting(meeting.meeting_id)).status is S.STARTING
    assert len(inner.machine.running()) == 1
    assert sum(inner.machine.starts.values()) == 1


async def test_g06_a_bot_that_was_never_launched_ends_as_a_failure() -> None:
    world = World()
    meeting = await world.send_bot()
    world.clock.advance(world.policy.deadlines.requested_s)
    await world.reconciler.reconcile()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.FAILED, Reason.LAUNCH_TIMEOUT)
