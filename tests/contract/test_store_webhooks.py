"""What every store has to do: users' webhooks, what they are owed, and what became of it."""

from dataclasses import replace

import pytest
from tests.contract.store_worlds import ADMITTED, World, decided, new_meeting, new_user, walk, written

from usher.domain.errors import NotFound
from usher.domain.lifecycle import Event, Source
from usher.domain.notices import NoticeType
from usher.ports import (
    MOST_ENDPOINTS,
    ClaimedEffect,
    DeliveryStatus,
    Endpoint,
    EndpointChange,
    Lane,
    Message,
    NewEndpoint,
    Store,
    User,
    Webhook,
)

HOOK = Webhook("https://example.com/hook", "s3cret")
OTHER = Webhook("https://example.com/other", "0ther")
STATUS, ENDS = frozenset({NoticeType.STATUS_CHANGE}), frozenset({NoticeType.FINISHED, NoticeType.ADMITTED})
LEFT = (Event.LEFT, Source.BOT)


async def added(store: Store, user: User, webhook: Webhook = HOOK, events: frozenset[NoticeType] = STATUS) -> Endpoint:
    endpoint = await store.add_endpoint(user.user_id, NewEndpoint(webhook, events))
    assert endpoint is not None
    return endpoint


async def claimed(store: Store) -> list[ClaimedEffect]:
    return list(await store.claim(Lane.NOTIFY, limit=99, claim_s=60.0))


async def told(store: Store) -> list[tuple[int | None, int | None, NoticeType | None]]:
    """Settle all that is owed, and return it."""
    found = []
    while effects := await claimed(store):
        for effect in effects:
            found.append((effect.webhook_id, effect.version, effect.notice))
            await store.complete(effect.claim)
    return sorted(found)


async def test_an_endpoint_is_added_changed_and_dropped(store: Store) -> None:
    user = await new_user(store)
    await store.put_webhook(user.user_id, OTHER)
    endpoint = await added(store, user)
    assert (endpoint.user_id, endpoint.webhook, endpoint.events) == (user.user_id, HOOK, STATUS)
    assert (endpoint.enabled, endpoint.account, endpoint.gone, endpoint.description) == (True, False, False, "")
    assert [(one.webhook, one.account) for one in await store.endpoints(user.user_id)] == [(OTHER, True), (HOOK, False)]
    assert await store.find_webhook(user.user_id) == OTHER
    change = EndpointChange("https://example.com/new", ENDS, "for the wiki", enabled=False)
    changed = await store.change_endpoint(endpoint.webhook_id, change)
    expected = replace(
        endpoint,
        webhook=Webhook("https://example.com/new", "s3cret"),
        events=ENDS,
        description="for the wiki",
        enabled=False,
    )
    assert changed == expected == await store.find_endpoint(endpoint.webhook_id)
    assert await store.change_endpoint(endpoint.webhook_id, EndpointChange()) == expected
    assert await store.drop_endpoint(endpoint.webhook_id)
    assert not await store.drop_endpoint(endpoint.webhook_id)
    assert await store.find_endpoint(endpoint.webhook_id) is None
    assert await store.change_endpoint(endpoint.webhook_id, change) is None
    assert [one.webhook for one in await store.endpoints(user.user_id)] == [OTHER]


async def test_a_user_has_only_so_many_endpoints(store: Store) -> None:
    user, other = await new_user(store), await new_user(store)
    for _ in range(MOST_ENDPOINTS):
        await added(store, user)
    assert await store.add_endpoint(user.user_id, NewEndpoint(HOOK)) is None
    assert len(await store.endpoints(user.user_id)) == MOST_ENDPOINTS
    await added(store, other)
    with pytest.raises(NotFound):
        await store.add_endpoint(0, NewEndpoint(HOOK))


async def test_each_endpoint_is_owed_what_it_has_chosen(store: Store) -> None:
    user = await new_user(store)
    every, ends = await added(store, user), await added(store, user, OTHER, ENDS)
    off, strangers = await added(store, user, OTHER), await added(store, await new_user(store))
    await store.change_endpoint(off.webhook_id, EndpointChange(enabled=False))
    await walk(store, await new_meeting(store, user), *ADMITTED, LEFT)
    found = await told(store)
    assert [one for one in found if one[0] == every.webhook_id] == [
        (every.webhook_id, version, NoticeType.STATUS_CHANGE) for version in (1, 2, 3, 4)
    ]
    assert [one for one in found if one[0] == ends.webhook_id] == [
        (ends.webhook_id, 3, NoticeType.ADMITTED),
        (ends.webhook_id, 4, NoticeType.FINISHED),
    ]
    assert not [one for one in found if one[0] in {off.webhook_id, strangers.webhook_id}]


