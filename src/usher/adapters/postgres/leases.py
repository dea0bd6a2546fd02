"""Who has reported lately."""

from collections.abc import Mapping, Sequence

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LIVE_STATES, sql
from usher.ports import Beat

_ATTEND = """
INSERT INTO attendance AS a (id, since, seen_at) VALUES (1, now(), now())
ON CONFLICT (id) DO UPDATE SET seen_at = now(),
    since = CASE WHEN a.seen_at < now() - make_interval(secs => $1) THEN now() ELSE a.since END
"""

# Rows are written in the order of their keys, so that two renewals at a time cannot wait for each other.
_BEAT = sql(
    """
WITH told AS MATERIALIZED (
    SELECT DISTINCT given.connection_id FROM unnest($1::text[]) AS given (connection_id)
), current AS MATERIALIZED (
    SELECT m.connection_id, m.id, m.attempt, m.status IN (<live>) AS live
    FROM told JOIN meetings m ON m.connection_id = told.connection_id
), renewed AS (
    INSERT INTO leases AS l (meeting_id, attempt, expires_at)
    SELECT current.id, current.attempt, now() + make_interval(secs => $2) FROM current
    WHERE current.live ORDER BY current.id
    ON CONFLICT (meeting_id) DO UPDATE SET attempt = excluded.attempt, expires_at = excluded.expires_at
    WHERE l.attempt <= excluded.attempt
), known AS (
    SELECT current.connection_id, current.live FROM current
    UNION ALL
    SELECT f.connection_id, false FROM told JOIN former_connections f ON f.connection_id = told.connection_id
)
SELECT known.connection_id, known.live, coalesce(newest.seq, 0)
FROM known LEFT JOIN LATERAL (
    SELECT c.seq FROM commands c WHERE c.connection_id = known.connection_id ORDER BY c.seq DESC LIMIT 1
) AS newest ON true
""",
    live=LIVE_STATES,
)


class PostgresLeases(Part):
    """See `usher.ports.Leases`."""

    async def attend(self, *, silence_s: float) -> None:
        """Say that heartbeats are being taken."""
        await self._database.value(_ATTEND, silence_s)

    async def beat(self, connection_ids: Sequence[str], *, lease_s: float) -> Mapping[str, Beat]:
        """Renew the leases of many bots in one statement."""
        rows = await self._database.rows(_BEAT, list(connection_ids), lease_s)
        return {connection_id: Beat(live, newest_seq) for connection_id, live, newest_seq in rows}
