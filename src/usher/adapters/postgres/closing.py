"""The end of a user: first the keys, in the end the row."""

from collections.abc import Collection

from usher.adapters.postgres.audit import write_deed
from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LIVE_STATES, sql
from usher.ports import Actor, Closing

# The strongest lock on the row: whoever creates a meeting of the user has changed the row or holds a share of its key,
# so the meeting is seen here, or it is created by a user who is closed or gone.
_LOCK = sql(
    """
SELECT EXISTS (SELECT FROM meetings m WHERE m.user_id = u.id AND m.status IN (<live>))
FROM users u WHERE u.id = $1 FOR UPDATE
""",
    live=LIVE_STATES,
)

_CLOSE = (
    "DELETE FROM api_tokens WHERE user_id = $1",
    "DELETE FROM live_tickets WHERE user_id = $1",
    "DELETE FROM webhooks WHERE user_id = $1 OR added_by = $1",
    "UPDATE users SET max_concurrent_bots = 0 WHERE id = $1",
)

_REMOVE_MEETINGS = """
WITH gone AS (
    DELETE FROM meetings m
    WHERE m.id = ANY ($1::bigint[]) AND m.redacted_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM recordings r WHERE r.meeting_id = m.id)
    RETURNING m.id
), history AS (DELETE FROM meeting_events e USING gone WHERE e.meeting_id = gone.id)
SELECT count(*) FROM gone
"""

_REMOVE = """
DELETE FROM users u WHERE u.id = $1 AND NOT EXISTS (SELECT FROM meetings m WHERE m.user_id = u.id) RETURNING true
"""


class PostgresClosing(Part):
    """The end of `usher.ports.Users`."""

    async def close_user(self, user_id: int, *, force: bool, by: Actor | None = None) -> Closing:
        """Take away a user's tokens, webhook and right to send bots."""
        async with self._database.connection() as connection, connection.transaction():
            live: bool | None = await connection.fetchval(_LOCK, user_id)
            if live is None:
                return Closing.UNKNOWN
            if live and not force:
                return Closing.BOTS_LIVE
            for statement in _CLOSE:
                await connection.execute(statement, user_id)
            await write_deed(connection, by, "user_closed", f"user:{user_id}")
        return Closing.CLOSED

    async def remove_meetings(self, meeting_ids: Collection[int]) -> int:
        """Remove meetings whose transcript was deleted."""
        count: int = await self._database.value(_REMOVE_MEETINGS, list(meeting_ids))
        return count

    async def remove_user(self, user_id: int, *, by: Actor | None = None) -> bool:
        """Remove a user who has no meetings left."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.fetchval(_LOCK, user_id)
            removed = await connection.fetchval(_REMOVE, user_id) is True
            if removed:
                await write_deed(connection, by, "user_deleted", f"user:{user_id}")
        return removed
