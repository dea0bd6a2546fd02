"""What every store has to do: changing meetings."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.store_worlds import (
    ADMITTED,
    World,
    decided,
    new_meeting,
    new_user,
    schedule,
    walk,
    written,
)

from usher.domain.errors import InvariantBroken, LimitReached, NotFound
from usher.domain.lifecycle import TABLE, Effect, Event, Reason, Source, State, Transition
from usher.ports import Acknowledgement, Change, Claim, Configuration, Lane, Meeting, Owed, Seat, Store, Void, Webhook

LAUNCH_BEGUN = (Event.LAUNCH_BEGUN, Source.DISPATCHER)
LAUNCH_FAILED = (Event.LAUNCH_FAILED, Source.DISPATCHER)
STOP = (Event.STOP_REQUESTED, Source.USER)
GERMAN = Configuration("de", "translate")


async def unchanged(store: Store, meeting: Meeting) -> bool:
    """Say whether a meeting and its history are as they were, and no command is owed."""
    history = await store.events(meeting.meeting_id)
    owed = await store.claim(Lane.COMMAND, limit=10, claim_s=60.0)
    return (
        await store.find(meeting.meeting_id) == meeting
        and len(history) == meeting.version
        and not owed
        and not await store.pending(meeting.connection_id, after_seq=0)
    )


async def test_a_change_moves_row_and_history_together(store: Store) -> None:
    meeting = await new_meeting(store)
    wanted = replace(
        decided(meeting, *LAUNCH_BEGUN), workload="usher-1-1", detail="by hand", reason=Reason.LAUNCH_TIMEOUT
    )
    changed = await written(store, wanted)
    assert await store.find(meeting.meeting_id) == changed
    assert (changed.status, changed.version, changed.attempt) == (State.STARTING, 2, 1)
    assert (changed.bot_container_id, changed.reason) == ("usher-1-1", Reason.LAUNCH_TIMEOUT)
    assert changed.deadline_at == changed.updated_at + timedelta(seconds=60)
    assert changed.updated_at >= meeting.updated_at
    assert changed.created_at == meeting.created_at
    event = (await store.events(meeting.meeting_id))[-1]
    assert (event.version, event.event, event.from_state, event.to_state) == (
        2,
        Event.LAUNCH_BEGUN,
        State.REQUESTED,
        State.STARTING,
    )
    assert (event.by, event.attempt, event.reason) == (Source.DISPATCHER, 1, Reason.LAUNCH_TIMEOUT)
    assert (event.detail, event.at) == ("by hand", changed.updated_at)


async def test_what_a_change_does_not_name_stays(store: Store) -> None:
    meeting = await new_meeting(store)
    wanted = replace(
        decided(meeting, *LAUNCH_BEGUN),
        workload="usher-1-1",
        reason=Reason.CRASHED,
        failure_stage=State.JOINING,
        stop_requested=True,
    )
    named = await written(store, wanted)
    later = await written(store, replace(decided(named, Event.JOINING_BEGUN, Source.BOT), stop_requested=False))
    assert (later.bot_container_id, later.reason, later.failure_stage) == (
        "usher-1-1",
        Reason.CRASHED,
        State.JOINING,
    )
    assert (named.stop_requested, later.stop_requested) == (True, False)


async def test_a_change_on_an_old_version_is_void(store: Store) -> None:
    meeting = await new_meeting(store)
    wanted = replace(decided(meeting, *STOP), command="leave")
    changed = await walk(store, meeting, LAUNCH_BEGUN)
    assert await store.change(wanted) is Void.STALE
    assert await store.change(replace(wanted, expected_version=99)) is Void.STALE
    assert await store.change(replace(wanted, meeting_id=999_999)) is Void.STALE
    assert await unchanged(store, changed)


async def test_changes_on_one_version_at_once_are_one(store: Store) -> None:
    meeting = await new_meeting(store)
    wanted = decided(meeting, *STOP)
    outcomes = await asyncio.gather(*(store.change(wanted) for _ in range(20)))
    assert sum(isinstance(outcome, Meeting) for outcome in outcomes) == 1
    assert sum(outcome is Void.STALE for outcome in outcomes) == 19
    assert len(await store.events(meeting.meeting_id)) == 2


async def test_a_transition_that_the_table_lacks_is_refused(store: Store) -> None:
    meeting = await new_meeting(store)
    odd = Transition(Event.ADMITTED, State.REQUESTED, State.ACTIVE, frozenset({Source.BOT}), ())
    with pytest.raises(InvariantBroken):
        await store.change(replace(decided(meeting, *LAUNCH_BEGUN), transition=odd))
    assert await unchanged(store, meeting)


async def test_a_transition_from_elsewhere_is_refused(store: Store) -> None:
    meeting = await new_meeting(store)
    elsewhere = next(row for row in TABLE if (row.event, row.from_state) == (Event.LEFT, State.ACTIVE))
    with pytest.raises(InvariantBroken):
        await store.change(replace(decided(meeting, *LAUNCH_BEGUN), transition=elsewhere))
    assert await unchanged(store, meeting)


async def test_the_first_admission_is_the_start_and_the_last_state_is_the_end(world: World) -> None:
    store = world.store
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    assert inside.start_time == inside.updated_at
    assert inside.end_time is None
    await world.pass_time(100.0)
    found = await store.find(inside.meeting_id)
    assert found is not None
    back = await walk(
        store,
        found,
        (Event.CONFIGURATION_REQUESTED, Source.USER),
        (Event.CONFIGURATION_APPLIED, Source.BOT),
    )
    assert back.start_time == found.start_time
    over = await walk(store, back, (Event.LEFT, Source.BOT))
    assert (over.start_time, over.end_time, over.deadline_at) == (back.start_time, over.updated_at, None)


async def test_a_deadline_may_count_from_the_start(world: World) -> None:
    store = world.store
    starting = await walk(store, await new_meeting(store), LAUNCH_BEGUN)
    admitted = replace(decided(starting, Event.ADMITTED, Source.BOT), deadline_s=500.0, deadline_from_start=True)
    inside = await written(store, admitted)
    assert inside.start_time is not None
    assert inside.deadline_at == inside.start_time + timedelta(seconds=500)
    await world.pass_time(100.0)
    found = await store.find(inside.meeting_id)
    assert found is not None
    asked = await walk(store, found, (Event.CONFIGURATION_REQUESTED, Source.USER))
    applied = decided(asked, Event.CONFIGURATION_APPLIED, Source.BOT)
    back = await written(store, replace(applied, deadline_s=500.0, deadline_from_start=True))
    assert back.start_time == asked.start_time
    assert back.start_time is not None
    assert back.deadline_at == back.start_time + timedelta(seconds=500)


async def test_a_retry_begins_anew(store: Store) -> None:
    starting = await walk(store, await new_meeting(store), LAUNCH_BEGUN)
    failing = replace(
        decided(starting, *LAUNCH_FAILED), reason=Reason.LAUNCH_FAILED, failure_stage=State.STARTING, workload="w-1"
    )
    failed = await written(store, failing)
    assert (failed.reason, failed.failure_stage) == (Reason.LAUNCH_FAILED, State.STARTING)
    connection_id = str(uuid.uuid4())
    retry = decided(failed, Event.RETRY_GRANTED, Source.DISPATCHER)
    retried = await written(store, replace(retry, next_connection_id=connection_id))
    assert (retried.status, retried.attempt, retried.connection_id) == (State.REQUESTED, 2, connection_id)
    assert (retried.reason, retried.failure_stage) == (None, None)
    assert (await store.events(retried.meeting_id))[-1].attempt == 2
    claimed = await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0)
    assert [(each.effect, each.attempt) for each in claimed] == [(Effect.LAUNCH, 1)]


async def test_effects_belong_to_the_attempt_that_the_change_leads_to(store: Store) -> None:
    failed = await walk(store, await new_meeting(store), LAUNCH_BEGUN, LAUNCH_FAILED)
    await walk(store, failed, (Event.RETRY_GRANTED, Source.DISPATCHER))
    attempts = []
    while claimed := await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0):
        attempts += [(each.effect, each.attempt) for each in claimed]
        assert await store.complete(claimed[0].claim)
    assert attempts == [(Effect.LAUNCH, 1), (Effect.CLEAN_UP, 1), (Effect.LAUNCH, 2)]


async def test_a_retry_may_not_use_a_connection_again(store: Store) -> None:
    other = await new_meeting(store)
    failed = await walk(store, await new_meeting(store), LAUNCH_BEGUN, LAUNCH_FAILED)
    retry = decided(failed, Event.RETRY_GRANTED, Source.DISPATCHER)
    with pytest.raises(InvariantBroken):
        await store.change(replace(retry, next_connection_id=other.connection_id))
    assert await store.find(failed.meeting_id) == failed


async def test_a_configuration_is_wanted_and_then_in_force(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    wanted = decided(inside, Event.CONFIGURATION_REQUESTED, Source.USER)
    asked = await written(store, replace(wanted, desired_configuration=GERMAN, command="reconfigure"))
    assert (asked.configuration, asked.desired_configuration) == (Configuration("en"), GERMAN)
    applied = decided(asked, Event.CONFIGURATION_APPLIED, Source.BOT)
    back = await written(store, replace(applied, adopt_configuration=True))
    assert back.configuration == back.desired_configuration == GERMAN


async def test_a_configuration_is_wanted_and_then_dropped(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    wanted = decided(inside, Event.CONFIGURATION_REQUESTED, Source.USER)
    asked = await written(store, replace(wanted, desired_configuration=GERMAN))
    refused = decided(asked, Event.CONFIGURATION_REFUSED, Source.BOT)
    back = await written(store, replace(refused, drop_configuration=True))
    assert back.configuration == back.desired_configuration == Configuration("en")


async def test_no_language_is_a_configuration_too(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    wanted = decided(inside, Event.CONFIGURATION_REQUESTED, Source.USER)
    asked = await written(store, replace(wanted, desired_configuration=Configuration(None)))
    assert asked.desired_configuration == Configuration(None, "transcribe")


async def test_commands_are_numbered_and_kept_until_acknowledged(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    connection_id = inside.connection_id
    wanted = decided(inside, Event.CONFIGURATION_REQUESTED, Source.USER)
    asked = await written(store, replace(wanted, desired_configuration=GERMAN, command="reconfigure"))
    await written(store, replace(decided(asked, *STOP), command="leave"))
    first, second = await store.pending(connection_id, after_seq=0)
    assert (first.seq, first.connection_id, first.action) == (1, connection_id, "reconfigure")
    assert (first.configuration, second.seq, second.action) == (GERMAN, 2, "leave")
    assert list(await store.pending(connection_id, after_seq=1)) == [second]
    assert await store.acknowledge(connection_id, Acknowledgement(1, "applied")) == first
    assert await store.acknowledge(connection_id, Acknowledgement(1, "refused", "late")) == first
    assert list(await store.pending(connection_id, after_seq=0)) == [second]
    assert await store.acknowledge(connection_id, Acknowledgement(3, "applied")) is None
    assert await store.acknowledge("nobody", Acknowledgement(1, "applied")) is None
    assert list(await store.pending("nobody", after_seq=0)) == []


async def test_a_change_may_carry_the_word_on_its_command(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    connection_id, asked = inside.connection_id, inside
    for _ in range(2):
        wanted = decided(asked, Event.CONFIGURATION_REQUESTED, Source.USER)
        asked = await written(store, replace(wanted, desired_configuration=GERMAN, command="reconfigure"))
    assert asked.command_seq == 2
    applied = replace(
        decided(asked, Event.CONFIGURATION_APPLIED, Source.BOT),
        adopt_configuration=True,
        acknowledgement=Acknowledgement(2, "applied"),
    )
    assert await store.change(replace(applied, expected_version=1)) is Void.STALE
    assert len(await store.pending(connection_id, after_seq=0)) == 2, "a void change takes nobody's word"
    back = await written(store, applied)
    assert (back.status, back.configuration, back.command_seq) == (State.ACTIVE, GERMAN, 2)
    assert not await store.pending(connection_id, after_seq=0), "what was passed over will not be executed"
    said = await store.acknowledge(connection_id, Acknowledgement(2, "refused", "late"))
    assert said is not None
    assert said.seq == 2


async def test_a_command_belongs_to_the_attempt_that_it_was_sent_to(store: Store) -> None:
    inside = await walk(store, await new_meeting(store), *ADMITTED)
    wanted = decided(inside, Event.CONFIGURATION_REQUESTED, Source.USER)
    asked = await written(store, replace(wanted, command="reconfigure"))
    retried = await walk(store, asked, (Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER))
    assert not await store.pending(retried.connection_id, after_seq=0)
    again = await walk(store, retried, *ADMITTED)
    await written(store, replace(decided(again, *STOP), command="leave"))
    (leave,) = await store.pending(retried.connection_id, after_seq=0)
    assert leave.seq == 2
    assert await store.acknowledge(inside.connection_id, Acknowledgement(2, "applied")) is None
    beats = await store.beat([inside.connection_id, retried.connection_id], lease_s=10.0)
    assert (beats[inside.connection_id].newest_seq, beats[retried.connection_id].newest_seq) == (1, 2)


async def test_a_seat_is_taken_when_a_scheduled_meeting_begins(store: Store) -> None:
    user = await new_user(store, bots=1)
    scheduled = (await store.create(schedule(user, datetime.now(UTC)))).meeting
    other = await new_meeting(store, user, "another")
    wanted = decided(scheduled, Event.DEADLINE_PASSED, Source.RECONCILER)
    assert wanted.seat is Seat.TAKE
    assert await store.change(wanted) is Void.NO_SEAT
    assert await store.find(scheduled.meeting_id) == scheduled
    await walk(store, other, STOP)
    begun = await written(store, wanted)
    assert begun.status is State.REQUESTED
    with pytest.raises(LimitReached):
        await new_meeting(store, user, "another")
    await walk(store, begun, STOP)
    assert await new_meeting(store, user, "another")


async def test_no_seat_is_released_twice(store: Store) -> None:
    meeting = await new_meeting(store)
    released = await written(store, replace(decided(meeting, *LAUNCH_BEGUN), seat=Seat.RELEASE))
    with pytest.raises(InvariantBroken):
        await store.change(replace(decided(released, *STOP), seat=Seat.RELEASE))
    assert await store.find(meeting.meeting_id) == released


async def claimed_launch(store: Store) -> tuple[Meeting, Change, Claim]:
    meeting = await new_meeting(store)
    (effect,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    wanted = replace(decided(meeting, *LAUNCH_BEGUN), claim=effect.claim, owed=(Owed(Effect.SEND_COMMAND),))
    return meeting, wanted, effect.claim


async def test_a_change_completes_the_claim_that_it_is_the_outcome_of(world: World) -> None:
    meeting, wanted, claim = await claimed_launch(world.store)
    await written(world.store, wanted)
    assert not await world.store.complete(claim)
    await world.pass_time(100.0)
    assert not await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    (owed,) = await world.store.claim(Lane.COMMAND, limit=1, claim_s=60.0)
    assert owed.meeting_id == meeting.meeting_id


async def test_a_change_without_its_claim_is_void(world: World) -> None:
    store = world.store
    meeting, wanted, claim = await claimed_launch(store)
    for lost in (Claim(claim.effect_id, "another"), Claim(claim.effect_id + 1000, claim.token)):
        assert await store.change(replace(wanted, claim=lost)) is Void.CLAIM_LOST
    await world.pass_time(61.0)
    found = await store.find(meeting.meeting_id)
    assert found is not None
    assert await store.change(wanted) is Void.CLAIM_LOST
    assert await unchanged(store, found)


async def test_a_claim_that_another_took_over_is_lost(world: World) -> None:
    meeting, wanted, _ = await claimed_launch(world.store)
    await world.pass_time(61.0)
    (again,) = await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    assert again.tries == 0
    assert await world.store.change(wanted) is Void.CLAIM_LOST
    assert (await written(world.store, replace(wanted, claim=again.claim))).meeting_id == meeting.meeting_id


async def test_the_claim_of_another_meeting_is_no_claim(store: Store) -> None:
    _, _, claim = await claimed_launch(store)
    other = await new_meeting(store)
    assert await store.change(replace(decided(other, *LAUNCH_BEGUN), claim=claim)) is Void.CLAIM_LOST


async def test_a_void_change_keeps_its_claim(store: Store) -> None:
    meeting, wanted, claim = await claimed_launch(store)
    await walk(store, meeting, LAUNCH_BEGUN)
    assert await store.change(wanted) is Void.STALE
    assert await store.complete(claim)


async def test_a_void_change_takes_no_seat(store: Store) -> None:
    user = await new_user(store, bots=1)
    scheduled = (await store.create(schedule(user, datetime.now(UTC)))).meeting
    wanted = decided(scheduled, Event.DEADLINE_PASSED, Source.RECONCILER)
    assert await store.change(replace(wanted, expected_version=7)) is Void.STALE
    assert await store.change(replace(wanted, claim=Claim(1, "x"))) is Void.CLAIM_LOST
    assert await new_meeting(store, user, "another")


async def test_a_detail_with_nul_characters_can_be_kept(store: Store) -> None:
    meeting = await new_meeting(store)
    await written(store, replace(decided(meeting, *LAUNCH_BEGUN), detail="exit\x00 1"))
    assert (await store.events(meeting.meeting_id))[-1].detail == "exit 1"


async def test_every_change_is_owed_to_a_webhook_and_none_that_was_not_written(store: Store) -> None:
    user = await new_user(store)
    await store.put_webhook(user.user_id, Webhook("https://example.com/hook", "secret"))
    meeting = await new_meeting(store, user)
    begun = await written(store, decided(meeting, *LAUNCH_BEGUN))
    assert await store.change(decided(meeting, *LAUNCH_BEGUN)) is Void.STALE
    told = []
    while claimed := await store.claim(Lane.NOTIFY, limit=9, claim_s=60.0):
        assert len(claimed) == 1, "one after another"
        told.append((claimed[0].effect, claimed[0].meeting_id, claimed[0].version))
        await store.complete(claimed[0].claim)
    assert told == [(Effect.NOTIFY, begun.meeting_id, version) for version in (1, 2)]


async def test_nothing_is_owed_to_nobody(store: Store) -> None:
    user = await new_user(store)
    await store.put_webhook(user.user_id, Webhook("https://example.com/hook", "secret"))
    await store.put_webhook(user.user_id, Webhook("https://example.com/other", "another"))
    assert await store.find_webhook(user.user_id) == Webhook("https://example.com/other", "another")
    await store.put_webhook(user.user_id, None)
    await store.put_webhook(user.user_id, None)
    assert await store.find_webhook(user.user_id) is None
    await walk(store, await new_meeting(store, user), LAUNCH_BEGUN)
    assert not await store.claim(Lane.NOTIFY, limit=9, claim_s=60.0)
    with pytest.raises(NotFound):
        await store.put_webhook(0, None)
    with pytest.raises(NotFound):
        await store.put_webhook(0, Webhook("https://example.com/hook", "secret"))
