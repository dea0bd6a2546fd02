"""What every store has to do for bots: late commands, segments that are asked about, seats that never come."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.contract.store_worlds import (
    ADMITTED,
    POLICY,
    World,
    decided,
    new_meeting,
    new_user,
    request,
    schedule,
    walk,
    written,
)

from usher.domain.lifecycle import Effect, Event, Source, State
from usher.domain.transcript import Segment
from usher.ports import (
    Acknowledgement,
    Configuration,
    HeardSegment,
    IdempotencyKey,
    Lane,
    Mark,
    Meeting,
    Session,
    Store,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
STOP = (Event.STOP_REQUESTED, Source.USER)
GERMAN = Configuration("de", "translate")
A_DAY_S = 24 * 3600.0


async def asked(store: Store, meeting: Meeting, wanted: Configuration = GERMAN) -> Meeting:
    change = decided(meeting, Event.CONFIGURATION_REQUESTED, Source.USER)
    return await written(store, replace(change, desired_configuration=wanted, command="reconfigure"))


async def test_a_command_whose_time_is_over_is_not_read_again(store: Store) -> None:
    meeting = await asked(store, await walk(store, await new_meeting(store), *ADMITTED))
    late = decided(meeting, Event.DEADLINE_PASSED, Source.RECONCILER)
    await written(store, replace(late, expire_commands=True, drop_configuration=True))
    assert not await store.pending(meeting.connection_id, after_seq=0)


async def test_a_bots_word_is_better_than_the_verdict_that_it_will_say_nothing(store: Store) -> None:
    meeting = await asked(store, await walk(store, await new_meeting(store), *ADMITTED))
    late = decided(meeting, Event.DEADLINE_PASSED, Source.RECONCILER)
    back = await written(store, replace(late, expire_commands=True, drop_configuration=True))
    assert back.desired_configuration == Configuration("en")
    command = await store.acknowledge(meeting.connection_id, Acknowledgement(1, "applied"))
    assert command is not None
    assert (command.configuration, command.newest) == (GERMAN, True)
    applied = decided(back, Event.CONFIGURATION_APPLIED, Source.BOT)
    now = await written(store, replace(applied, desired_configuration=GERMAN, adopt_configuration=True))
    assert now.configuration == now.desired_configuration == GERMAN
    assert now.status is State.ACTIVE


async def test_an_acknowledgement_tells_whether_a_later_command_was_sent(store: Store) -> None:
    first = await asked(store, await walk(store, await new_meeting(store), *ADMITTED))
    second = await asked(store, first, Configuration("fr"))
    await written(store, replace(decided(second, *STOP), command="leave"))
    newest = [
        command.newest
        for seq in (1, 2, 3)
        if (command := await store.acknowledge(first.connection_id, Acknowledgement(seq, "applied")))
    ]
    assert newest == [False, True, True], "a leave is no later configuration"


async def test_a_deadline_is_no_later_than_its_cap(world: World) -> None:
    store = world.store
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await world.pass_time(95.0)
    meeting = (await store.find(meeting.meeting_id)) or meeting
    change = decided(meeting, Event.CONFIGURATION_REQUESTED, Source.USER)
    capped = await written(store, replace(change, deadline_s=30.0, deadline_cap_s=100.0))
    assert capped.start_time is not None
    assert capped.deadline_at == capped.start_time + timedelta(seconds=100.0)
    change = decided(capped, Event.CONFIGURATION_REQUESTED, Source.USER)
    again = await written(store, replace(change, deadline_s=30.0, deadline_cap_s=1e6))
    assert again.deadline_at == again.updated_at + timedelta(seconds=30.0)


async def test_connections_tell_their_attempt_and_which_bots_there_are(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    waiting = await new_meeting(store)
    assert dict(await store.bots()) == {meeting.connection_id: meeting.meeting_id}
    retried = await walk(store, meeting, (Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER))
    assert [await store.attempt_of(m.connection_id) for m in (meeting, retried, waiting)] == [1, 2, 1]
    assert await store.attempt_of("nobody") is None
    assert dict(await store.bots()) == {}


async def test_a_scheduled_meeting_is_missed_long_after_its_time(world: World) -> None:
    store, user = world.store, await new_user(world.store)
    scheduled = (await store.create(schedule(user, datetime.now(UTC)))).meeting
    running = await walk(store, await new_meeting(store, user, "another"), *ADMITTED)
    await world.pass_time(POLICY.missed_after_s - 30.0)
    assert not any(row.missed for row in await store.watched(POLICY))
    await world.pass_time(60.0)
    missed = {row.meeting_id: row.missed for row in await store.watched(POLICY)}
    assert missed == {scheduled.meeting_id: True, running.meeting_id: False}
    gone = await walk(store, scheduled, (Event.MISSED, Source.RECONCILER))
    assert gone.status is State.FAILED


def segment(segment_id: str, revision: int, *, completed: bool) -> Segment:
    return Segment(
        segment_id, revision, "uid", 0.0, 1.0, NOW, NOW + timedelta(seconds=1), "hello", None, None, completed
    )


async def test_only_final_segments_that_are_committed_are_stored(store: Store) -> None:
    meeting, other = await new_meeting(store), await new_meeting(store)
    of = meeting.meeting_id
    await store.save(
        [Session(of, "uid", NOW)],
        [
            HeardSegment(of, segment("final", 3, completed=True)),
            HeardSegment(of, segment("partial", 3, completed=False)),
        ],
    )
    marks = [
        Mark(of, "final", 2),
        Mark(of, "final", 3),
        Mark(of, "final", 4),
        Mark(of, "partial", 3),
        Mark(of, "never", 1),
        Mark(other.meeting_id, "final", 3),
    ]
    assert await store.stored(marks) == {Mark(of, "final", 2), Mark(of, "final", 3)}
    assert await store.stored([]) == frozenset()


async def test_what_is_old_and_over_is_pruned_and_nothing_else(world: World) -> None:
    store, user = world.store, await new_user(world.store)
    keyed = replace(request(user), idempotency=IdempotencyKey("a key", b"digest"))
    old = await walk(store, (await store.create(keyed)).meeting, *ADMITTED)
    old = await walk(store, old, (Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER), *ADMITTED)
    leave = await written(store, replace(decided(old, *STOP), command="leave", owed=()))
    over = await walk(store, leave, (Event.LEFT, Source.BOT))
    live = await walk(store, await new_meeting(store, user, "another"), *ADMITTED)
    live = await walk(store, live, (Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER))
    assert await store.prune(older_than_s=A_DAY_S, limit=100) == 0
    await world.pass_time(A_DAY_S + 60.0)
    assert await store.prune(older_than_s=A_DAY_S, limit=100) == 3, "a key, a former connection, a command"
    assert await store.prune(older_than_s=A_DAY_S, limit=100) == 0
    assert await store.find(over.meeting_id) is not None
    assert await store.attempt_of(over.connection_id) == 2
    fresh = await store.create(replace(keyed, connection_id="fresh"))
    assert not fresh.replayed, "the key is free again"
    assert await store.find_by_connection(live.connection_id) is not None


async def test_a_call_is_vacated_when_the_end_of_the_visit_before_is_no_longer_owed(store: Store) -> None:
    user = await new_user(store)
    first = await walk(store, await new_meeting(store, user), *ADMITTED, (Event.LEFT, Source.BOT))
    elsewhere, somebody = await new_meeting(store, user, "another"), await new_meeting(store)
    second = await new_meeting(store, user)
    vacated = [await store.is_vacated(m.meeting_id) for m in (first, elsewhere, somebody, second)]
    assert vacated == [True, True, True, False]
    for _ in range(9):
        for effect in await store.claim(Lane.WORKLOAD, limit=9, claim_s=60.0):
            if effect.meeting_id == first.meeting_id:
                assert await store.is_vacated(second.meeting_id) is (effect.effect is Effect.FINISH_MEETING)
            await store.complete(effect.claim)
    assert await store.is_vacated(second.meeting_id)


async def test_what_a_bot_has_passed_over_is_expired(store: Store) -> None:
    first = await asked(store, await walk(store, await new_meeting(store), *ADMITTED))
    await asked(store, await asked(store, first, Configuration("fr")), Configuration("it"))
    connection_id = first.connection_id
    assert await store.acknowledge(connection_id, Acknowledgement(9, "applied")) is None
    assert [command.seq for command in await store.pending(connection_id, after_seq=0)] == [1, 2, 3]
    await store.acknowledge(connection_id, Acknowledgement(2, "applied"))
    assert [command.seq for command in await store.pending(connection_id, after_seq=0)] == [3]
