"""Bots that die, freeze, say their last words to nobody, or were never asked for."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.support.chaos_evidence import converged
from tests.support.chaos_script import NEVER_S, Script
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import PACE, World

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.domain.errors import LaunchRejected
from usher.domain.lifecycle import Event, State
from usher.domain.reconcile import WorkloadName
from usher.ports import WorkloadSpec

_DETECTION_S = 25.0
_SLACK_S = 20.0
_FORGET_S = 60.0
_SLEEPER = ("sleep", "3600")


async def _active(world: World, script: Script, name: str = "call") -> int:
    meeting_id = await world.caller.send(script, name=name)
    await world.until(meeting_id, State.ACTIVE)
    return meeting_id


async def _events(world: World, meeting_id: int) -> list[Event]:
    return [line.event for line in await world.store.events(meeting_id)]


async def _stop(world: World, meeting_id: int, name: str = "call") -> None:
    await world.caller.stop(name)
    assert await world.until(meeting_id, State.COMPLETED, State.FAILED) == State.COMPLETED


@story
async def test_a_bot_that_is_killed_is_replaced(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await _active(world, Script(talk_s=0.3))
        os.kill(await world.bot_pid(meeting_id), signal.SIGKILL)
        await world.bot_pid(meeting_id, attempt=2)
        await world.until(meeting_id, State.ACTIVE)
        assert Event.CRASHED in await _events(world, meeting_id)
        await _stop(world, meeting_id)
        await converged(world)


@pytest.mark.long
@story
async def test_a_bot_that_is_killed_with_its_supervisor_is_replaced(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await _active(world, Script())
        await world.bot_pid(meeting_id)
        for pid in world.lives.pids(f"usher-{meeting_id}-1"):
            os.kill(pid, signal.SIGKILL)
        await world.bot_pid(meeting_id, attempt=2)
        await world.until(meeting_id, State.ACTIVE)
        await _stop(world, meeting_id)
        await converged(world)


@story
async def test_a_frozen_bot_is_found_by_its_lease_at_the_usual_pace(stage: Stage) -> None:
    """With heartbeats of 10 s: within 25 s, and what is left of it on a busy machine."""
    usual = PACE.model_copy(update={"heartbeat_s": 10.0, "lease_s": 23.0})
    async with stage.world(pace=usual) as world:
        await world.manager()
        meeting_id = await _active(world, Script())
        frozen_s = await world.now_s()
        os.kill(await world.bot_pid(meeting_id), signal.SIGSTOP)
        await world.bot_pid(meeting_id, attempt=2)
        history = await world.store.events(meeting_id)
        (found,) = [line for line in history if line.event is Event.LEASE_EXPIRED]
        assert found.at.timestamp() - frozen_s < _DETECTION_S + _SLACK_S
        await world.until(meeting_id, State.ACTIVE)
        await _stop(world, meeting_id)
        await converged(world)


@pytest.mark.long
@story
async def test_a_bot_that_pauses_for_less_than_its_lease_is_left_alone(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await _active(world, Script(talk_s=0.3))
        pid = await world.bot_pid(meeting_id)
        for _ in range(3):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(PACE.lease_s / 2)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(1.0)
        await _stop(world, meeting_id)
        evidence = await converged(world)
        assert [meeting.attempt for meeting in evidence.meetings] == [1]


@story
async def test_silence_is_no_verdict_while_no_manager_listens(stage: Stage) -> None:
    """The only manager is away for longer than a lease: its bots are still there when it is back."""
    async with stage.world() as world:
        manager = await world.manager()
        meeting_id = await _active(world, Script(talk_s=0.3))
        manager.kill()
        await manager.died()
        async with world.outage():
            await asyncio.sleep(PACE.lease_s * 2)
            await world.manager()
        await asyncio.sleep(PACE.lease_s)
        assert await world.status(meeting_id) == State.ACTIVE
        await _stop(world, meeting_id)
        evidence = await converged(world)
        assert [meeting.attempt for meeting in evidence.meetings] == [1]


@story
async def test_last_words_of_a_bot_that_ended_while_the_manager_was_away(stage: Stage) -> None:
    """It hears nobody for as long as it may wait, leaves its report behind and exits: that is why the meeting ended."""
    async with stage.world() as world:
        manager = await world.manager()
        meeting_id = await _active(world, Script(stay_s=4.0, talk_s=0.3))
        await world.bot_pid(meeting_id)
        manager.kill()
        await manager.died()
        async with world.outage():
            await world.wait(lambda: not world.lives.look(), timeout_s=150.0)
        await world.manager()
        evidence = await converged(world)
        (meeting,) = evidence.meetings
        assert (meeting.status, meeting.reason, meeting.attempt) == (State.COMPLETED, "meeting_ended", 1)


@story
async def test_a_workload_that_nobody_asked_for_is_removed(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await _active(world, Script())
        stranger = WorkloadName(meeting_id + 1000, 1)
        await _sleeper(world).start(WorkloadSpec(stranger, {}))
        await _until_forgotten(world, stranger)
        assert await world.status(meeting_id) == State.ACTIVE
        await _stop(world, meeting_id)
        await converged(world)


@story
async def test_a_workload_of_an_older_attempt_is_removed(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await world.caller.send(Script(fails=1), name="call")
        await world.bot_pid(meeting_id, attempt=2)
        await world.until(meeting_id, State.ACTIVE)
        older = WorkloadName(meeting_id, 1)
        known = world.lives.lives()
        with pytest.raises(LaunchRejected):
            await _sleeper(world).start(WorkloadSpec(older, {}))
        (world.directory / "usher" / "bots" / "spent" / str(older)).unlink()  # as one that was started before it ended
        await _sleeper(world).start(WorkloadSpec(older, {}))
        await _until_forgotten(world, older)
        assert await world.status(meeting_id) == State.ACTIVE
        await _stop(world, meeting_id)
        await converged(world, asked_for=lambda life: life.workload != older or life in known)


@story
async def test_a_bot_that_never_starts_is_given_up_after_its_attempts(stage: Stage) -> None:
    hasty = PACE.model_copy(update={"start_timeout_s": 5.0, "max_attempts": 2})
    async with stage.world(pace=hasty) as world:
        await world.manager()
        meeting_id = await world.caller.send(Script(mute=True))
        assert await world.until(meeting_id, State.COMPLETED, State.FAILED) == State.FAILED
        evidence = await converged(world)
        (meeting,) = evidence.meetings
        assert (meeting.reason, meeting.attempt, meeting.failure_stage) == ("launch_timeout", 2, State.STARTING)


@pytest.mark.long
@story
async def test_a_bot_that_will_not_leave_is_killed(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager()
        meeting_id = await _active(world, Script(leave_s=NEVER_S))
        await _stop(world, meeting_id)
        evidence = await converged(world)
        assert [meeting.reason for meeting in evidence.meetings] == ["stopped"]


@story
async def test_a_command_that_cannot_be_run_is_rejected_for_good(stage: Stage) -> None:
    async with stage.world() as world:
        await world.manager(USHER_LAUNCHER__COMMAND='["/nonexistent/bot"]')
        meeting_id = await world.caller.send(Script())
        assert await world.until(meeting_id, State.COMPLETED, State.FAILED) == State.FAILED
        evidence = await converged(world)
        assert [(meeting.reason, meeting.attempt) for meeting in evidence.meetings] == [("launch_rejected", 1)]


@story
async def test_a_data_directory_that_cannot_be_written_and_then_can(stage: Stage) -> None:
    """A file lies where workloads are kept; when it is taken away the next attempt works."""
    async with stage.world() as world:
        await world.manager()
        workloads = world.directory / "usher" / "bots"
        aside = _put_aside(workloads)
        meeting_id = await world.caller.send(Script(), name="call")
        await world.until(meeting_id, State.ERROR)
        _put_back(aside, workloads)
        await world.until(meeting_id, State.ACTIVE)
        assert Event.LAUNCH_FAILED in await _events(world, meeting_id)
        await _stop(world, meeting_id)
        await converged(world)


async def _until_forgotten(world: World, name: WorkloadName) -> None:
    """Wait until the launcher knows nothing of a workload any more."""
    async with asyncio.timeout(_FORGET_S):
        while name in (await world.launcher.list() or {}):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)


def _sleeper(world: World) -> ProcessLauncher:
    """Return a launcher of the same directory whose workloads are no bots."""
    return ProcessLauncher(world.directory / "usher" / "bots", _SLEEPER)


def _put_aside(directory: Path) -> Path:
    """Put a file in the place of a directory. Its modes would not keep root from writing."""
    aside = directory.rename(directory.with_name("aside"))
    directory.write_text("no directory")
    return aside


def _put_back(aside: Path, directory: Path) -> None:
    directory.unlink()
    aside.rename(directory)
