"""What every store has to do: creating meetings and finding them again."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
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

from usher.domain.errors import Conflict, Invalid, InvariantBroken, LimitReached, NotFound
from usher.domain.lifecycle import LIVE, Effect, Event, Source, State
from usher.domain.meeting import Platform
from usher.ports import Configuration, IdempotencyKey, Lane, Owed, Page, Store

STOP = (Event.STOP_REQUESTED, Source.USER)
KEY = IdempotencyKey("order-66", b"a" * 32)


async def test_a_created_meeting_is_as_it_was_asked_for(store: Store) -> None:
    user = await new_user(store)
    new = request(user)
    before = datetime.now(UTC)
    created = await store.create(new)
    meeting = created.meeting
    assert not created.replayed
    assert (meeting.user_id, meeting.ref, meeting.bot_name) == (user.user_id, new.ref, "Usher")
    assert (meeting.status, meeting.version, meeting.attempt) == (State.REQUESTED, 1, 1)
    assert meeting.connection_id == new.connection_id
    assert meeting.configuration == meeting.desired_configuration == Configuration("en")
    assert not meeting.stop_requested
    assert (meeting.reason, meeting.failure_stage, meeting.bot_container_id) == (None, None, None)
    assert (meeting.join_at, meeting.start_time, meeting.end_time) == (None, None, None)
    assert meeting.data == {}
    assert meeting.deadline_at is not None
    assert meeting.deadline_at - meeting.created_at == timedelta(seconds=900)
    assert abs(meeting.created_at - before) < timedelta(minutes=5)
    assert meeting.created_at.tzinfo is not None
    assert await store.find(meeting.meeting_id) == meeting


async def test_a_created_meeting_has_a_first_event(store: Store) -> None:
    meeting = await new_meeting(store)
    (event,) = await store.events(meeting.meeting_id)
    assert (event.version, event.event, event.from_state, event.to_state) == (
        1,
        Event.REQUESTED,
        None,
        State.REQUESTED,
    )
    assert (event.by, event.attempt, event.reason, event.detail) == (Source.USER, 1, None, "")
    assert event.at == meeting.created_at


async def test_a_created_meeting_owes_its_effects(world: World) -> None:
    user = await new_user(world.store)
    owed = (Owed(Effect.LAUNCH), Owed(Effect.SEND_COMMAND, delay_s=100.0))
    meeting = (await world.store.create(replace(request(user), owed=owed))).meeting
    (launch,) = await world.store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0)
    assert (launch.meeting_id, launch.attempt, launch.effect) == (meeting.meeting_id, 1, Effect.LAUNCH)
    assert launch.tries == 0
    assert not await world.store.claim(Lane.COMMAND, limit=10, claim_s=60.0)
    await world.pass_time(101.0)
    assert await world.store.claim(Lane.COMMAND, limit=10, claim_s=60.0)


async def test_a_scheduled_meeting_is_due_before_its_time_and_uses_no_seat(store: Store) -> None:
    user = await new_user(store, bots=0)
    join_at = datetime.now(UTC) + timedelta(hours=3)
    meeting = (await store.create(schedule(user, join_at))).meeting
    assert (meeting.status, meeting.join_at) == (State.SCHEDULED, join_at)
    assert meeting.deadline_at == join_at - timedelta(seconds=60)
    assert not await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0)
    with pytest.raises(LimitReached):
        await store.create(request(user, "another"))


async def test_one_call_is_visited_once_at_a_time(store: Store) -> None:
    user = await new_user(store)
    meeting = await new_meeting(store, user)
    with pytest.raises(Conflict, match=str(meeting.meeting_id)) as caught:
        await store.create(request(user))
    assert caught.value.code == "already_there"
    with pytest.raises(Conflict):
        await store.create(schedule(user, datetime.now(UTC)))
    assert await new_meeting(store, user, "another-call")
    assert await new_meeting(store, await new_user(store))


async def test_one_call_may_be_visited_again(store: Store) -> None:
    user = await new_user(store)
    first = await new_meeting(store, user)
    await walk(store, first, STOP)
    second = await new_meeting(store, user)
    assert second.meeting_id > first.meeting_id
    assert await store.find_latest(user.user_id, Platform.ROOM, "weekly-sync") == second


async def test_the_limit_holds_until_a_bot_has_ended(store: Store) -> None:
    user = await new_user(store, bots=2)
    first, _ = await new_meeting(store, user, "call-1"), await new_meeting(store, user, "call-2")
    with pytest.raises(LimitReached) as caught:
        await new_meeting(store, user, "call-3")
    assert caught.value.code == "max_concurrent_bots"
    first = await walk(store, first, *ADMITTED, STOP)
    with pytest.raises(LimitReached):
        await new_meeting(store, user, "call-3")
    await walk(store, first, (Event.LEFT, Source.BOT))
    await new_meeting(store, user, "call-3")
    with pytest.raises(LimitReached):
        await new_meeting(store, user, "call-4")


async def test_a_limit_of_nothing_allows_nothing(store: Store) -> None:
    with pytest.raises(LimitReached):
        await new_meeting(store, await new_user(store, bots=0))


async def test_a_visit_under_way_is_named_even_at_the_limit(store: Store) -> None:
    user = await new_user(store, bots=1)
    await new_meeting(store, user)
    with pytest.raises(Conflict):
        await new_meeting(store, user)


async def test_a_stranger_is_not_found(store: Store) -> None:
    user = await new_user(store)
    with pytest.raises(NotFound) as caught:
        await store.create(request(replace(user, user_id=999_999)))
    assert caught.value.code == "unknown_user"


async def test_what_is_refused_leaves_no_trace(store: Store) -> None:
    user = await new_user(store, bots=1)
    meeting = await new_meeting(store, user)
    for refused in (request(user), request(user, "another"), replace(request(user, "another"), idempotency=KEY)):
        with pytest.raises((Conflict, LimitReached)):
            await store.create(refused)
    assert [m.meeting_id for m in await store.list_of_user(user.user_id, Page())] == [meeting.meeting_id]
    assert len(await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0)) == 1
    await walk(store, meeting, STOP)
    assert not (await store.create(replace(request(user, "another"), idempotency=KEY))).replayed


async def test_the_same_key_and_body_make_one_meeting(store: Store) -> None:
    user = await new_user(store)
    first = await store.create(replace(request(user), idempotency=KEY))
    again = await store.create(replace(request(user), idempotency=KEY))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.meeting == first.meeting
    over = await walk(store, first.meeting, STOP)
    replayed = await store.create(replace(request(user), idempotency=KEY))
    assert (replayed.meeting, replayed.replayed) == (over, True)


async def test_the_same_key_replays_even_at_the_limit(store: Store) -> None:
    user = await new_user(store, bots=1)
    first = await store.create(replace(request(user), idempotency=KEY))
    again = await store.create(replace(request(user), idempotency=KEY))
    assert again.meeting == first.meeting


async def test_the_same_key_with_another_body_is_refused(store: Store) -> None:
    user = await new_user(store)
    await store.create(replace(request(user), idempotency=KEY))
    with pytest.raises(Invalid) as caught:
        await store.create(replace(request(user, "another"), idempotency=IdempotencyKey(KEY.key, b"b" * 32)))
    assert caught.value.code == "idempotency_key_reused"


async def test_keys_of_different_users_have_nothing_to_do_with_each_other(store: Store) -> None:
    created = [
        await store.create(replace(request(await new_user(store)), idempotency=KEY)),
        await store.create(replace(request(await new_user(store)), idempotency=IdempotencyKey(KEY.key, b"b" * 32))),
    ]
    assert not any(each.replayed for each in created)


async def test_the_same_key_at_once_makes_one_meeting(store: Store) -> None:
    user = await new_user(store)
    created = await asyncio.gather(*(store.create(replace(request(user), idempotency=KEY)) for _ in range(20)))
    assert len({each.meeting.meeting_id for each in created}) == 1
    assert sum(not each.replayed for each in created) == 1
    assert len(await store.list_of_user(user.user_id, Page())) == 1


async def test_a_connection_belongs_to_one_attempt(store: Store) -> None:
    user = await new_user(store)
    meeting = await new_meeting(store, user)
    with pytest.raises(InvariantBroken):
        await store.create(replace(request(user, "another"), connection_id=meeting.connection_id))
    await new_meeting(store, user, "another")


async def test_a_meeting_is_found_by_any_of_its_connections(store: Store) -> None:
    meeting = await new_meeting(store)
    failed = await walk(
        store, meeting, (Event.LAUNCH_BEGUN, Source.DISPATCHER), (Event.LAUNCH_FAILED, Source.DISPATCHER)
    )
    retried = await walk(store, failed, (Event.RETRY_GRANTED, Source.DISPATCHER))
    assert retried.connection_id != meeting.connection_id
    for connection_id in (meeting.connection_id, retried.connection_id):
        assert await store.find_by_connection(connection_id) == retried


async def test_what_is_not_there_is_none(store: Store) -> None:
    user = await new_user(store)
    assert await store.find(999_999) is None
    assert await store.find_by_connection("nobody") is None
    assert await store.find_latest(user.user_id, Platform.ROOM, "weekly-sync") is None
    assert list(await store.list_of_user(user.user_id, Page())) == []
    assert list(await store.events(999_999)) == []
    assert list(await store.watched(POLICY)) == []


async def test_the_latest_visit_is_the_callers_own(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    meeting = await new_meeting(store, user)
    await new_meeting(store, other)
    assert await store.find_latest(user.user_id, Platform.ROOM, "weekly-sync") == meeting
    assert await store.find_latest(user.user_id, Platform.ZOOM, "weekly-sync") is None


async def test_meetings_are_listed_newest_first_page_by_page(store: Store) -> None:
    user = await new_user(store, bots=9)
    made = [await new_meeting(store, user, f"call-{n}") for n in range(5)]
    await new_meeting(store, await new_user(store))
    await walk(store, made[1], STOP)
    ids = [m.meeting_id for m in reversed(made)]

    async def listed(page: Page) -> list[int]:
        return [m.meeting_id for m in await store.list_of_user(user.user_id, page)]

    assert await listed(Page()) == ids
    assert await listed(Page(limit=2)) == ids[:2]
    assert await listed(Page(limit=2, before_id=ids[1])) == ids[2:4]
    assert await listed(Page(states=frozenset({State.COMPLETED}))) == [made[1].meeting_id]
    assert await listed(Page(states=LIVE, limit=3)) == [ids[0], ids[1], ids[2]]
    assert await listed(Page(states=frozenset())) == []


async def test_data_is_merged_key_by_key(store: Store) -> None:
    meeting = await new_meeting(store)
    await store.put_data(meeting.meeting_id, {"a": 1, "b": {"x": [1, None, "ä"]}})
    await store.put_data(meeting.meeting_id, {"b": 2, "c": True})
    await store.put_data(meeting.meeting_id, {"b": 2, "c": True})
    await store.put_data(999_999, {"a": 1})
    found = await store.find(meeting.meeting_id)
    assert found is not None
    assert found.data == {"a": 1, "b": 2, "c": True}
    assert (found.version, found.status) == (1, State.REQUESTED)


async def test_a_log_with_nul_characters_can_be_kept(store: Store) -> None:
    meeting = await new_meeting(store)
    await store.put_data(meeting.meeting_id, {"log": "a\x00b\\u0000c", "parts": [{"x": "\x00"}]})
    found = await store.find(meeting.meeting_id)
    assert found is not None
    assert found.data == {"log": "ab\\u0000c", "parts": [{"x": ""}]}


async def test_what_is_not_over_is_watched(world: World) -> None:
    store, user = world.store, await new_user(world.store)
    waiting = await new_meeting(store, user, "call-1")
    inside = await walk(store, await new_meeting(store, user, "call-2"), *ADMITTED)
    await walk(store, await new_meeting(store, user, "call-3"), STOP)
    watched = {row.meeting_id: row for row in await store.watched(POLICY)}
    assert set(watched) == {waiting.meeting_id, inside.meeting_id}
    row = watched[inside.meeting_id]
    assert (row.attempt, row.status, row.deadline_passed, row.lease_expired) == (1, State.ACTIVE, False, False)


async def test_a_deadline_passes(world: World) -> None:
    meeting = await new_meeting(world.store)
    await world.pass_time(800.0)
    (row,) = await world.store.watched(POLICY)
    assert not row.deadline_passed
    await world.pass_time(101.0)
    (row,) = await world.store.watched(POLICY)
    assert row.deadline_passed
    await walk(world.store, meeting, (Event.LAUNCH_BEGUN, Source.DISPATCHER))
    (row,) = await world.store.watched(POLICY)
    assert not row.deadline_passed


async def test_a_state_without_deadline_never_passes_it(world: World) -> None:
    meeting = await new_meeting(world.store)
    change = replace(decided(meeting, Event.LAUNCH_BEGUN, Source.DISPATCHER), deadline_s=None)
    assert (await written(world.store, change)).deadline_at is None
    await world.pass_time(1e6)
    (row,) = await world.store.watched(POLICY)
    assert not row.deadline_passed


async def test_a_store_answers(store: Store) -> None:
    await store.ping(timeout_s=30.0)
