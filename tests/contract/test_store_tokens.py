"""What every store has to know of API tokens."""

import pytest
from tests.contract.store_worlds import World, new_user

from usher.domain.errors import NotFound
from usher.domain.scopes import Scope
from usher.ports import NewToken, Store

ONE, TWO = b"1" * 32, b"2" * 32


async def test_tokens_lead_to_their_owner_until_they_are_revoked(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    token = await store.add_token(user.user_id, ONE)
    assert await store.add_token(user.user_id, ONE, NewToken(name="late")) == token
    theirs = await store.add_token(other.user_id, TWO)
    assert theirs.token_id != token.token_id
    for digest, owner in ((ONE, user), (TWO, other)):
        held = await store.find_key(digest)
        assert held is not None
        assert (held.user, held.scopes, held.left_s) == (owner, None, None)
    assert await store.find_key(b"3" * 32) is None
    assert await store.revoke_token(token.token_id)
    assert not await store.revoke_token(token.token_id)
    assert await store.find_key(ONE) is None
    with pytest.raises(NotFound) as caught:
        await store.add_token(999_999, b"4" * 32)
    assert caught.value.code == "unknown_user"


async def test_a_token_is_listed_as_it_was_made(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    wanted = NewToken("Note taker", frozenset({Scope.READ, Scope.BOTS}), "wxyz", 60.0)
    plain, made = await store.add_token(user.user_id, ONE), await store.add_token(user.user_id, TWO, wanted)
    await store.add_token(other.user_id, b"3" * 32)
    assert list(await store.tokens_of(user.user_id)) == [made, plain]
    assert (made.name, made.scopes, made.ending, made.last_used_at) == (wanted.name, wanted.scopes, "wxyz", None)
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == pytest.approx(60.0, abs=1.0)
    assert (plain.name, plain.scopes, plain.ending, plain.expires_at) == (None, None, "", None)


async def test_a_token_expires_by_the_clock_of_the_store(world: World) -> None:
    user = await new_user(world.store)
    await world.store.add_token(user.user_id, ONE, NewToken(good_s=600.0))
    held = await world.store.find_key(ONE)
    assert held is not None
    assert held.left_s is not None
    assert 500 < held.left_s <= 600
    await world.pass_time(700.0)
    held = await world.store.find_key(ONE)
    assert held is not None
    assert held.left_s is not None
    assert held.left_s < 0


async def test_the_use_of_many_tokens_is_noted_at_once(store: Store) -> None:
    user = await new_user(store)
    one, two = await store.add_token(user.user_id, ONE), await store.add_token(user.user_id, TWO)
    idle = await store.add_token(user.user_id, b"3" * 32)
    await store.mark_used({two.token_id, one.token_id, 999_999})
    used = {token.token_id for token in await store.tokens_of(user.user_id) if token.last_used_at is not None}
    assert used == {one.token_id, two.token_id}
    assert idle.token_id not in used
