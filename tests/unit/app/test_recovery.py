"""What goes on after something was away: managers, Redis, seats, the bot itself."""

from datetime import timedelta
from typing import Any, cast

import pytest
from tests.support.world import World, exited, on_the_way, wish

from usher.app.bots import Wish
from usher.app.dispatcher import Again, Dispatcher
from usher.app.housekeeper import Housekeeper
from usher.app.loops import Wakeups
from usher.app.reports import Reports
from usher.app.transitions import Report, Transitions
from usher.domain.errors import LaunchRejected, Superseded
from usher.domain.lifecycle import Effect, Event, Reason, Source, State
from usher.domain.meeting import Platform
from usher.domain.reconcile import WorkloadName
from usher.ports import Change, ClaimedEffect, Lane, Meeting, Store, Void, WorkloadSpec
from usher.protocol.last_words import LastWords, UnsentExited, UnsentReport, UnsentStarted, seal
from usher.protocol.reports import SegmentMark
from usher.protocol.segments import SegmentEntry, SpokenSegment

S = State


def entry(meeting: Meeting, world: World, text: str = "good morning") -> SegmentEntry:
    spoken = SpokenSegment(segment_id="a:1", revision=4, start_s=1.0, end_s=2.0, text=text, completed=True)
    return SegmentEntry(
        meeting_id=meeting.meeting_id, session_uid="uid", session_start=world.clock.now, segments=[spoken]
    )


async def bequeath(world: World, meeting: Meeting, *reports: UnsentReport, token: str | None = None) -> None:
    """Let the bot leave its last words and end."""
    bot = await world.bot_of(meeting.meeting_id)
    words = LastWords(connection_id=bot.connection_id, reports=list(reports), entries=[entry(meeting, world)])
    name = WorkloadName(meeting.meeting_id, meeting.attempt)
    world.machine.workloads[name].last_words = seal(words, token or world.credentials.token(bot))
    world.machine.crash(name, code=0, detail="")


LEFT_ALONE = UnsentExited(seq=3, exit_code=0, reason=Reason.LEFT_ALONE)


async def test_what_a_bot_left_behind_is_believed_rather_than_its_exit_code() -> None:
    world = World()
    meeting = await world.active()
    await bequeath(world, meeting, LEFT_ALONE)
    for _ in range(2):
        await world.reconciler.reconcile()
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.LEFT_ALONE)
    assert [segment.text for segment in await world.store.segments(meeting.meeting_id)] == ["good morning"]
    assert ended.data["totals"]["segments"] == 1, "the totals are made after the last words"


async def test_a_bot_that_was_in_the_meeting_before_anybody_heard_of_it() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    await bequeath(world, await world.meeting(meeting.meeting_id), UnsentStarted(seq=1), LEFT_ALONE)
    for _ in range(2):
        await world.reconciler.reconcile()
    states = await world.states(meeting.meeting_id)
    assert states[-2:] == [S.ACTIVE, S.COMPLETED]


async def test_last_words_are_taken_up_before_a_stopped_bot_is_forgotten() -> None:
    world = World()
    meeting = await world.active()
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    await bequeath(world, meeting, LEFT_ALONE)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.STOPPED)
    events = [event.event for event in await world.store.events(meeting.meeting_id)]
    assert events[-1] is Event.LEFT, "and not: terminated"
    assert await world.store.segments(meeting.meeting_id)


async def test_last_words_with_a_wrong_seal_are_not_believed() -> None:
    world = World()
    meeting = await world.active()
    await bequeath(world, meeting, LEFT_ALONE, token="somebody else's")
    for _ in range(2):
        await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).reason is Reason.CRASHED
    assert not await world.store.segments(meeting.meeting_id)


async def test_a_repeated_last_word_gets_the_answer_of_the_first_even_after_a_retry() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    first = await world.reports.exited(bot, exited(1, Reason.CRASHED))
    assert await world.reports.exited(bot, exited(1, Reason.CRASHED)) == first
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).attempt == 2
    assert await world.reports.exited(bot, exited(1, Reason.CRASHED)) == first
    with pytest.raises(Superseded):
        await world.reports.started(bot)


async def test_a_repeated_report_gets_the_answer_of_the_first() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    bot = await world.bot_of(meeting.meeting_id)
    joining = [await world.reports.status(bot, on_the_way("joining")) for _ in range(2)]
    started = [await world.reports.started(bot) for _ in range(2)]
    assert joining[0] == joining[1]
    assert started[0] == started[1]
    assert await world.reports.status(bot, on_the_way("joining")) == joining[0]
    skipped = await world.reports.status(bot, on_the_way("awaiting_admission"))
    assert skipped.outcome == "ignored", "it was never in the lobby as far as anybody heard"


