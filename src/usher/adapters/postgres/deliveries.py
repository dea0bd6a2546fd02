"""What became of messages to users' servers."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import sql, storable
from usher.domain.lifecycle import Effect
from usher.domain.notices import NoticeType
from usher.ports import Delivery, Lane, Message

# To a webhook that was taken away meanwhile nothing is on record, and there is nothing to count.
_RECORD = """
INSERT INTO webhook_deliveries AS d (webhook_id, meeting_id, version, notice, status_code, error, delivered_at)
SELECT w.id, $2::bigint, $3::integer, $4::text, $5::integer, $6::text, CASE WHEN $6::text IS NULL THEN now() END
FROM webhooks w WHERE w.id = $1
ON CONFLICT (webhook_id, meeting_id, version, notice) DO UPDATE SET
    attempts = d.attempts + 1, status_code = excluded.status_code, error = excluded.error, last_at = now(),
    delivered_at = coalesce(d.delivered_at, excluded.delivered_at)
RETURNING attempts
"""

_OWED = """o.meeting_id = d.meeting_id AND o.lane = '<lane>' AND o.buried_at IS NULL
        AND o.webhook_id = d.webhook_id AND o.version = d.version AND o.notice = d.notice"""

_LIST = sql(
    """
SELECT d.id, d.webhook_id, d.meeting_id, d.version, d.notice, d.attempts, d.status_code, d.error, d.first_at,
    d.last_at, d.delivered_at, CASE WHEN d.delivered_at IS NULL THEN (
        SELECT min(o.due_at) FROM outbox o WHERE <owed>) END
FROM webhook_deliveries d
WHERE d.webhook_id = $1 AND ($2::bigint IS NULL OR d.id < $2) ORDER BY d.id DESC LIMIT $3
""",
    owed=sql(_OWED, lane=Lane.NOTIFY),
)

_REPLAY = sql(
    """
WITH d AS (
    UPDATE webhook_deliveries SET attempts = 0, delivered_at = NULL WHERE webhook_id = $1 AND id = $2 RETURNING *
), hastened AS (
    UPDATE outbox o SET due_at = now() FROM d WHERE <owed>
), owed AS (
    INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at, version, webhook_id, notice)
    SELECT m.id, m.attempt, '<lane>', '<effect>', now(), d.version, d.webhook_id, d.notice
    FROM d JOIN meetings m ON m.id = d.meeting_id
    WHERE NOT EXISTS (SELECT FROM outbox o WHERE <owed>)
)
SELECT true FROM d
""",
    owed=_OWED,
)
_REPLAY = sql(_REPLAY, lane=Lane.NOTIFY, effect=Effect.NOTIFY)


class PostgresDeliveries(Part):
    """See `usher.ports.Deliveries`."""

    async def record_try(self, message: Message, *, status_code: int | None, error: str | None) -> int:
        """Put one try on record, and return how many there were."""
        said = None if error is None else storable(error)
        key = (message.webhook_id, message.meeting_id, message.version, message.kind)
        return await self._database.value(_RECORD, *key, status_code, said) or 1

    async def deliveries(self, webhook_id: int, *, limit: int, before_id: int | None = None) -> Sequence[Delivery]:
        """List what was sent to a server, newest first."""
        return [_delivery(row) for row in await self._database.rows(_LIST, webhook_id, before_id, limit)]

    async def replay(self, webhook_id: int, delivery_id: int) -> bool:
        """Owe a message once more."""
        return await self._database.value(_REPLAY, webhook_id, delivery_id) is True


def _delivery(row: Row) -> Delivery:
    delivery_id, webhook_id, meeting_id, version, notice, *rest = row
    return Delivery(delivery_id, Message(webhook_id, meeting_id, version, NoticeType(notice)), *rest)
