"""What users do with their webhooks: add, change, test and take them away, and look at what became of messages."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from usher.app.turns import Turns
from usher.domain.errors import Invalid, LimitReached, NotFound
from usher.domain.notices import NoticeType
from usher.ports import (
    MOST_ENDPOINTS,
    Delivered,
    Deliveries,
    Delivery,
    Endpoint,
    EndpointChange,
    Endpoints,
    NewEndpoint,
    Notice,
    Undelivered,
    Webhook,
    Webhooks,
    WebhookSender,
)
from usher.protocol.webhook_urls import why_never
from usher.protocol.webhooks import PingBody, PingData, is_secret, new_secret

log = structlog.get_logger(__name__)

OLD_SECRET_GOOD_S = 24 * 3600.0
_TESTS_AT_ONCE = 4


class WebhookStore(Webhooks, Endpoints, Deliveries, Protocol):
    """The part of the store that webhooks are in."""


class WebhookDesk:
    """One user's webhooks are unknown to every other user.

    Args:
        store: Where they are kept.
        sender: Sends tests.
        allow_private: Whether webhooks may be inner addresses.
    """

    def __init__(self, store: WebhookStore, sender: WebhookSender, *, allow_private: bool = False) -> None:
        self._store = store
        self._sender = sender
        self._allow_private = allow_private
        self._turns = Turns(most=_TESTS_AT_ONCE)

    async def put(self, user_id: int, url: str | None, secret: str | None) -> Webhook | None:
        """Set the user's webhook that has no id to be named by, or take it away.

        Raises:
            Invalid: `bad_webhook_url`, `bad_webhook_secret`.
        """
        if url is None:
            await self._store.put_webhook(user_id, None)
            return None
        self._require_url(url)
        if secret is not None and not is_secret(secret):
            raise Invalid("bad_webhook_secret", "A secret is `whsec_` and 24 bytes or more in base64. Or send none.")
        webhook = Webhook(url, secret or new_secret())
        await self._store.put_webhook(user_id, webhook)
        return webhook

    async def add(self, user_id: int, url: str, events: frozenset[NoticeType], description: str) -> Endpoint:
        """Add a webhook, with a new secret.

        Raises:
            Invalid: `bad_webhook_url`.
            LimitReached: `too_many_webhooks`.
        """
        self._require_url(url)
        added = await self._store.add_endpoint(user_id, NewEndpoint(Webhook(url, new_secret()), events, description))
        if added is None:
            raise LimitReached("too_many_webhooks", f"You have {MOST_ENDPOINTS} webhooks. Delete one of them first.")
        return added

    async def list_all(self, user_id: int) -> Sequence[Endpoint]:
        """List the user's webhooks, oldest first."""
        return await self._store.endpoints(user_id)

    async def get(self, user_id: int, webhook_id: int) -> Endpoint:
        """Return one of the user's webhooks.

        Raises:
            NotFound: `unknown_webhook`.
        """
        found = await self._store.find_endpoint(webhook_id)
        if found is None or found.user_id != user_id:
            raise _unknown(webhook_id)
        return found

    async def change(self, user_id: int, webhook_id: int, change: EndpointChange) -> Endpoint:
        """Change a webhook.

        Raises:
            Invalid: `bad_webhook_url`.
            NotFound: `unknown_webhook`.
        """
        await self.get(user_id, webhook_id)
        if change.url is not None:
            self._require_url(change.url)
        return _there(await self._store.change_endpoint(webhook_id, change), webhook_id)

    async def rotate(self, user_id: int, webhook_id: int) -> Endpoint:
        """Give a webhook a new secret; messages are signed with the old one, too, for `OLD_SECRET_GOOD_S`.

        Raises:
            NotFound: `unknown_webhook`.
        """
        await self.get(user_id, webhook_id)
        rotated = await self._store.rotate_secret(webhook_id, new_secret(), old_good_s=OLD_SECRET_GOOD_S)
        return _there(rotated, webhook_id)

    async def drop(self, user_id: int, webhook_id: int) -> None:
        """Take a webhook away; what it was still owed is not sent.

        Raises:
            NotFound: `unknown_webhook`.
        """
        await self.get(user_id, webhook_id)
        if not await self._store.drop_endpoint(webhook_id):
            raise _unknown(webhook_id)

    async def test(self, user_id: int, webhook_id: int) -> tuple[str, Delivered | Undelivered]:
        """Send a message that means nothing, once and at once, and return its id and what came of it.

        Raises:
            LimitReached: `too_many_tests`: the user's earlier ones have not been answered yet.
            NotFound: `unknown_webhook`.
        """
        endpoint = await self.get(user_id, webhook_id)
        message_id = f"msg_test_{uuid.uuid4().hex}"
        body = PingBody(event_id=message_id, created_at=datetime.now(UTC), data=PingData(webhook_id=webhook_id))
        async with self._turns.take(user_id) as is_ours:
            if not is_ours:
                raise LimitReached("too_many_tests", "Earlier tests of yours are not answered yet. Wait for them.")
            outcome = await self._sender.send(endpoint.webhook, Notice(message_id, body.model_dump_json().encode()))
        log.info("webhook_tested", webhook_id=webhook_id, delivered=isinstance(outcome, Delivered))
        return message_id, outcome

    async def deliveries(
        self, user_id: int, webhook_id: int, *, limit: int, before_id: int | None
    ) -> Sequence[Delivery]:
        """List what was sent to a webhook, newest first.

        Raises:
            NotFound: `unknown_webhook`.
        """
        await self.get(user_id, webhook_id)
        return await self._store.deliveries(webhook_id, limit=limit, before_id=before_id)

    async def replay(self, user_id: int, webhook_id: int, delivery_id: int) -> None:
        """Send a message once more, under the same id and with all its tries.

        Raises:
            NotFound: `unknown_webhook`, `unknown_delivery`.
        """
        await self.get(user_id, webhook_id)
        if not await self._store.replay(webhook_id, delivery_id):
            raise NotFound("unknown_delivery", f"Webhook {webhook_id} was sent no message {delivery_id}, or long ago.")

    def _require_url(self, text: str) -> None:
        """Refuse what can never be sent to; what a name leads to is looked at before each message."""
        why = why_never(text, allow_private=self._allow_private)
        if why is not None:
            example = "One looks like https://example.com/usher."
            raise Invalid("bad_webhook_url", f"This cannot be a webhook's URL. {why} {example}")


def _unknown(webhook_id: int) -> NotFound:
    return NotFound("unknown_webhook", f"You have no webhook {webhook_id}.")


def _there(endpoint: Endpoint | None, webhook_id: int) -> Endpoint:
    if endpoint is None:
        raise _unknown(webhook_id)
    return endpoint