async def test_nobody_is_called_silent_by_a_manager_that_was_away_itself() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.listen(30.0)
    await world.reports.heartbeat(bot)
    world.clock.advance(300.0)
    await world.beats.attend()
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE
    await world.listen(world.policy.lease_s - 2)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is S.ACTIVE
    await world.listen(4)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).reason is Reason.LEASE_EXPIRED


async def test_a_heartbeat_tells_what_is_stored() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.collector.store([entry(meeting, world)])
    asked = [SegmentMark(segment_id="a:1", revision=4), SegmentMark(segment_id="a:2", revision=1)]
    assert (await world.reports.heartbeat(bot, asked)).stored == asked[:1]


async def test_accounts_that_redis_forgot_are_granted_again() -> None:
    world = World()
    meeting = await world.active()
    password = world.access.passwords.pop(meeting.connection_id)
    await world.accounts.sweep()
    assert world.access.passwords == {meeting.connection_id: password}


async def test_an_account_that_is_left_over_is_revoked() -> None:
    world = World()
    meeting = await world.active()
    await world.access.grant("somebody long gone", "password")
    await world.accounts.sweep()
    assert set(world.access.passwords) == {meeting.connection_id}


async def test_a_scheduled_bot_without_a_seat_is_given_up_long_after_its_time() -> None:
    world = World()
    user = await world.user(limit=1)
    plain = wish("room-2")
    join_at = world.clock.now + timedelta(seconds=90)
    scheduled = (await world.bots.request(user.user_id, Wish(plain.ref, "Usher", plain.configuration, join_at))).meeting
    await world.active("room-1")
    world.clock.advance(90 + world.policy.missed_after_s - 1)
    await world.reconciler.reconcile()
    assert (await world.meeting(scheduled.meeting_id)).status is S.SCHEDULED
    world.clock.advance(1)
    await world.reconciler.reconcile()
    missed = await world.meeting(scheduled.meeting_id)
    assert (missed.status, missed.reason) == (S.FAILED, Reason.MISSED)


async def test_changing_the_configuration_again_and_again_does_not_prolong_a_visit() -> None:
    world = World()
    meeting = await world.active()
    user = await world.user()
    world.clock.advance(world.policy.deadlines.active_s - 10)
    await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": "de"})
    world.clock.advance(11)
    await world.reconciler.reconcile()
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.reason) == (S.STOPPING, Reason.MAX_DURATION)


async def test_a_configuration_that_is_applied_late_is_in_force_all_the_same() -> None:
    world = World()
    meeting = await world.active()
    user = await world.user()
    await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": "de"})
    world.clock.advance(world.policy.deadlines.reconfiguring_s + 1)
    await world.reconciler.reconcile()
    bot = await world.bot_of(meeting.meeting_id)
    for _ in range(2):
        await world.reports.acknowledge(bot, 1, outcome="applied", detail="")
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.configuration.language, after.desired_configuration.language) == (S.ACTIVE, "de", "de")
    events = [event.event for event in await world.store.events(meeting.meeting_id)]
    assert events.count(Event.CONFIGURATION_APPLIED) == 1


async def test_the_same_configuration_again_is_not_applied_by_an_old_acknowledgement() -> None:
    world = World()
    meeting = await world.active()
    user = await world.user()
    for language in ("de", "fr", "de"):
        await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": language})
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.acknowledge(bot, 1, outcome="applied", detail="")
    assert (await world.meeting(meeting.meeting_id)).status is S.RECONFIGURING


async def test_a_late_word_on_a_change_does_not_end_one_that_was_asked_for_in_the_meantime() -> None:
    world = World()
    meeting = await world.active()
    user = await world.user()
    await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": "de"})
    bot = await world.bot_of(meeting.meeting_id)

    class AsksMeanwhile:
        async def change(self, change: Change) -> Meeting | Void:
            if change.acknowledgement is not None:
                await world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": "fr"})
            return await world.store.change(change)

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
            return getattr(world.store, name)

    store = cast("Store", AsksMeanwhile())
    door = Transitions(store, world.feed, world.policy, lambda: None, world.sender.send)
    await Reports(store, door, world.credentials, world.beats).acknowledge(bot, 1, outcome="applied", detail="")
    after = await world.meeting(meeting.meeting_id)
    assert (after.status, after.configuration.language, after.desired_configuration.language) == (
        S.RECONFIGURING,
        "en",
        "fr",
    )
    assert [command.seq for command in await world.store.pending(meeting.connection_id, after_seq=0)] == [2]


async def test_a_launch_that_a_dead_manager_had_begun_ends_with_the_stop() -> None:
    world = World()
    meeting = await world.send_bot()
    begun = Report(Event.LAUNCH_BEGUN, Source.DISPATCHER, 1)
    await world.transitions.apply(meeting.meeting_id, begun)
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    await world.settle()
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (S.COMPLETED, Reason.STOPPED), "nobody needs the grace"
    assert not world.machine.starts


