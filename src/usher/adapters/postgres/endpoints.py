"""Users' servers that are told of changes."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import sql
from usher.domain.errors import NotFound
from usher.domain.notices import NoticeType
from usher.ports import MOST_ENDPOINTS, Endpoint, EndpointChange, NewEndpoint, Webhook

_COLUMNS = (
    "w.id, w.owner_id, w.url, w.secret, CASE WHEN w.old_secret_until > now() THEN w.old_secret END, w.events, "
    "w.description, w.enabled, w.user_id IS NOT NULL, w.gone, w.created_at"
)

_PUT = """
INSERT INTO webhooks (user_id, url, secret) SELECT u.id, $2, $3 FROM users u WHERE u.id = $1
ON CONFLICT (user_id) DO UPDATE SET url = excluded.url, secret = excluded.secret, old_secret = NULL,
    enabled = true, gone = false, updated_at = now()
RETURNING true
"""

_TAKE_AWAY = "WITH dropped AS (DELETE FROM webhooks WHERE user_id = $1) SELECT true FROM users WHERE id = $1"

_FIND_PUT = sql("SELECT <columns> FROM webhooks w WHERE w.user_id = $1 AND w.enabled", columns=_COLUMNS)

# The user's row is held: two at once do not go over the limit together.
_LOCK = "SELECT u.id FROM users u WHERE u.id = $1 FOR NO KEY UPDATE"

_ADD = sql(
    """
INSERT INTO webhooks AS w (added_by, url, secret, events, description, enabled)
SELECT $1::bigint, $2, $3, $4::text[], $5, $6
WHERE (SELECT count(*) FROM webhooks k WHERE k.owner_id = $1) < $7
RETURNING <columns>
""",
    columns=_COLUMNS,
)

_LIST = sql("SELECT <columns> FROM webhooks w WHERE w.owner_id = $1 ORDER BY w.id", columns=_COLUMNS)

_FIND = sql("SELECT <columns> FROM webhooks w WHERE w.id = $1", columns=_COLUMNS)

_CHANGE = sql(
    """
UPDATE webhooks w SET url = coalesce($2, w.url), events = coalesce($3::text[], w.events),
    description = coalesce($4, w.description), enabled = coalesce($5, w.enabled),
    gone = w.gone AND $5::boolean IS NOT TRUE, updated_at = now()
WHERE w.id = $1 RETURNING <columns>
""",
    columns=_COLUMNS,
)

_ROTATE = sql(
    """
UPDATE webhooks w SET secret = $2, old_secret = w.secret, old_secret_until = now() + make_interval(secs => $3),
    updated_at = now()
WHERE w.id = $1 RETURNING <columns>
""",
    columns=_COLUMNS,
)

_GONE = """
UPDATE webhooks SET enabled = false, gone = true, updated_at = now() WHERE id = $1 AND url = $2 AND secret = $3
RETURNING true
"""

_DROP = "DELETE FROM webhooks WHERE id = $1 RETURNING true"


class PostgresEndpoints(Part):
    """See `usher.ports.Webhooks` and `usher.ports.Endpoints`."""

    async def put_webhook(self, user_id: int, webhook: Webhook | None) -> None:
        """Set the user's webhook, or take it away."""
        if webhook is None:
            known = await self._database.value(_TAKE_AWAY, user_id)
        else:
            known = await self._database.value(_PUT, user_id, webhook.url, webhook.secret)
        if not known:
            raise _unknown(user_id)

    async def find_webhook(self, user_id: int) -> Webhook | None:
        """Return the user's webhook."""
        found = _one(await self._database.row(_FIND_PUT, user_id))
        return None if found is None else found.webhook

    async def add_endpoint(self, user_id: int, new: NewEndpoint) -> Endpoint | None:
        """Add a server."""
        webhook, events = new.webhook, sorted(new.events)
        async with self._database.connection() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, user_id) is None:
                raise _unknown(user_id)
            row = await connection.fetchrow(
                _ADD, user_id, webhook.url, webhook.secret, events, new.description, new.enabled, MOST_ENDPOINTS
            )
        return _one(row)

    async def endpoints(self, user_id: int) -> Sequence[Endpoint]:
        """List a user's servers by id."""
        return [_endpoint(row) for row in await self._database.rows(_LIST, user_id)]

    async def find_endpoint(self, webhook_id: int) -> Endpoint | None:
        """Return a server."""
        return _one(await self._database.row(_FIND, webhook_id))

    async def change_endpoint(self, webhook_id: int, change: EndpointChange) -> Endpoint | None:
        """Change a server."""
        events = None if change.events is None else sorted(change.events)
        return _one(
            await self._database.row(_CHANGE, webhook_id, change.url, events, change.description, change.enabled)
        )

    async def rotate_secret(self, webhook_id: int, secret: str, *, old_good_s: float) -> Endpoint | None:
        """Give a server a new secret."""
        return _one(await self._database.row(_ROTATE, webhook_id, secret, old_good_s))

    async def endpoint_gone(self, webhook_id: int, was: Webhook) -> bool:
        """Disable a server that wants to be told nothing more."""
        return await self._database.value(_GONE, webhook_id, was.url, was.secret) is True

    async def drop_endpoint(self, webhook_id: int) -> bool:
        """Forget a server."""
        return await self._database.value(_DROP, webhook_id) is True


def _unknown(user_id: int) -> NotFound:
    return NotFound("unknown_user", f"There is no user {user_id}.")


def _one(row: Row | None) -> Endpoint | None:
    return None if row is None else _endpoint(row)


def _endpoint(row: Row) -> Endpoint:
    webhook_id, user_id, url, secret, old_secret, events, description, enabled, account, gone, created_at = row
    return Endpoint(
        webhook_id=webhook_id,
        user_id=user_id,
        webhook=Webhook(url, secret or "", old_secret),
        events=frozenset(map(NoticeType, events)),
        description=description,
        enabled=enabled,
        account=account,
        gone=gone,
        created_at=created_at,
    )
