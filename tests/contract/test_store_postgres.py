"""What only a real database can show: many managers at once, and a database that does not answer."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.contract.store_worlds import (
    PATIENCE_S,
    PostgresWorld,
    decided,
    new_meeting,
    new_user,
    opened_postgres,
    request,
    walk,
)

from usher.adapters.postgres.outbox import TURN, TURN_CLASS
from usher.adapters.postgres.pool import Database
from usher.adapters.postgres.store import PostgresStore
from usher.domain.errors import Conflict, Invalid, LimitReached, Rejected, Unavailable
from usher.domain.lifecycle import COUNTED, LIVE, TABLE, Event, Source
from usher.ports import Created, Lane, Meeting, Page, Store, User, Void

STOP = (Event.STOP_REQUESTED, Source.USER)


@pytest.fixture
async def world(database_dsn: str) -> AsyncIterator[PostgresWorld]:
    async with opened_postgres(database_dsn, pool_size=20) as made:
        yield made


async def outcome(store: Store, user: User, native_id: str) -> Created | str:
    try:
        return await store.create(request(user, native_id))
    except Rejected as rejected:
        return rejected.code


async def seats(world: PostgresWorld, user: User) -> int:
    """Return the user's count of bots under way, as the database holds it."""
    ((count,),) = await world.run("SELECT active_bots FROM users WHERE id = $1", user.user_id)
    assert isinstance(count, int)
    return count


async def deadlocks(world: PostgresWorld) -> int:
    await world.run("SELECT pg_stat_force_next_flush()")
    ((count,),) = await world.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert isinstance(count, int)
    return count


async def test_creates_of_one_meeting_at_once_make_one(world: PostgresWorld) -> None:
    user = await new_user(world.store, bots=50)
    outcomes = await asyncio.gather(*(outcome(world.store, user, "weekly-sync") for _ in range(20)))
    assert sum(isinstance(each, Created) for each in outcomes) == 1
    assert outcomes.count("already_there") == 19
    assert await seats(world, user) == 1
    assert len(await world.store.claim(Lane.WORKLOAD, limit=99, claim_s=60.0)) == 1


async def test_creates_of_one_user_at_once_stay_within_the_limit(world: PostgresWorld) -> None:
    user = await new_user(world.store, bots=3)
    outcomes = await asyncio.gather(*(outcome(world.store, user, f"call-{n}") for n in range(20)))
    assert sum(isinstance(each, Created) for each in outcomes) == 3
    assert outcomes.count("max_concurrent_bots") == 17
    assert await seats(world, user) == 3


async def test_a_storm_of_creates_and_changes_of_one_user_ends_well(world: PostgresWorld) -> None:
    user, store = await new_user(world.store, bots=3), world.store
    before, met = await deadlocks(world), Counter[str]()

    async def bother(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - chance, not a secret
        for _ in range(25):
            native_id = f"call-{dice.randrange(5)}"
            try:
                meeting: Meeting | None = (await store.create(request(user, native_id))).meeting
                met["created"] += 1
            except (Conflict, LimitReached) as rejected:
                met[rejected.code] += 1
                meeting = await store.find_latest(user.user_id, request(user).ref.platform, native_id)
            if meeting is not None and meeting.status in LIVE:
                row = dice.choice([row for row in TABLE if row.from_state is meeting.status])
                changed = await store.change(decided(meeting, row.event, min(row.by)))
                met["changed" if isinstance(changed, Meeting) else changed] += 1
            assert await seats(world, user) <= 3

    await asyncio.gather(*(bother(seed) for seed in range(16)))
    assert await deadlocks(world) == before
    assert met["created"] > 0
    assert met["changed"] > 0
    counted = [m for m in await store.list_of_user(user.user_id, Page(limit=1000)) if m.status in COUNTED]
    assert await seats(world, user) == len(counted)


async def test_ends_and_creates_of_one_call_at_once_never_wait_for_each_other(world: PostgresWorld) -> None:
    """A create that holds the seats waits at the unique index for the end, and the end needs the seats."""
    user, store = await new_user(world.store, bots=2), world.store
    before = await deadlocks(world)
    for _ in range(30):
        meeting = await new_meeting(store, user)
        ended, *created = await asyncio.gather(
            store.change(decided(meeting, *STOP)), *(outcome(store, user, "weekly-sync") for _ in range(4))
        )
        assert isinstance(ended, Meeting)
        made = [each.meeting for each in created if isinstance(each, Created)]
        assert len(made) <= 1
        for each in made:
            await walk(store, each, STOP)
        assert await seats(world, user) == 0
    assert await deadlocks(world) == before


async def test_beats_and_batches_at_once_do_not_wait_for_each_other(world: PostgresWorld) -> None:
    store, before = world.store, await deadlocks(world)
    ids = [(await new_meeting(store)).connection_id for _ in range(30)]
    beats = await asyncio.gather(
        *(store.beat(random.Random(seed).sample(ids, len(ids)), lease_s=20.0) for seed in range(20))  # noqa: S311 - a shuffle, no secret
    )
    assert all(set(each) == set(ids) for each in beats)
    assert await deadlocks(world) == before


async def test_claims_of_several_managers_never_overlap(world: PostgresWorld) -> None:
    store = world.store
    for _ in range(40):
        meeting = await new_meeting(store)
        await store.change(decided(meeting, *STOP))
    claimed = await asyncio.gather(*(store.claim(Lane.WORKLOAD, limit=3, claim_s=60.0) for _ in range(20)))
    ids = [each.meeting_id for some in claimed for each in some]
    assert len(ids) == len(set(ids)) == 40


async def test_a_claim_that_ends_while_it_is_used_changes_nothing(world: PostgresWorld) -> None:
    store, meeting = world.store, await new_meeting(world.store)
    (effect,) = await store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)
    wanted = replace(decided(meeting, Event.LAUNCH_BEGUN, Source.DISPATCHER), claim=effect.claim)
    outcomes = await asyncio.gather(store.complete(effect.claim), *(store.change(wanted) for _ in range(5)))
    changed = [each for each in outcomes[1:] if isinstance(each, Meeting)]
    assert len(changed) == (0 if outcomes[0] else 1)
    assert all(each in (Void.CLAIM_LOST, Void.STALE) for each in outcomes[1:] if each not in changed)