async def test_what_one_endpoint_is_owed_waits_for_no_other(store: Store) -> None:
    """Of one meeting: to one endpoint one after another, to several at once."""
    user = await new_user(store)
    slow, quick = await added(store, user), await added(store, user, OTHER)
    await walk(store, await new_meeting(store, user), *ADMITTED)
    first = {effect.webhook_id: effect for effect in await claimed(store)}
    assert {number: effect.version for number, effect in first.items()} == {slow.webhook_id: 1, quick.webhook_id: 1}
    assert not await claimed(store)
    assert await store.complete(first[quick.webhook_id].claim)
    assert [(effect.webhook_id, effect.version) for effect in await claimed(store)] == [(quick.webhook_id, 2)]


async def test_for_a_time_the_old_secret_signs_too(world: World) -> None:
    store = world.store
    endpoint = await added(store, await new_user(store))
    rotated = await store.rotate_secret(endpoint.webhook_id, "n3w", old_good_s=100.0)
    assert rotated is not None
    assert rotated.webhook == Webhook(HOOK.url, "n3w", "s3cret")
    await world.pass_time(90.0)
    found = await store.find_endpoint(endpoint.webhook_id)
    assert found is not None
    assert found.webhook.old_secret == "s3cret"
    await world.pass_time(20.0)
    found = await store.find_endpoint(endpoint.webhook_id)
    assert found is not None
    assert found.webhook == Webhook(HOOK.url, "n3w")
    assert await store.rotate_secret(0, "n3w", old_good_s=100.0) is None


async def test_an_endpoint_that_is_gone_is_disabled_unless_it_was_changed_meanwhile(store: Store) -> None:
    endpoint = await added(store, await new_user(store))
    moved = await store.change_endpoint(endpoint.webhook_id, EndpointChange("https://example.com/moved"))
    assert moved is not None
    assert not await store.endpoint_gone(endpoint.webhook_id, HOOK)
    assert await store.find_endpoint(endpoint.webhook_id) == moved
    assert await store.endpoint_gone(endpoint.webhook_id, moved.webhook)
    assert await store.find_endpoint(endpoint.webhook_id) == replace(moved, enabled=False, gone=True)
    described = await store.change_endpoint(endpoint.webhook_id, EndpointChange(description="it moved"))
    assert described == replace(moved, enabled=False, gone=True, description="it moved")
    assert await store.change_endpoint(endpoint.webhook_id, EndpointChange(enabled=True)) == replace(
        moved, description="it moved"
    )


async def test_a_webhook_that_is_gone_is_set_again(store: Store) -> None:
    user = await new_user(store)
    await store.put_webhook(user.user_id, HOOK)
    (endpoint,) = await store.endpoints(user.user_id)
    await store.rotate_secret(endpoint.webhook_id, "n3w", old_good_s=100.0)
    assert await store.endpoint_gone(endpoint.webhook_id, Webhook(HOOK.url, "n3w"))
    assert await store.find_webhook(user.user_id) is None
    await store.put_webhook(user.user_id, HOOK)
    assert await store.find_webhook(user.user_id) == HOOK
    assert await store.endpoints(user.user_id) == [replace(endpoint, webhook=HOOK)]


async def sent(store: Store) -> tuple[Endpoint, Message]:
    """Return an endpoint, and a message to it that is owed."""
    user = await new_user(store)
    endpoint = await added(store, user)
    meeting = await new_meeting(store, user)
    return endpoint, Message(endpoint.webhook_id, meeting.meeting_id, 1, NoticeType.STATUS_CHANGE)


