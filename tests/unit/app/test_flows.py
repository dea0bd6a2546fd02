"""The flows of the system over in-memory adapters: who moves a meeting, where to, and what is done about it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from tests.support.world import World, exited, on_the_way, wish

from usher.adapters.memory.failing_launchers import (
    ForgettingLauncher,
    FullLauncher,
    RefusingLauncher,
    SilentLauncher,
)
from usher.adapters.memory.launcher import Machine, MemoryLauncher, Workload
from usher.app.bots import Wish
from usher.app.reconciler import Reconciler
from usher.app.transitions import Report
from usher.domain.errors import Conflict, Invalid, LimitReached, NotAllowed, NotFound, Superseded
from usher.domain.lifecycle import Event, Reason, Source, State
from usher.domain.meeting import Platform
from usher.domain.reconcile import WorkloadName
from usher.ports import Configuration, IdempotencyKey

S = State


async def stop(world: World, room: str = "weekly-sync") -> None:
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, room)


async def configure(world: World, language: str) -> None:
    user = await world.user()
    await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": language})


async def test_a_whole_visit() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.status(bot, on_the_way("joining"))
    await world.reports.status(bot, on_the_way("awaiting_admission"))
    await world.reports.started(bot)
    await stop(world)
    await world.settle()
    await world.reports.exited(bot, exited(0, Reason.STOPPED))
    await world.settle()
    assert await world.states(meeting.meeting_id) == [
        S.REQUESTED,
        S.STARTING,
        S.JOINING,
        S.AWAITING_ADMISSION,
        S.ACTIVE,
        S.STOPPING,
        S.COMPLETED,
    ]
    ended = await world.meeting(meeting.meeting_id)
    assert ended.reason is Reason.STOPPED
    assert ended.start_time is not None
    assert ended.end_time is not None
    assert ended.data["totals"]["segments"] == 0
    assert not world.machine.workloads


async def test_post_meeting_tasks_run_once() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    for _ in range(3):
        await world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))
    await world.settle()
    states = await world.states(meeting.meeting_id)
    assert states.count(S.COMPLETED) == 1
    assert (await world.meeting(meeting.meeting_id)).reason is Reason.MEETING_ENDED


async def test_stop_before_the_launch_never_launches() -> None:
    world = World()
    meeting = await world.send_bot()
    await stop(world)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.COMPLETED
    assert not world.machine.starts


@pytest.mark.parametrize("reached", [None, "joining", "awaiting_admission"])
async def test_stop_on_the_way_ends_the_workload_after_the_grace(
    reached: Literal["joining", "awaiting_admission"] | None,
) -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    if reached is not None:
        await world.reports.status(await world.bot_of(meeting.meeting_id), on_the_way(reached))
    await stop(world)
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.STOPPING
    assert world.machine.running()
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.STOPPED)
    assert not world.machine.running()


async def test_stopping_twice_is_stopping_once() -> None:
    world = World()
    meeting = await world.active()
    await stop(world)
    await stop(world)
    assert (await world.states(meeting.meeting_id)).count(S.STOPPING) == 1


async def test_a_meeting_that_was_read_before_it_moved_refuses_nothing() -> None:
    world = World()
    inside = await world.active()
    asked = replace(inside, status=S.REQUESTED)
    wanted = Report(Event.CONFIGURATION_REQUESTED, Source.USER, 1, configuration=Configuration("de"))
    outcome = await world.transitions.apply(inside.meeting_id, wanted, known=asked)
    assert (outcome.applied, outcome.meeting.status) == (True, S.RECONFIGURING)
    again = await world.transitions.apply(inside.meeting_id, Report(Event.ADMITTED, Source.BOT, 1), known=inside)
    assert not again.applied
    assert again.meeting == outcome.meeting, "what is answered is how the meeting is now"


async def test_leave_goes_over_the_command_channel() -> None:
    world = World()
    meeting = await world.active()
    heard = world.channel.listen(meeting.connection_id)
    await stop(world)
    assert [(c.seq, c.action) for c in await world.store.pending(meeting.connection_id, after_seq=0)] == [(1, "leave")]
    assert json.loads(await asyncio.wait_for(heard.get(), 1.0)) == {"action": "leave", "seq": 1}


async def test_a_command_that_nobody_acknowledges_is_published_again() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    await asyncio.sleep(0.01)
    heard = world.channel.listen(meeting.connection_id)
    await world.settle()
    assert heard.empty(), "its bot still has time"
    world.clock.advance(world.policy.command_again_s)
    await world.settle()
    assert json.loads(heard.get_nowait())["seq"] == 1
    await world.settle()
    assert heard.empty(), "what is missed then is read after a heartbeat"


async def test_a_command_that_was_acknowledged_is_not_published_again() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    await asyncio.sleep(0.01)
    heard = world.channel.listen(meeting.connection_id)
    await world.reports.acknowledge(await world.bot_of(meeting.meeting_id), 1, outcome="applied", detail="")
    world.clock.advance(world.policy.command_again_s)
    await world.settle()
    assert heard.empty()


async def test_commands_are_published_in_the_order_of_their_numbers() -> None:
    world = World()
    meeting = await world.active()
    heard = world.channel.listen(meeting.connection_id)
    for language in ("de", "fr", "de"):
        await configure(world, language)
    await asyncio.sleep(0.01)
    said = [json.loads(heard.get_nowait()) for _ in range(heard.qsize())]
    assert [(one["seq"], one["language"]) for one in said] == [(1, "de"), (2, "fr"), (3, "de")]


async def test_a_change_of_configuration_is_applied() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    changed = await world.meeting(meeting.meeting_id)
    assert (changed.status, changed.configuration.language) == (S.RECONFIGURING, "en")
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.acknowledge(bot, 1, outcome="applied", detail="")
    changed = await world.meeting(meeting.meeting_id)
    assert (changed.status, changed.configuration.language) == (S.ACTIVE, "de")


async def test_a_refused_configuration_leaves_the_old_one_in_force() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.acknowledge(bot, 1, outcome="refused", detail="no such language")
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.configuration.language, after.desired_configuration.language) == (S.ACTIVE, "en", "en")


async def test_an_older_acknowledgement_does_not_end_a_newer_change() -> None:
    world = World()
    meeting = await world.active()
    for language in ("de", "fr"):
        await configure(world, language)
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.acknowledge(bot, 1, outcome="applied", detail="")
    assert (await world.meeting(meeting.meeting_id)).status is S.RECONFIGURING
    await world.reports.acknowledge(bot, 2, outcome="applied", detail="")
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.configuration.language) == (S.ACTIVE, "fr")


async def test_an_expired_configuration_returns_to_active_with_the_old_one() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    world.clock.advance(world.policy.deadlines.reconfiguring_s + 1)
    await world.reconciler.reconcile()
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.desired_configuration.language) == (S.ACTIVE, "en")


async def test_configuration_outside_the_meeting_is_a_conflict() -> None:
    world = World()
    await world.send_bot()
    user = await world.user()
    with pytest.raises(Conflict) as refused:
        await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": "de"})
    assert refused.value.code == "not_in_meeting"


async def test_a_second_bot_for_the_same_meeting_is_a_conflict_until_the_first_is_over() -> None:
    world = World()
    await world.send_bot()
    with pytest.raises(Conflict):
        await world.send_bot()
    await stop(world)
    assert (await world.send_bot()).meeting_id


async def test_the_limit_counts_every_bot_under_way_and_frees_once() -> None:
    world = World()
    first = await world.send_bot("room-1", limit=2)
    await world.send_bot("room-2")
    with pytest.raises(LimitReached):
        await world.send_bot("room-3")
    await stop(world, "room-1")
    await stop(world, "room-1")
    await world.settle()
    assert (await world.meeting(first.meeting_id)).status is S.COMPLETED
    await world.send_bot("room-3")
    with pytest.raises(LimitReached):
        await world.send_bot("room-4")


async def test_one_idempotency_key_is_one_meeting() -> None:
    world = World()
    user = await world.user()
    plain = wish()
    keyed = Wish(plain.ref, plain.bot_name, plain.configuration, idempotency=IdempotencyKey("k", b"1" * 32))
    first = await world.bots.request(user.user_id, keyed)
    again = await world.bots.request(user.user_id, keyed)
    assert (again.replayed, again.meeting.meeting_id) == (True, first.meeting.meeting_id)
    other = Wish(plain.ref, plain.bot_name, plain.configuration, idempotency=IdempotencyKey("k", b"2" * 32))
    with pytest.raises(Invalid):
        await world.bots.request(user.user_id, other)


async def test_a_refused_launch_fails_without_a_retry() -> None:
    world = World(launcher=RefusingLauncher(MemoryLauncher()))
    meeting = await world.send_bot()
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason, ended.failure_stage) == (S.FAILED, Reason.LAUNCH_REJECTED, S.STARTING)
    assert ended.attempt == 1


async def test_a_launch_whose_reply_is_lost_is_cleaned_up_and_retried() -> None:
    machine = Machine()
    world = World(launcher=ForgettingLauncher(MemoryLauncher(machine)))
    meeting = await world.send_bot()
    await world.settle()
    states = await world.states(meeting.meeting_id)
    assert states[:3] == [S.REQUESTED, S.STARTING, S.ERROR]


async def test_a_crash_is_retried_with_a_new_connection_and_then_given_up() -> None:
    async def crash(_: Workload) -> int:
        return 1

    world = World(bot=crash)
    meeting = await world.send_bot()
    connections = {meeting.connection_id}
    for _ in range(40):
        await world.settle()
        await asyncio.sleep(0)
        await world.reconciler.reconcile()
        world.clock.advance(5)
        connections.add((await world.meeting(meeting.meeting_id)).connection_id)
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.FAILED, Reason.CRASHED)
    assert ended.attempt == world.policy.max_attempts
    assert len(connections) == world.policy.max_attempts
    assert not world.machine.workloads


async def test_a_bot_that_was_denied_is_not_sent_again() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.status(bot, on_the_way("awaiting_admission"))
    await world.reports.exited(bot, exited(0, Reason.REJECTED))
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason, ended.attempt) == (S.FAILED, Reason.REJECTED, 1)


async def test_a_silent_bot_is_found_by_its_lease() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.heartbeat(bot)
    await world.listen(world.policy.lease_s - 1)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE
    await world.listen(2)
    await world.reconciler.reconcile()
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.reason) == (S.ERROR, Reason.LEASE_EXPIRED)


async def test_a_vanished_workload_needs_two_looks() -> None:
    world = World()
    meeting = await world.active()
    await world.launcher.remove(WorkloadName(meeting.meeting_id, 1))
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).reason is Reason.WORKLOAD_VANISHED


async def test_a_launcher_that_does_not_answer_ends_no_bot() -> None:
    world = World()
    meeting = await world.active()
    silent = SilentLauncher(world.launcher)
    reconciler = Reconciler(world.store, world.transitions, silent, world.legacy, world.policy)
    for _ in range(5):
        await reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE


async def test_a_workload_that_nobody_asked_for_is_removed() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))
    await world.reconciler.reconcile()
    await world.reconciler.settle()
    assert not world.machine.workloads


async def test_a_stop_while_in_error_wins_over_the_retry() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.exited(bot, exited(1, Reason.CRASHED))
    assert (await world.meeting(meeting.meeting_id)).status is S.ERROR
    await stop(world)
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason, ended.attempt) == (S.COMPLETED, Reason.STOPPED, 1)


async def test_the_longest_visit_ends_with_its_reason() -> None:
    world = World()
    meeting = await world.active()
    world.clock.advance(world.policy.deadlines.active_s + 1)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.STOPPING
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.STOPPED))
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.MAX_DURATION)


async def test_a_report_with_another_bots_token_is_refused() -> None:
    world = World()
    one, other = await world.active("room-1"), await world.active("room-2")
    token = world.credentials.token(await world.bot_of(other.meeting_id))
    with pytest.raises(NotAllowed):
        world.reports.authenticate(one.connection_id, token)


async def test_a_bot_of_an_older_attempt_is_told_to_go() -> None:
    world = World()
    meeting = await world.active()
    old = await world.bot_of(meeting.meeting_id)
    await world.reports.exited(old, exited(1, Reason.CRASHED))
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).attempt == 2
    with pytest.raises(Superseded):
        await world.reports.started(old)
    with pytest.raises(Superseded):
        await world.reports.heartbeat(old)
    with pytest.raises(Superseded):
        await world.reports.pending_commands(old, after_seq=0)


async def test_nobody_sees_somebody_elses_meeting() -> None:
    world = World()
    meeting = await world.send_bot()
    eve = await world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    with pytest.raises(NotFound):
        await world.bots.get_by_id(eve.user_id, meeting.meeting_id)
    with pytest.raises(NotFound):
        await world.bots.stop(eve.user_id, Platform.ROOM, "weekly-sync")
    assert not await world.bots.list_running(eve.user_id)


async def test_a_scheduled_bot_is_launched_ahead_of_its_time() -> None:
    world = World()
    user = await world.user(limit=1)
    plain = wish()
    join_at = world.clock.now + timedelta(hours=1)
    later = Wish(plain.ref, plain.bot_name, plain.configuration, join_at=join_at)
    meeting = (await world.bots.request(user.user_id, later)).meeting
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.SCHEDULED
    world.clock.advance(3600 - world.policy.scheduled_lead_s + 1)
    await world.reconciler.reconcile()
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.STARTING


async def test_a_scheduled_bot_waits_for_a_free_seat() -> None:
    world = World()
    user = await world.user(limit=1)
    plain = wish("room-2")
    later = Wish(plain.ref, plain.bot_name, plain.configuration, join_at=world.clock.now + timedelta(seconds=90))
    scheduled = (await world.bots.request(user.user_id, later)).meeting
    await world.active("room-1")
    world.clock.advance(60)
    await world.reconciler.reconcile()
    assert (await world.meeting(scheduled.meeting_id)).status is S.SCHEDULED
    await stop(world, "room-1")
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    await world.reconciler.reconcile()
    assert (await world.meeting(scheduled.meeting_id)).status is S.REQUESTED


async def test_a_launch_without_room_waits_says_so_once_and_goes_on_when_there_is_some() -> None:
    full = FullLauncher(MemoryLauncher(machine := Machine()))
    world = World(launcher=full)
    meeting = await world.send_bot()
    deadline = None
    for _ in range(4):
        await world.settle()
        waiting = await world.meeting(meeting.meeting_id)
        assert (waiting.status, waiting.reason) == (S.STARTING, Reason.NO_ROOM)
        assert deadline in (None, waiting.deadline_at)
        deadline = waiting.deadline_at
        world.clock.advance(10)
    assert await world.states(meeting.meeting_id) == [S.REQUESTED, S.STARTING, S.STARTING]
    assert not machine.workloads
    full.failing = False
    await world.settle()
    assert machine.workloads
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.started(bot)
    assert (await world.meeting(meeting.meeting_id)).reason is None


async def test_a_launch_that_never_finds_room_fails_for_want_of_room() -> None:
    world = World(launcher=FullLauncher(MemoryLauncher()))
    meeting = await world.send_bot()
    for _ in range(100):
        await world.settle()
        await world.reconciler.reconcile()
        world.clock.advance(10)
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason, ended.attempt) == (S.FAILED, Reason.NO_ROOM, world.policy.max_attempts)


async def test_a_stop_ends_what_waits_for_room() -> None:
    world = World(launcher=FullLauncher(MemoryLauncher()))
    meeting = await world.send_bot()
    await world.settle()
    await world.bots.stop(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)
    for _ in range(10):
        await world.settle()
        world.clock.advance(10)
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.STOPPED)