async def test_a_bot_that_a_dead_manager_had_launched_keeps_its_grace() -> None:
    world = World()
    meeting = await world.send_bot()
    begun = await world.transitions.apply(meeting.meeting_id, Report(Event.LAUNCH_BEGUN, Source.DISPATCHER, 1))
    await world.launcher.start(WorkloadSpec(WorkloadName(meeting.meeting_id, begun.meeting.attempt), {}))
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    await world.settle()
    assert (await world.meeting(meeting.meeting_id)).status is S.STOPPING
    assert world.machine.running()


async def test_claims_are_held_while_an_effect_runs() -> None:
    world = World()
    await world.send_bot()
    stolen: list[int] = []

    async def slow(effect: ClaimedEffect) -> object:
        for _ in range(10):
            world.clock.advance(world.policy.claim_renewal_s)
            await dispatcher.renew_claims()
            stolen.append(len(await world.store.claim(Lane.WORKLOAD, limit=9, claim_s=1.0)))
        return await world.workload.launch(effect)

    dispatcher = Dispatcher(world.store, {Effect.LAUNCH: slow}, world.policy, Wakeups())  # type: ignore[dict-item]  # a handler's result is passed through
    assert await dispatcher.run_pending() == 1
    assert stolen == [0] * 10
    assert world.machine.running()


async def test_a_dispatcher_that_lost_its_claim_settles_nothing() -> None:
    world = World()
    meeting = await world.send_bot()
    (claimed,) = await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=world.policy.claim_s)
    world.clock.advance(world.policy.claim_s + 1)
    (taken,) = await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=world.policy.claim_s)
    assert not await world.store.complete(claimed.claim)
    assert await world.store.complete(taken.claim)
    assert (await world.meeting(meeting.meeting_id)).status is S.REQUESTED


async def test_old_rows_are_pruned_and_the_outbox_is_measured() -> None:
    world = World()
    meeting = await world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.exited(bot, exited(1, Reason.CRASHED))
    await world.settle()
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    await world.settle()
    housekeeper = Housekeeper(world.store, keep_s=3600.0)
    await housekeeper.measure()
    assert await housekeeper.prune() == 0
    world.clock.advance(3601.0)
    assert await housekeeper.prune() == 1, "the connection of the first attempt"


async def test_the_history_says_who_and_why() -> None:
    world = World()
    meeting = await world.active()
    world.machine.crash(WorkloadName(meeting.meeting_id, 1), code=137, detail="out of memory")
    for _ in range(2):
        await world.reconciler.reconcile()
    last = (await world.store.events(meeting.meeting_id))[-1]
    assert (last.by, last.reason, last.attempt) == (Source.RECONCILER, Reason.CRASHED, 1)
    assert "137" in last.detail
    assert "out of memory" in last.detail


async def test_the_next_visit_to_a_call_waits_for_the_end_of_the_one_before() -> None:
    world = World()
    first = await world.active()
    await world.reports.exited(await world.bot_of(first.meeting_id), exited(0, Reason.MEETING_ENDED))
    second = await world.send_bot()
    for effect in await world.store.claim(Lane.WORKLOAD, limit=9, claim_s=5.0):
        if effect.meeting_id == second.meeting_id:
            result = await world.workload.launch(effect)
            assert isinstance(result, Again)
            assert (await world.meeting(second.meeting_id)).status is S.REQUESTED
    world.clock.advance(6.0)
    await world.settle()
    world.clock.advance(6.0)
    await world.settle()
    assert world.machine.running() == {WorkloadName(second.meeting_id, 1)}


async def test_what_an_orphan_left_behind_is_taken_up_before_it_is_removed() -> None:
    world = World()
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    await bequeath(world, meeting)
    await world.reconciler.reconcile()
    await world.reconciler.settle()
    assert not world.machine.workloads
    assert [segment.text for segment in await world.store.segments(meeting.meeting_id)] == ["good morning"]


async def test_a_launch_that_comes_back_after_its_attempt_was_ended_starts_nothing() -> None:
    """The manager was paused between the store and the launcher; meanwhile others ended the attempt and began anew."""
    world = World()
    meeting = await world.send_bot()
    (late,) = await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=5.0)
    world.clock.advance(6.0)
    await world.settle()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(1, Reason.CRASHED))
    await world.settle()
    world.clock.advance(60.0)
    await world.settle()
    assert world.machine.running() == {WorkloadName(meeting.meeting_id, 2)}
    with pytest.raises(LaunchRejected):
        await world.launcher.start(WorkloadSpec(WorkloadName(late.meeting_id, late.attempt), {}))
    assert world.machine.running() == {WorkloadName(meeting.meeting_id, 2)}
