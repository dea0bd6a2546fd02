"""What every store has to do: effects, leases, transcripts and users."""

import asyncio
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
    walk,
    written,
)

from usher.domain.lifecycle import Effect, Event, Source
from usher.domain.transcript import Segment
from usher.ports import Backlog, Claim, HeardSegment, Lane, Meeting, Owed, Session, Store

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
STOP = (Event.STOP_REQUESTED, Source.USER)


async def owing(store: Store, *owed: Owed) -> Meeting:
    return (await store.create(replace(request(await new_user(store)), owed=owed))).meeting


async def effects(store: Store, lane: Lane = Lane.WORKLOAD) -> list[Effect]:
    return [claimed.effect for claimed in await store.claim(lane, limit=10, claim_s=60.0)]


async def test_a_claim_is_one_at_a_time(world: World) -> None:
    store = world.store
    await owing(store, Owed(Effect.LAUNCH))
    (first,) = await store.claim(Lane.WORKLOAD, limit=5, claim_s=60.0)
    assert not await store.claim(Lane.WORKLOAD, limit=5, claim_s=60.0)
    await world.pass_time(59.0)
    assert not await store.claim(Lane.WORKLOAD, limit=5, claim_s=60.0)
    await world.pass_time(2.0)
    (second,) = await store.claim(Lane.WORKLOAD, limit=5, claim_s=60.0)
    assert second.claim.effect_id == first.claim.effect_id
    assert second.claim.token != first.claim.token
    assert (first.tries, second.tries) == (0, 0), "whoever lost it may never have tried"
    assert not await store.complete(first.claim)
    assert not await store.postpone(first.claim, delay_s=0.0, error="late")
    assert not await store.bury(first.claim, error="late")
    assert await store.complete(second.claim)
    assert not await store.complete(second.claim)


async def test_lanes_do_not_wait_for_each_other(store: Store) -> None:
    await owing(store, Owed(Effect.LAUNCH), Owed(Effect.SEND_COMMAND), Owed(Effect.FINISH_MEETING))
    assert await effects(store, Lane.WORKLOAD) == [Effect.LAUNCH]
    assert await effects(store, Lane.COMMAND) == [Effect.SEND_COMMAND]


async def test_a_claim_that_is_renewed_is_held(world: World) -> None:
    store = world.store
    await owing(store, Owed(Effect.LAUNCH), Owed(Effect.SEND_COMMAND))
    (launch,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=5.0)
    (command,) = await store.claim(Lane.COMMAND, limit=1, claim_s=5.0)
    await world.pass_time(4.0)
    assert await store.renew([launch.claim], claim_s=5.0) == {launch.claim.effect_id}
    await world.pass_time(2.0)
    both = [launch.claim, command.claim]
    assert await store.renew(both, claim_s=5.0) == {launch.claim.effect_id}, "the other was lost a second ago"
    assert not await store.claim(Lane.WORKLOAD, limit=1, claim_s=5.0)
    (taken,) = await store.claim(Lane.COMMAND, limit=1, claim_s=5.0)
    assert await store.renew(both, claim_s=5.0) == {launch.claim.effect_id}, "it is somebody else's now"
    assert await store.complete(taken.claim)
    assert await store.complete(launch.claim)
    assert await store.renew(both, claim_s=5.0) == frozenset()


async def test_what_is_due_is_counted_by_lane(world: World) -> None:
    store = world.store
    assert set((await store.backlogs()).values()) == {Backlog()}
    await owing(store, Owed(Effect.LAUNCH), Owed(Effect.CLEAN_UP), Owed(Effect.SEND_COMMAND, delay_s=1000.0))
    await world.pass_time(60.0)
    backlogs = await store.backlogs()
    assert backlogs[Lane.WORKLOAD].depth == 2
    assert 60.0 <= backlogs[Lane.WORKLOAD].oldest_s < 600.0
    assert backlogs[Lane.COMMAND] == Backlog()


async def test_effects_of_one_meeting_and_lane_run_one_after_another(store: Store) -> None:
    await owing(store, Owed(Effect.LAUNCH), Owed(Effect.CLEAN_UP), Owed(Effect.TERMINATE))
    done = []
    while claimed := await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0):
        assert len(claimed) == 1
        done.append(claimed[0].effect)
        assert await store.complete(claimed[0].claim)
    assert done == [Effect.LAUNCH, Effect.CLEAN_UP, Effect.TERMINATE]