async def test_a_lowered_limit_ends_nothing_and_allows_nothing(world: PostgresWorld) -> None:
    user = await new_user(world.store, bots=2)
    first, second = [await new_meeting(world.store, user, f"call-{n}") for n in range(2)]
    await world.run("UPDATE users SET max_concurrent_bots = 1 WHERE id = $1", user.user_id)
    assert await outcome(world.store, user, "call-3") == "max_concurrent_bots"
    await walk(world.store, first, STOP)
    assert await outcome(world.store, user, "call-3") == "max_concurrent_bots"
    await walk(world.store, second, STOP)
    assert isinstance(await outcome(world.store, user, "call-3"), Created)


async def test_a_lost_connection_is_unavailable_and_the_next_call_works(world: PostgresWorld) -> None:
    store = await PostgresStore.connect(world.dsn, pool_size=1, timeout_s=PATIENCE_S)
    try:
        await store.ping(timeout_s=PATIENCE_S)
        await world.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        try:
            await store.ping(timeout_s=PATIENCE_S)
        except Unavailable:
            await store.ping(timeout_s=PATIENCE_S)
    finally:
        await store.close()


async def test_a_busy_pool_and_a_slow_statement_are_unavailable(world: PostgresWorld) -> None:
    meeting = await new_meeting(world.store)
    store = await PostgresStore.connect(world.dsn, pool_size=1, timeout_s=0.5)
    try:
        async with world.transaction() as connection:
            await connection.execute("LOCK TABLE meetings IN ACCESS EXCLUSIVE MODE")
            outcomes = await asyncio.gather(*(store.find(meeting.meeting_id) for _ in range(3)), return_exceptions=True)
            assert all(isinstance(each, Unavailable) for each in outcomes), outcomes
        assert await eventually_found(store, meeting) == meeting
    finally:
        await store.close()


async def eventually_found(store: Store, meeting: Meeting) -> Meeting | None:
    """Find a meeting as soon as the database answers again; half a second may be too short on a busy machine."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await store.find(meeting.meeting_id)
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_value_that_cannot_be_stored_is_the_callers_to_change(world: PostgresWorld) -> None:
    user = await new_user(world.store)
    for call in (
        world.store.find(2**70),
        world.store.create_user("a\x00b", name=None, max_concurrent_bots=1),
        world.store.create_user("a" * 300, name=None, max_concurrent_bots=1),
        world.store.create(request(user, "\ud800")),
    ):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.code == "unstorable_value"
        assert caught.value.__suppress_context__


async def test_a_closed_store_is_unavailable(world: PostgresWorld) -> None:
    store = await PostgresStore.connect(world.dsn, pool_size=1, timeout_s=PATIENCE_S)
    await store.close()
    with pytest.raises(Unavailable):
        await store.ping(timeout_s=PATIENCE_S)


async def test_what_a_process_holds_that_went_without_a_word_is_free_again(world: PostgresWorld) -> None:
    """Its machine is gone, its connections are not: for all that the server can see, a transaction is under way."""
    await new_meeting(world.store)
    gone = await Database.connect(world.dsn, pool_size=1, timeout_s=PATIENCE_S)

    async def go() -> None:
        async with gone.connection() as connection, connection.transaction():
            await connection.execute(TURN, TURN_CLASS, Lane.WORKLOAD)
            assert len(await world.store.claim(Lane.WORKLOAD, limit=1, claim_s=60.0)) == 1
            await connection.execute("SELECT 1")

    with pytest.raises(Unavailable):
        await go()
    await gone.close()
