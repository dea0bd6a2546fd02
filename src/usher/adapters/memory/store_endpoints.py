"""Users' servers that are told of changes, and what became of messages to them, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from usher.adapters.memory.store_change import owe_effect
from usher.adapters.memory.store_tables import OwedRow, Part, Tables
from usher.domain.errors import NotFound
from usher.domain.lifecycle import Effect
from usher.ports import (
    MOST_ENDPOINTS,
    Delivery,
    Endpoint,
    EndpointChange,
    Message,
    NewEndpoint,
    Owed,
    Webhook,
)


class MemoryEndpoints(Part):
    """See `usher.ports.Webhooks` and `usher.ports.Endpoints`."""

    async def put_webhook(self, user_id: int, webhook: Webhook | None) -> None:
        """Set the user's webhook, or take it away."""
        tables = self._tables
        _require_user(tables, user_id)
        account = _account(tables, user_id)
        if webhook is None:
            if account is not None:
                await self.drop_endpoint(account.webhook_id)
        elif account is None:
            _add(tables, user_id, NewEndpoint(webhook), account=True)
        else:
            tables.endpoints[account.webhook_id] = replace(account, webhook=webhook, enabled=True, gone=False)

    async def find_webhook(self, user_id: int) -> Webhook | None:
        """Return the user's webhook."""
        account = _account(self._tables, user_id)
        return _seen(self._tables, account).webhook if account is not None and account.enabled else None

    async def add_endpoint(self, user_id: int, new: NewEndpoint) -> Endpoint | None:
        """Add a server."""
        _require_user(self._tables, user_id)
        if len(await self.endpoints(user_id)) >= MOST_ENDPOINTS:
            return None
        return _add(self._tables, user_id, new, account=False)

    async def endpoints(self, user_id: int) -> Sequence[Endpoint]:
        """List a user's servers by id."""
        tables = self._tables
        return [_seen(tables, one) for _, one in sorted(tables.endpoints.items()) if one.user_id == user_id]

    async def find_endpoint(self, webhook_id: int) -> Endpoint | None:
        """Return a server."""
        found = self._tables.endpoints.get(webhook_id)
        return None if found is None else _seen(self._tables, found)

    async def change_endpoint(self, webhook_id: int, change: EndpointChange) -> Endpoint | None:
        """Change a server."""
        found = self._tables.endpoints.get(webhook_id)
        if found is None:
            return None
        return self._put(
            replace(
                found,
                webhook=found.webhook if change.url is None else replace(found.webhook, url=change.url),
                events=found.events if change.events is None else change.events,
                description=found.description if change.description is None else change.description,
                enabled=found.enabled if change.enabled is None else change.enabled,
                gone=found.gone and change.enabled is not True,
            )
        )

    async def rotate_secret(self, webhook_id: int, secret: str, *, old_good_s: float) -> Endpoint | None:
        """Give a server a new secret."""
        found = self._tables.endpoints.get(webhook_id)
        if found is None:
            return None
        self._tables.old_secrets_until[webhook_id] = self._tables.after(old_good_s)
        return self._put(replace(found, webhook=Webhook(found.webhook.url, secret, found.webhook.secret)))

    async def endpoint_gone(self, webhook_id: int, was: Webhook) -> bool:
        """Disable a server that wants to be told nothing more."""
        found = self._tables.endpoints.get(webhook_id)
        if found is None or (found.webhook.url, found.webhook.secret) != (was.url, was.secret):
            return False
        self._put(replace(found, enabled=False, gone=True))
        return True

    async def drop_endpoint(self, webhook_id: int) -> bool:
        """Forget a server."""
        tables = self._tables
        for delivery_id, one in list(tables.deliveries.items()):
            if one.message.webhook_id == webhook_id:
                del tables.deliveries[delivery_id]
        return tables.endpoints.pop(webhook_id, None) is not None

    def _put(self, endpoint: Endpoint) -> Endpoint:
        self._tables.endpoints[endpoint.webhook_id] = endpoint
        return _seen(self._tables, endpoint)


class MemoryDeliveries(Part):
    """See `usher.ports.Deliveries`."""

    async def record_try(self, message: Message, *, status_code: int | None, error: str | None) -> int:
        """Put one try on record, and return how many there were."""
        tables, now = self._tables, self._tables.now()
        if message.webhook_id not in tables.endpoints:
            return 1
        known = next((one for one in tables.deliveries.values() if one.message == message), None)
        if known is None:
            known = Delivery(next(tables.ids), message, 0, None, None, now, now, None, None)
        tried = replace(
            known,
            attempts=known.attempts + 1,
            status_code=status_code,
            error=error,
            last_at=now,
            delivered_at=known.delivered_at or (now if error is None else None),
        )
        tables.deliveries[known.delivery_id] = tried
        return tried.attempts

    async def deliveries(self, webhook_id: int, *, limit: int, before_id: int | None = None) -> Sequence[Delivery]:
        """List what was sent to a server, newest first."""
        found = (one for _, one in sorted(self._tables.deliveries.items(), reverse=True))
        mine = [one for one in found if one.message.webhook_id == webhook_id]
        page = [one for one in mine if before_id is None or one.delivery_id < before_id][:limit]
        return [replace(one, next_at=self._next_at(one)) for one in page]

    async def replay(self, webhook_id: int, delivery_id: int) -> bool:
        """Owe a message once more."""
        tables, found = self._tables, self._tables.deliveries.get(delivery_id)
        if found is None or found.message.webhook_id != webhook_id:
            return False
        tables.deliveries[delivery_id] = replace(found, attempts=0, delivered_at=None)
        owed = self._owed(found.message)
        for row in owed:
            row.due_at = tables.now()
        if not owed:
            owe_effect(tables, tables.meetings[found.message.meeting_id], Owed(Effect.NOTIFY), found.message)
        return True

    def _owed(self, message: Message) -> list[OwedRow]:
        rows = (row for row in self._tables.outbox.values() if row.buried_at is None)
        return [row for row in rows if row.message == message]

    def _next_at(self, delivery: Delivery) -> datetime | None:
        owed = [] if delivery.delivered_at is not None else self._owed(delivery.message)
        return min((row.due_at for row in owed), default=None)


def _require_user(tables: Tables, user_id: int) -> None:
    if user_id not in tables.users:
        raise NotFound("unknown_user", f"There is no user {user_id}.")


def _account(tables: Tables, user_id: int) -> Endpoint | None:
    return next((one for one in tables.endpoints.values() if one.user_id == user_id and one.account), None)


def _add(tables: Tables, user_id: int, new: NewEndpoint, *, account: bool) -> Endpoint:
    endpoint = Endpoint(
        webhook_id=next(tables.ids),
        user_id=user_id,
        webhook=new.webhook,
        events=new.events,
        description=new.description,
        enabled=new.enabled,
        account=account,
        gone=False,
        created_at=tables.now(),
    )
    tables.endpoints[endpoint.webhook_id] = endpoint
    return endpoint


def _seen(tables: Tables, endpoint: Endpoint) -> Endpoint:
    """Return a server without the old secret, once that is not good any more."""
    until = tables.old_secrets_until.get(endpoint.webhook_id)
    if until is not None and until > tables.now():
        return endpoint
    return replace(endpoint, webhook=replace(endpoint.webhook, old_secret=None))
