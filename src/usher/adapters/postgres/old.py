"""What the store forgets."""

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LIVE_STATES, sql

_OF_OLD_MEETING = """
SELECT r.ctid FROM <table> r JOIN meetings m ON m.id = r.meeting_id
WHERE m.status NOT IN (<live>) AND m.end_time < now() - make_interval(secs => $1) LIMIT $2
"""

_BURIED = """
SELECT r.ctid FROM outbox r WHERE r.buried_at < now() - make_interval(secs => $1) LIMIT $2
"""

_SHARES = "SELECT r.ctid FROM transcript_shares r WHERE r.expires_at < now() - make_interval(secs => $1) LIMIT $2"

_DELIVERIES = "SELECT r.ctid FROM webhook_deliveries r WHERE r.last_at < now() - make_interval(secs => $1) LIMIT $2"

_TICKETS = "SELECT r.ctid FROM live_tickets r WHERE r.expires_at < now() - make_interval(secs => $1) LIMIT $2"

# A collector of a version that does not know of deletion may have stored it. Such managers are gone after a while.
_OF_REDACTED_MEETING = """
SELECT r.ctid FROM <table> r JOIN meetings m ON m.id = r.meeting_id
WHERE m.redacted_at > now() - make_interval(secs => $1) LIMIT $2
"""

_FORGET = """
WITH forgotten AS (DELETE FROM <table> WHERE ctid = ANY (ARRAY(<rows>)) RETURNING true)
SELECT count(*) FROM forgotten
"""

_STATEMENTS = (
    *(
        sql(sql(_FORGET, rows=_OF_OLD_MEETING), table=table, live=LIVE_STATES)
        for table in ("idempotency_keys", "former_connections", "commands")
    ),
    sql(_FORGET, rows=_BURIED, table="outbox"),
    sql(_FORGET, rows=_SHARES, table="transcript_shares"),
    sql(_FORGET, rows=_TICKETS, table="live_tickets"),
    sql(_FORGET, rows=_DELIVERIES, table="webhook_deliveries"),
    *(sql(sql(_FORGET, rows=_OF_REDACTED_MEETING), table=table) for table in ("transcriptions", "meeting_sessions")),
)


class PostgresOld(Part):
    """The pruning of `usher.ports.Store`."""

    async def prune(self, *, older_than_s: float, limit: int) -> int:
        """Delete what nobody will ask for again, one kind of row after the other."""
        counts = [await self._database.value(statement, older_than_s, limit) for statement in _STATEMENTS]
        return sum(counts)