async def test_effects_of_different_meetings_do_not_wait_for_each_other(store: Store) -> None:
    meetings = [await owing(store, Owed(Effect.LAUNCH), Owed(Effect.CLEAN_UP)) for _ in range(3)]
    claimed = await store.claim(Lane.WORKLOAD, limit=2, claim_s=60.0)
    assert [each.meeting_id for each in claimed] == [m.meeting_id for m in meetings[:2]]
    (third,) = await store.claim(Lane.WORKLOAD, limit=2, claim_s=60.0)
    assert third.meeting_id == meetings[2].meeting_id


async def test_an_earlier_effect_that_is_not_due_holds_nothing_up(world: World) -> None:
    store = world.store
    await owing(store, Owed(Effect.TERMINATE_AFTER_GRACE, delay_s=20.0), Owed(Effect.CLEAN_UP))
    (clean_up,) = await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0)
    assert clean_up.effect is Effect.CLEAN_UP
    await world.pass_time(21.0)
    assert await effects(store) == []
    assert await store.complete(clean_up.claim)
    assert await effects(store) == [Effect.TERMINATE_AFTER_GRACE]


async def test_a_postponed_effect_comes_back_when_it_is_due(world: World) -> None:
    store = world.store
    await owing(store, Owed(Effect.LAUNCH))
    (first,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    assert await store.postpone(first.claim, delay_s=30.0, error="no answer\x00")
    assert not await store.postpone(first.claim, delay_s=30.0, error="again")
    assert await effects(store) == []
    await world.pass_time(31.0)
    (second,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    assert second.tries == 1


async def test_a_buried_effect_is_never_run_again_and_holds_nothing_up(world: World) -> None:
    store = world.store
    await owing(store, Owed(Effect.LAUNCH), Owed(Effect.CLEAN_UP))
    (launch,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    assert await store.bury(launch.claim, error="never")
    assert not await store.bury(launch.claim, error="never")
    assert await effects(store) == [Effect.CLEAN_UP]
    await world.pass_time(1000.0)
    assert await effects(store) == [Effect.CLEAN_UP]


async def test_an_unknown_claim_is_lost(store: Store) -> None:
    assert not await store.complete(Claim(1, "nothing"))


async def test_claims_at_once_never_overlap(store: Store) -> None:
    for _ in range(10):
        await owing(store, Owed(Effect.LAUNCH), Owed(Effect.CLEAN_UP))
    done: list[int] = []
    held: set[int] = set()

    async def work() -> None:
        while claimed := await store.claim(Lane.WORKLOAD, limit=3, claim_s=60.0):
            for each in claimed:
                assert each.meeting_id not in held
                held.add(each.meeting_id)
            await asyncio.sleep(0)
            for each in claimed:
                held.remove(each.meeting_id)
                assert await store.complete(each.claim)
                done.append(each.claim.effect_id)

    while len(done) < 20:
        await asyncio.gather(*(work() for _ in range(8)))
    assert len(done) == len(set(done)) == 20


async def test_a_lease_begins_with_the_first_beat(world: World) -> None:
    store = world.store
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await world.pass_time(30.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired
    beats = await store.beat([meeting.connection_id, "nobody"], lease_s=20.0)
    assert set(beats) == {meeting.connection_id}
    assert (beats[meeting.connection_id].current, beats[meeting.connection_id].newest_seq) == (True, 0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired
    await world.listen(21.0)
    (row,) = await store.watched(POLICY)
    assert row.lease_expired
    await store.beat([meeting.connection_id, meeting.connection_id], lease_s=20.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired


async def test_a_lease_of_an_earlier_attempt_counts_for_nothing(world: World) -> None:
    store = world.store
    meeting = await walk(store, await new_meeting(store), (Event.LAUNCH_BEGUN, Source.DISPATCHER))
    await store.beat([meeting.connection_id], lease_s=20.0)
    retried = await walk(store, meeting, (Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER))
    await world.listen(21.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired
    beats = await store.beat([meeting.connection_id, retried.connection_id], lease_s=20.0)
    assert [beats[c].current for c in (meeting.connection_id, retried.connection_id)] == [False, True]
    await world.listen(21.0)
    await store.beat([meeting.connection_id], lease_s=20.0)
    (row,) = await store.watched(POLICY)
    assert row.lease_expired


async def test_a_lease_does_not_expire_while_nobody_listens(world: World) -> None:
    store = world.store
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await store.beat([meeting.connection_id], lease_s=20.0)
    await world.pass_time(21.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired, "no manager ever took heartbeats"
    await world.listen(19.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired, "the bot has a whole lease to be heard again"
    await world.pass_time(10.0)
    await world.listen(19.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired, "nobody listened for ten seconds: it begins anew"
    await world.listen(2.0)
    (row,) = await store.watched(POLICY)
    assert row.lease_expired
    await world.pass_time(6.0)
    (row,) = await store.watched(POLICY)
    assert not row.lease_expired, "and nobody is called silent while nobody listens"


async def test_a_bot_of_a_meeting_that_is_over_is_not_current(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await store.beat([meeting.connection_id], lease_s=20.0)
    stopping = await written(store, replace(decided(meeting, *STOP), command="leave"))
    beat = (await store.beat([meeting.connection_id], lease_s=20.0))[meeting.connection_id]
    assert (beat.current, beat.newest_seq) == (True, 1)
    await walk(store, stopping, (Event.LEFT, Source.BOT))
    beat = (await store.beat([meeting.connection_id], lease_s=20.0))[meeting.connection_id]
    assert (beat.current, beat.newest_seq) == (False, 1)


async def test_no_beats_are_no_trouble(store: Store) -> None:
    assert dict(await store.beat([], lease_s=20.0)) == {}


def segment(segment_id: str, revision: int = 1, start_s: float = 0.0, *, completed: bool = False) -> Segment:
    return Segment(
        segment_id=segment_id,
        revision=revision,
        session_uid="session-1",
        start_s=start_s,
        end_s=start_s + 1.5,
        absolute_start=NOW + timedelta(seconds=start_s),
        absolute_end=NOW + timedelta(seconds=start_s + 1.5),
        text=f"{segment_id} at revision {revision}",
        speaker=None,
        language="en",
        completed=completed,
    )


async def heard(store: Store, meeting: Meeting, *segments: Segment) -> None:
    session = Session(meeting.meeting_id, "session-1", NOW)
    await store.save([session], [HeardSegment(meeting.meeting_id, each) for each in segments])


async def test_segments_are_kept_in_the_order_in_which_they_were_said(store: Store) -> None:
    meeting = await new_meeting(store)
    first = replace(segment("b", 3, 0.25, completed=True), speaker="Zoë 🎤", language=None, text="Guten Tag")
    second, third = segment("B", 1, 2.0), segment("a", 1, 2.0)
    await heard(store, meeting, third, first, second)
    assert list(await store.segments(meeting.meeting_id)) == [first, second, third]
    assert list(await store.segments(meeting.meeting_id + 1)) == []


async def test_the_newest_revision_wins_whatever_the_order(store: Store) -> None:
    meeting = await new_meeting(store)
    old, new, final = segment("a", 1), segment("a", 2), segment("a", 2, completed=True)
    await heard(store, meeting, new)
    await heard(store, meeting, old)
    assert list(await store.segments(meeting.meeting_id)) == [new]
    await heard(store, meeting, final)
    await heard(store, meeting, segment("a", 9))
    assert list(await store.segments(meeting.meeting_id)) == [final]
    corrected = segment("a", 3, completed=True)
    await heard(store, meeting, corrected, final, old)
    await heard(store, meeting, corrected, final, old)
    assert list(await store.segments(meeting.meeting_id)) == [corrected]


async def test_segments_of_many_meetings_come_in_one_batch(store: Store) -> None:
    meetings = [await new_meeting(store) for _ in range(3)]
    batch = [
        HeardSegment(meeting.meeting_id, segment(f"s{n}", n, float(n)))
        for n in (2, 1, 3)
        for meeting in (meetings[2], meetings[0], meetings[1])
    ]
    await store.save([], batch)
    for meeting in meetings:
        assert [s.segment_id for s in await store.segments(meeting.meeting_id)] == ["s1", "s2", "s3"]


async def test_what_does_not_fit_is_made_to_fit(store: Store) -> None:
    meeting = await new_meeting(store)
    await heard(store, meeting, replace(segment("a"), speaker="x" * 300, language="en-x-klingon", text="a\x00b"))
    (kept,) = await store.segments(meeting.meeting_id)
    assert (kept.speaker, kept.language, kept.text) == ("x" * 255, "en-x-kling", "ab")


async def test_a_meeting_that_is_gone_does_not_hold_up_a_batch(store: Store) -> None:
    meeting = await new_meeting(store)
    gone = Session(999_999, "session-1", NOW)
    await store.save([gone], [HeardSegment(999_999, segment("a")), HeardSegment(meeting.meeting_id, segment("a"))])
    assert len(await store.segments(meeting.meeting_id)) == 1
    assert list(await store.segments(999_999)) == []


async def changed(store: Store, meeting: Meeting, after: int) -> tuple[int, list[tuple[str, int]]]:
    edition = await store.edition(meeting.meeting_id, after=after)
    return edition.number, [(each.segment_id, each.revision) for each in edition.segments]


async def test_an_edition_has_what_changed_after_another(store: Store) -> None:
    meeting, other = await new_meeting(store), await new_meeting(store)
    assert await changed(store, meeting, -1) == (0, [])
    await heard(store, meeting, segment("a", 1), segment("b", 1, 1.0))
    await heard(store, other, segment("a", 7))
    await heard(store, meeting, segment("b", 2, 1.0), segment("c", 1, 2.0))
    await heard(store, meeting, segment("a", 0))
    assert await changed(store, meeting, -1) == (3, [("a", 1), ("b", 2), ("c", 1)])
    assert await changed(store, meeting, 0) == (3, [("a", 1), ("b", 2), ("c", 1)])
    assert await changed(store, meeting, 1) == (3, [("b", 2), ("c", 1)])
    assert await changed(store, meeting, 2) == (3, [])
    assert await changed(store, other, 0) == (1, [("a", 7)])


async def test_each_meeting_of_a_batch_gets_its_next_edition(store: Store) -> None:
    silent, meeting, other = [await new_meeting(store) for _ in range(3)]
    await heard(store, meeting, segment("a"))
    sessions = [Session(each.meeting_id, "session-1", NOW) for each in (silent, meeting, other)]
    said = [HeardSegment(each.meeting_id, segment("b")) for each in (other, meeting)]
    assert await store.save(sessions, said) == {silent.meeting_id: 0, meeting.meeting_id: 2, other.meeting_id: 1}


async def test_whoever_sees_an_edition_sees_all_before_it(store: Store) -> None:
    """Many collectors write at once while a viewer keeps asking for what is new: it gets every segment."""
    meeting, other = await new_meeting(store), await new_meeting(store)
    seen: dict[str, int] = {}

    async def write(writer: int) -> None:
        for number in range(10):
            order = [meeting, other] if (writer + number) % 2 else [other, meeting]
            batch = [HeardSegment(each.meeting_id, segment(f"{writer}-{number}")) for each in order]
            await store.save([], batch)

    async def view() -> None:
        at = 0
        while at < 60:
            edition = await store.edition(meeting.meeting_id, after=at)
            assert len({each.segment_id for each in edition.segments}) == edition.number - at
            seen.update((each.segment_id, edition.number) for each in edition.segments)
            at = edition.number
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(view(), *(write(writer) for writer in range(6)))
    assert len(seen) == 60


async def test_an_empty_batch_is_no_trouble(store: Store) -> None:
    await store.save([], [])


async def test_batches_at_once_leave_the_newest(store: Store) -> None:
    meetings = [await new_meeting(store) for _ in range(4)]

    async def batch(revision: int) -> None:
        order = meetings if revision % 2 else meetings[::-1]
        await store.save(
            [Session(m.meeting_id, "session-1", NOW) for m in order],
            [HeardSegment(m.meeting_id, segment(f"s{n}", revision)) for m in order for n in range(20)],
        )

    await asyncio.gather(*(batch(revision) for revision in range(1, 13)))
    for meeting in meetings:
        kept = await store.segments(meeting.meeting_id)
        assert [(s.segment_id, s.revision) for s in kept] == sorted((f"s{n}", 12) for n in range(20))


async def test_users_are_made_once(store: Store) -> None:
    user = await store.create_user("ada@example.org", name="Ada", max_concurrent_bots=3)
    assert (user.email, user.name, user.max_concurrent_bots) == ("ada@example.org", "Ada", 3)
    assert await store.create_user("ada@example.org", name="Eve", max_concurrent_bots=99) == user
    assert await store.find_user(user.user_id) == user
    assert await store.find_user(999_999) is None
    nameless = await store.create_user("bob@example.org", name=None, max_concurrent_bots=1)
    assert list(await store.list_users(limit=10, after_id=0)) == [user, nameless]
    assert list(await store.list_users(limit=1, after_id=0)) == [user]
    assert list(await store.list_users(limit=10, after_id=user.user_id)) == [nameless]
