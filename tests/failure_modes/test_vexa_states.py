"""V1 to V30: a state that is lost, contradicts itself, or says nothing about the bot."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, cast

import pytest
from tests.support.world import World, exited, on_the_way, wish

from usher.adapters.memory.failing_launchers import SlowLauncher
from usher.adapters.memory.launcher import Machine, MemoryLauncher, Workload
from usher.adapters.memory.redis import MemoryFeed
from usher.app.transitions import Report, Transitions
from usher.domain.errors import Conflict, Superseded, Unavailable
from usher.domain.lifecycle import FAILING, LIVE, Event, Reason, Source, State
from usher.domain.reconcile import WorkloadName
from usher.ports import Change, Configuration, Meeting, Meetings

S = State
Way = Literal["joining", "awaiting_admission"]


async def stop(world: World, meeting: Meeting) -> Meeting:
    return await world.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)


async def launched(world: World, *way: Way) -> Meeting:
    """Return a meeting whose bot runs and has come so far."""
    meeting = await world.send_bot()
    await world.settle()
    for each in way:
        await world.reports.status(await world.bot_of(meeting.meeting_id), on_the_way(each))
    return await world.meeting(meeting.meeting_id)


async def test_v01_a_bot_that_is_gone_blocks_neither_its_stop_nor_the_next_bot() -> None:
    world = World()
    meeting = await world.active()
    await world.launcher.remove(WorkloadName(meeting.meeting_id, 1))
    with pytest.raises(Conflict):
        await world.send_bot()
    await stop(world, meeting)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert (await world.send_bot()).status is S.REQUESTED


async def test_v02_a_stop_ends_although_the_bot_never_says_that_it_left() -> None:
    world = World()
    meeting = await world.active()
    await stop(world, meeting)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert not world.machine.workloads


@pytest.mark.parametrize("code", [1, 130, 137, 143])
@pytest.mark.parametrize("way", [(), ("joining",), ("awaiting_admission",)])
async def test_v06_a_stop_of_the_user_is_no_failure_whatever_the_bot_exits_with(code: int, way: tuple[Way]) -> None:
    world = World()
    meeting = await launched(world, *way)
    await stop(world, meeting)
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(code, Reason.CRASHED))
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason, ended.attempt) == (S.COMPLETED, Reason.STOPPED, 1)


async def test_v07_viewers_are_told_what_is_stored() -> None:
    world = World()
    meeting = await world.active()
    async with world.feed.subscribe(meeting.meeting_id) as live:
        stopping = await stop(world, meeting)
        told = {}
        async for frame in live:
            told[frame["payload"]["version"]] = frame["payload"]["status"]
            if stopping.version in told:
                break
    assert told[stopping.version] == stopping.status == (await world.meeting(meeting.meeting_id)).status


class _Away:
    """Meetings that can be read and not be written."""

    def __init__(self, meetings: Meetings) -> None:
        self._meetings = meetings

    async def change(self, change: Change) -> Meeting:
        raise Unavailable(f"the database is away, and {change.transition.event} is not written")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
        return getattr(self._meetings, name)


async def test_v07_what_could_not_be_written_is_told_to_nobody() -> None:
    world = World()
    meeting = await world.active()
    await asyncio.sleep(0)
    feed = MemoryFeed()
    away = Transitions(cast("Meetings", _Away(world.store)), feed, world.policy, lambda: None, world.sender.send)
    async with feed.subscribe(meeting.meeting_id) as live:
        heard = asyncio.ensure_future(anext(aiter(live)))
        with pytest.raises(Unavailable):
            await away.apply(meeting.meeting_id, Report(Event.LEFT, Source.BOT, 1))
        await asyncio.sleep(0.01)
        assert not heard.done()
        heard.cancel()


async def _in_every_state(world: World) -> dict[State, Meeting]:
    """Return a meeting in each state that is not over, each in a room of its own."""
    user = await world.user(limit=20)
    found: dict[State, Meeting] = {}

    async def note(room: str) -> None:
        meeting = await world.bots.get(user.user_id, wish(room).ref.platform, room)
        found[meeting.status] = meeting

    asked = replace(wish("scheduled"), join_at=world.clock() + timedelta(hours=1))
    await world.bots.request(user.user_id, asked)
    for room in ("starting", "joining", "lobby", "active", "changing", "stopping", "broken"):
        await world.send_bot(room, limit=20)
    await world.settle()
    bots = {
        room: await world.bot_of((await world.bots.get(user.user_id, wish().ref.platform, room)).meeting_id)
        for room in ("joining", "lobby", "active", "changing", "broken")
    }
    await world.reports.status(bots["joining"], on_the_way("joining"))
    await world.reports.status(bots["lobby"], on_the_way("awaiting_admission"))
    for room in ("active", "changing"):
        await world.reports.started(bots[room])
    await world.bots.configure(user.user_id, wish().ref.platform, "changing", {"language": "de"})
    await world.bots.stop(user.user_id, wish().ref.platform, "stopping")
    await world.reports.exited(bots["broken"], exited(1, Reason.CRASHED))
    await world.send_bot("requested", limit=20)
    for room in ("scheduled", "requested", "starting", "stopping", *bots):
        await note(room)
    return found


async def test_v08_a_second_bot_is_refused_in_every_state_of_the_first() -> None:
    world = World()
    meetings = await _in_every_state(world)
    assert set(meetings) == LIVE
    for meeting in meetings.values():
        with pytest.raises(Conflict):
            await world.bots.request(meeting.user_id, wish(meeting.ref.native_id))


async def test_v10_every_state_there_is_can_be_asked_for_and_stopped() -> None:
    world = World()
    meetings = await _in_every_state(world)
    running = {meeting.status for meeting in await world.bots.list_running(meetings[S.ACTIVE].user_id)}
    assert running == LIVE
    for meeting in meetings.values():
        assert (await stop(world, meeting)).stop_requested


async def test_v14_no_report_touches_the_name_of_the_workload() -> None:
    world = World()
    meeting = await launched(world, "joining", "awaiting_admission")
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.started(bot)
    await world.reports.heartbeat(bot)
    name = str(WorkloadName(meeting.meeting_id, 1))
    assert (await world.meeting(meeting.meeting_id)).bot_container_id == name
    await world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).bot_container_id == name
    assert not world.machine.workloads


async def test_v15_a_bot_that_reports_while_it_is_being_launched_is_known() -> None:
    world = World()

    async def report_at_once(workload: Workload) -> int:
        await world.reports.started(await world.bot_of(workload.spec.name.meeting_id))
        await asyncio.Event().wait()
        return 0

    world.machine.bot = report_at_once
    meeting = await world.send_bot()
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE


async def test_v17_reports_that_come_late_or_in_another_order_move_nothing_back() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    for late in ("joining", "awaiting_admission"):
        assert (await world.reports.status(bot, on_the_way(late))).outcome == "ignored"
    await world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))
    ended = await world.meeting(meeting.meeting_id)
    await world.reports.started(bot)
    await world.reports.status(bot, on_the_way("joining"))
    assert await world.meeting(meeting.meeting_id) == ended


async def test_v17_a_bot_of_an_older_attempt_moves_nothing() -> None:
    world = World()
    meeting = await world.active()
    former = await world.bot_of(meeting.meeting_id)
    await world.reports.exited(former, exited(1, Reason.CRASHED))
    await world.settle()
    world.clock.advance(world.policy.retry.first_s)
    await world.settle()
    await world.reports.started(await world.bot_of(meeting.meeting_id))
    second = await world.meeting(meeting.meeting_id)
    assert (second.attempt, second.status) == (2, S.ACTIVE)
    with pytest.raises(Superseded):
        await world.reports.status(former, on_the_way("joining"))
    await world.reports.exited(former, exited(0, Reason.MEETING_ENDED))
    assert await world.meeting(meeting.meeting_id) == second


async def test_v18_commands_end_with_the_attempt_that_they_were_for() -> None:
    world = World()
    meeting = await world.active()
    former = await world.bot_of(meeting.meeting_id)
    await world.bots.configure(meeting.user_id, meeting.ref.platform, meeting.ref.native_id, {"language": "de"})
    assert await world.store.pending(former.connection_id, after_seq=0)
    await world.reports.exited(former, exited(1, Reason.CRASHED))
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).attempt == 2
    assert not await world.store.pending(former.connection_id, after_seq=0)


async def test_v20_a_bot_that_died_in_the_lobby_is_not_shown_as_waiting() -> None:
    world = World()
    meeting = await launched(world, "awaiting_admission")
    world.machine.crash(WorkloadName(meeting.meeting_id, 1))
    for _ in range(2):
        await world.reconciler.reconcile()
    found = await world.meeting(meeting.meeting_id)
    assert (found.status, found.reason, found.failure_stage) == (S.ERROR, Reason.CRASHED, S.AWAITING_ADMISSION)


async def test_v21_a_stop_that_meets_the_launch_half_way_leaves_no_workload() -> None:
    machine = Machine()
    world = World(launcher=SlowLauncher(MemoryLauncher(machine), delay_s=0.1))
    meeting = await world.send_bot()
    launch = asyncio.create_task(world.dispatcher.run_pending())
    await asyncio.sleep(0.01)  # the launcher was called and takes its time
    assert (await world.meeting(meeting.meeting_id)).status is S.STARTING
    await stop(world, meeting)
    await launch
    assert machine.running(), "the launch went through"
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert not machine.workloads


async def test_v23_a_meeting_in_which_nobody_spoke_is_completed() -> None:
    world = World()
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.data["totals"]["segments"]) == (S.COMPLETED, 0)


async def test_v23_a_bot_that_nobody_admitted_has_failed_and_says_so() -> None:
    world = World()
    meeting = await launched(world, "awaiting_admission")
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.ADMISSION_TIMEOUT))
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.FAILED, Reason.ADMISSION_TIMEOUT)


@pytest.mark.parametrize("way", [(), ("joining",), ("awaiting_admission",)])
async def test_v24_a_bot_that_was_stopped_on_its_way_is_not_sent_again(way: tuple[Way]) -> None:
    world = World()
    meeting = await launched(world, *way)
    await stop(world, meeting)
    for _ in range(10):
        world.clock.advance(world.policy.leave_grace_s)
        await world.settle()
        await world.reconciler.reconcile()
    assert sum(world.machine.starts.values()) == 1
    assert (await world.meeting(meeting.meeting_id)).attempt == 1


@pytest.mark.parametrize(
    ("way", "stage"), [((), S.STARTING), (("joining",), S.JOINING), (("awaiting_admission",), S.AWAITING_ADMISSION)]
)
async def test_v25_a_failure_says_why_and_how_far_the_bot_had_come(way: tuple[Way], stage: State) -> None:
    world = World()
    meeting = await launched(world, *way)
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(1, Reason.CRASHED))
    (last,) = (await world.store.events(meeting.meeting_id))[-1:]
    failed = await world.meeting(meeting.meeting_id)
    assert failed.status in FAILING
    assert (failed.reason, failed.failure_stage, last.reason) == (Reason.CRASHED, stage, Reason.CRASHED)
    assert "exit code 1" in last.detail


async def test_v27_a_stop_that_is_confirmed_late_is_no_contradiction() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await stop(world, meeting)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    answer = await world.reports.exited(bot, exited(143, Reason.STOPPED))
    assert answer.outcome == "ignored"
    with pytest.raises(Superseded):
        await world.reports.heartbeat(bot)


async def test_v28_a_second_stop_sends_no_second_leave() -> None:
    world = World()
    meeting = await world.active()
    for _ in range(3):
        await stop(world, meeting)
        await world.settle()
    commands = await world.store.pending(meeting.connection_id, after_seq=0)
    assert [command.action for command in commands] == ["leave"]


async def test_v29_stopping_a_meeting_that_is_over_is_no_error() -> None:
    world = World()
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.EVICTED))
    ended = await stop(world, meeting)
    assert (ended.status, ended.reason, ended.stop_requested) == (S.COMPLETED, Reason.EVICTED, False)


async def test_v30_a_scheduled_bot_that_was_stopped_is_never_sent() -> None:
    world = World()
    user = await world.user()
    asked = replace(wish(), join_at=world.clock() + timedelta(hours=1), configuration=Configuration("en"))
    meeting = (await world.bots.request(user.user_id, asked)).meeting
    await stop(world, meeting)
    for _ in range(3):
        world.clock.advance(3600)
        await world.reconciler.reconcile()
        await world.settle()
    events = [event.event for event in await world.store.events(meeting.meeting_id)]
    assert events == [Event.SCHEDULED, Event.STOP_REQUESTED]
    assert not world.machine.starts


async def test_v30_failing_attempts_come_ever_more_slowly_and_end() -> None:
    async def crash(_: Workload) -> int:
        return 1

    world = World(bot=crash)
    meeting = await world.send_bot()
    at: list[float] = []
    begun = world.clock()
    for _ in range(200):
        starts = len(world.machine.starts)
        await world.settle()
        await asyncio.sleep(0)
        at += [(world.clock() - begun).total_seconds()] * (len(world.machine.starts) - starts)
        await world.reconciler.reconcile()
        world.clock.advance(1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert len(at) == world.policy.max_attempts
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0] >= world.policy.retry.first_s
    assert (await world.meeting(meeting.meeting_id)).status is S.FAILED