async def test_each_try_is_on_record(world: World) -> None:
    store = world.store
    endpoint, message = await sent(store)
    assert not await store.deliveries(endpoint.webhook_id, limit=9)
    assert await store.record_try(message, status_code=500, error="HTTP 500\x00") == 1
    (waiting,) = await store.deliveries(endpoint.webhook_id, limit=9)
    assert (waiting.message, waiting.attempts, waiting.status_code) == (message, 1, 500)
    assert waiting.status is DeliveryStatus.WAITING
    assert waiting.next_at is not None
    assert await store.record_try(message, status_code=204, error=None) == 2
    (delivered,) = await store.deliveries(endpoint.webhook_id, limit=9)
    assert (delivered.delivery_id, delivered.attempts, delivered.error) == (waiting.delivery_id, 2, None)
    assert delivered.status is DeliveryStatus.DELIVERED
    assert delivered.next_at is None
    assert await store.record_try(message, status_code=None, error="ConnectError") == 3
    (again,) = await store.deliveries(endpoint.webhook_id, limit=9)
    assert again.delivered_at == delivered.delivered_at, "what was delivered stays so"
    assert await store.record_try(replace(message, webhook_id=0), status_code=204, error=None) == 1


async def test_what_was_given_up_is_failed_and_can_be_replayed(store: Store) -> None:
    endpoint, message = await sent(store)
    await store.record_try(message, status_code=None, error="ConnectError")
    (effect,) = await claimed(store)
    assert await store.bury(effect.claim, error="ConnectError")
    (failed,) = await store.deliveries(endpoint.webhook_id, limit=9)
    assert failed.status is DeliveryStatus.FAILED
    for _ in range(2):
        assert await store.replay(endpoint.webhook_id, failed.delivery_id)
    (again,) = await claimed(store)
    assert (again.webhook_id, again.meeting_id, again.version, again.notice, again.tries) == (
        message.webhook_id,
        message.meeting_id,
        1,
        NoticeType.STATUS_CHANGE,
        0,
    )
    assert await store.record_try(message, status_code=204, error=None) == 1, "its tries begin anew"
    assert not await store.replay(endpoint.webhook_id, failed.delivery_id + 1)
    assert not await store.replay(endpoint.webhook_id + 1, failed.delivery_id)


async def test_a_replay_hastens_what_waits(store: Store) -> None:
    endpoint, message = await sent(store)
    await store.record_try(message, status_code=500, error="HTTP 500")
    (effect,) = await claimed(store)
    await store.postpone(effect.claim, delay_s=3600.0, error="HTTP 500")
    assert not await claimed(store)
    (waiting,) = await store.deliveries(endpoint.webhook_id, limit=9)
    assert await store.replay(endpoint.webhook_id, waiting.delivery_id)
    (again,) = await claimed(store)
    assert again.claim.effect_id == effect.claim.effect_id


async def test_deliveries_are_listed_in_pages_and_end_with_their_endpoint(store: Store) -> None:
    endpoint, message = await sent(store)
    other, another = await sent(store)
    await store.record_try(another, status_code=204, error=None)
    for version in range(1, 6):
        await store.record_try(replace(message, version=version), status_code=204, error=None)
    first = await store.deliveries(endpoint.webhook_id, limit=2)
    rest = await store.deliveries(endpoint.webhook_id, limit=9, before_id=first[-1].delivery_id)
    assert [one.message.version for one in (*first, *rest)] == [5, 4, 3, 2, 1]
    assert await store.drop_endpoint(endpoint.webhook_id)
    assert not await store.deliveries(endpoint.webhook_id, limit=9)
    assert len(await store.deliveries(other.webhook_id, limit=9)) == 1


async def test_old_deliveries_are_forgotten(world: World) -> None:
    store = world.store
    endpoint, message = await sent(store)
    await store.record_try(message, status_code=204, error=None)
    await world.pass_time(100.0)
    await store.record_try(replace(message, version=2), status_code=204, error=None)
    await store.prune(older_than_s=200.0, limit=1000)
    assert len(await store.deliveries(endpoint.webhook_id, limit=9)) == 2
    await store.prune(older_than_s=50.0, limit=1000)
    assert [one.message.version for one in await store.deliveries(endpoint.webhook_id, limit=9)] == [2]


async def test_a_change_that_is_void_is_owed_to_no_endpoint(store: Store) -> None:
    user = await new_user(store)
    await added(store, user)
    meeting = await new_meeting(store, user)
    change = decided(meeting, Event.LAUNCH_BEGUN, Source.DISPATCHER)
    await written(store, change)
    await store.change(change)
    assert [version for _, version, _ in await told(store)] == [1, 2]
