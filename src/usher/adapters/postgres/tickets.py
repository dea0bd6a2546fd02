"""Tickets with which browsers open live connections."""

from datetime import datetime

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import USER_COLUMNS, sql, user_from
from usher.ports import MOST_TICKETS, User

# The user's row is held: two at once do not go over the limit together.
_LOCK = "SELECT u.id FROM users u WHERE u.id = $1 FOR NO KEY UPDATE"

_SWEEP = "DELETE FROM live_tickets WHERE user_id = $1 AND expires_at <= now()"

_ADD = """
INSERT INTO live_tickets AS t (token_sha256, user_id, expires_at)
SELECT $2, $1, now() + make_interval(secs => $3)
WHERE (SELECT count(*) FROM live_tickets g WHERE g.user_id = $1) < $4
RETURNING t.expires_at
"""

# Of two that come with one ticket, the second waits for the first and finds no row any more.
_TAKE = sql(
    """
DELETE FROM live_tickets t USING users u
WHERE t.token_sha256 = $1 AND t.expires_at > now() AND u.id = t.user_id
RETURNING <columns>
""",
    columns=USER_COLUMNS,
)


class PostgresTickets(Part):
    """See `usher.ports.Tickets`."""

    async def add_ticket(self, user_id: int, token_sha256: bytes, *, good_s: float) -> datetime | None:
        """Make a ticket, and forget those of the user that are over."""
        async with self._database.connection() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, user_id) is None:
                return None
            await connection.execute(_SWEEP, user_id)
            row = await connection.fetchrow(_ADD, user_id, token_sha256, good_s, MOST_TICKETS)
        return None if row is None else row["expires_at"]

    async def take_ticket(self, token_sha256: bytes) -> User | None:
        """Use a ticket up and return whose it is."""
        row = await self._database.row(_TAKE, token_sha256)
        return None if row is None else user_from(row)
