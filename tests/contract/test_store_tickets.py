"""What every store has to do with tickets for live connections."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.contract.store_worlds import World, new_user

from usher.ports import MOST_TICKETS, Store


def sha256(number: int) -> bytes:
    return number.to_bytes(32)


async def test_a_ticket_is_good_once(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    before = datetime.now(UTC)
    expires_at = await store.add_ticket(user.user_id, sha256(1), good_s=30.0)
    assert expires_at is not None
    assert timedelta(seconds=-30) < expires_at - before < timedelta(seconds=90)
    await store.add_ticket(other.user_id, sha256(2), good_s=30.0)
    assert await store.take_ticket(sha256(3)) is None
    assert await store.take_ticket(sha256(1)) == user
    assert await store.take_ticket(sha256(1)) is None
    assert await store.take_ticket(sha256(2)) == other
    assert await store.add_ticket(999_999, sha256(4), good_s=30.0) is None


async def test_of_many_that_come_with_one_ticket_one_is_let_in(store: Store) -> None:
    user = await new_user(store)
    for number in range(5):
        await store.add_ticket(user.user_id, sha256(number), good_s=30.0)
        let_in = await asyncio.gather(*(store.take_ticket(sha256(number)) for _ in range(8)))
        assert [one for one in let_in if one is not None] == [user]


async def test_a_ticket_is_good_for_its_time_by_the_store_s_clock(world: World) -> None:
    user = await new_user(world.store)
    await world.store.add_ticket(user.user_id, sha256(1), good_s=300.0)
    await world.store.add_ticket(user.user_id, sha256(2), good_s=900.0)
    await world.pass_time(600.0)
    assert await world.store.take_ticket(sha256(1)) is None
    assert await world.store.prune(older_than_s=10.0, limit=100) == 1
    assert await world.store.prune(older_than_s=10.0, limit=100) == 0
    assert await world.store.take_ticket(sha256(2)) == user


async def test_only_so_many_tickets_wait(world: World) -> None:
    store, user = world.store, await new_user(world.store)
    asked = (store.add_ticket(user.user_id, sha256(number), good_s=300.0) for number in range(MOST_TICKETS + 5))
    made = await asyncio.gather(*asked)
    assert made.count(None) == 5
    other = await new_user(store)
    assert await store.add_ticket(other.user_id, sha256(1000), good_s=300.0) is not None
    await world.pass_time(600.0)
    assert await store.add_ticket(user.user_id, sha256(2000), good_s=300.0) is not None
