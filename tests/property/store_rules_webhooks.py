"""Rules of the model test: users' webhooks, and what became of messages to them."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.store_sides import EPOCH, SOME, SPANS, Side, TwoStores

from usher.domain.notices import NoticeType
from usher.ports import Delivery, Endpoint, EndpointChange, Message, NewEndpoint, Webhook

_EVENTS = st.frozensets(st.sampled_from(NoticeType), min_size=1)
_URLS = st.sampled_from(["https://a.example", "https://b.example"])
_KINDS = st.sampled_from(NoticeType)


class WebhookRules(TwoStores):
    """Adds, changes and drops webhooks, sends to them, and looks at all of it."""

    def any_hook(self) -> bool:
        """Say whether a webhook was ever added."""
        return bool(self.sides[0].hooks)

    @rule(user=st.integers(0, 1), url=_URLS, events=_EVENTS)
    def add_hook(self, user: int, url: str, events: frozenset[NoticeType]) -> None:
        async def added(side: Side) -> object:
            new = NewEndpoint(Webhook(url, "s3cret"), events)
            endpoint = await side.store.add_endpoint(side.users[user].user_id, new)
            side.hooks += [] if endpoint is None else [endpoint.webhook_id]
            return _plain(side, endpoint)

        self.both(added)

    @precondition(any_hook)
    @rule(hook=SOME, url=_URLS | st.none(), events=_EVENTS | st.none(), enabled=st.booleans() | st.none())
    def change_hook(
        self, hook: int, url: str | None, events: frozenset[NoticeType] | None, enabled: bool | None
    ) -> None:
        async def changed(side: Side) -> object:
            change = EndpointChange(url, events, url, enabled)
            return _plain(side, await side.store.change_endpoint(_hook(side, hook), change))

        self.both(changed)

    @precondition(any_hook)
    @rule(hook=SOME, secret=st.sampled_from(["n3w", "n3wer"]), span=SPANS)
    def rotate_secret_of_hook(self, hook: int, secret: str, span: float) -> None:
        async def rotated(side: Side) -> object:
            return _plain(side, await side.store.rotate_secret(_hook(side, hook), secret, old_good_s=span))

        self.both(rotated)

    @precondition(any_hook)
    @rule(hook=SOME, url=_URLS, secret=st.sampled_from(["s3cret", "n3w"]), dropped=st.booleans())
    def end_hook(self, hook: int, url: str, secret: str, *, dropped: bool) -> None:
        async def ended(side: Side) -> bool:
            if dropped:
                return await side.store.drop_endpoint(_hook(side, hook))
            return await side.store.endpoint_gone(_hook(side, hook), Webhook(url, secret))

        self.both(ended)

    @precondition(any_hook)
    @rule(hook=SOME, meeting=SOME, version=st.integers(1, 3), kind=_KINDS, error=st.sampled_from([None, "a\x00b"]))
    def try_to_send(self, hook: int, meeting: int, version: int, kind: NoticeType, error: str | None) -> None:
        number = meeting % len(self.sides[0].meetings)

        async def tried(side: Side) -> int:
            message = Message(_hook(side, hook), side.meetings[number], version, kind)
            return await side.store.record_try(message, status_code=None if error else 204, error=error)

        self.both(tried)

    @precondition(any_hook)
    @rule(hook=SOME, other=SOME, delivery=SOME)
    def replay(self, hook: int, other: int, delivery: int) -> None:
        async def replayed(side: Side) -> bool:
            sent = await side.store.deliveries(_hook(side, hook), limit=9)
            chosen = sent[delivery % len(sent)].delivery_id if sent else 0
            return await side.store.replay(_hook(side, other), chosen)

        self.both(replayed)

    @precondition(any_hook)
    @rule(hook=SOME, limit=st.integers(1, 4))
    def look_at_hooks(self, hook: int, limit: int) -> None:
        """Ask for everything that the rules above have written."""

        async def seen(side: Side) -> list[object]:
            webhook_id = _hook(side, hook)
            page = await side.store.deliveries(webhook_id, limit=limit)
            before_id = page[-1].delivery_id if page else 1
            rest = await side.store.deliveries(webhook_id, limit=9, before_id=before_id)
            every = [one for user in side.users for one in await side.store.endpoints(user.user_id)]
            return [
                _plain(side, await side.store.find_endpoint(webhook_id)),
                [_plain(side, one) for one in every if not one.account],
                [_sent(side, one) for one in page],
                [_sent(side, one) for one in rest],
            ]

        self.both(seen)


def _hook(side: Side, choice: int) -> int:
    return side.hooks[choice % len(side.hooks)]


def _plain(side: Side, endpoint: Endpoint | None) -> Endpoint | None:
    if endpoint is None:
        return None
    number = side.hooks.index(endpoint.webhook_id)
    owner = [user.user_id for user in side.users].index(endpoint.user_id)
    return replace(endpoint, webhook_id=number, user_id=owner, created_at=EPOCH)


def _sent(side: Side, one: Delivery) -> Delivery:
    told = one.message
    return replace(
        one,
        delivery_id=0,
        message=replace(told, webhook_id=side.hooks.index(told.webhook_id), meeting_id=side.number(told.meeting_id)),
        first_at=EPOCH,
        last_at=side.distance(one.last_at) or EPOCH,
        delivered_at=None if one.delivered_at is None else EPOCH,
        next_at=side.distance(one.next_at),
    )
