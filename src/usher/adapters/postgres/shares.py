"""Links to transcripts."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import MEETING_COLUMNS, meeting_from, sql
from usher.ports import MOST_SHARES, Meeting, Share

_COLUMNS = "s.id, s.meeting_id, s.created_at, s.expires_at"

# The meeting's row is held: two links at once do not go over the limit together, and none outlives a deletion.
_LOCK = "SELECT m.id FROM meetings m WHERE m.id = $1 AND m.redacted_at IS NULL FOR NO KEY UPDATE"

_ADD = sql(
    """
INSERT INTO transcript_shares AS s (meeting_id, token_sha256, expires_at)
SELECT $1::bigint, $2, now() + make_interval(secs => $3)
WHERE (SELECT count(*) FROM transcript_shares g WHERE g.meeting_id = $1 AND g.expires_at > now()) < $4
RETURNING <columns>
""",
    columns=_COLUMNS,
)

_FIND = sql(
    """
SELECT <columns> FROM transcript_shares s JOIN meetings m ON m.id = s.meeting_id
WHERE s.token_sha256 = $1 AND s.expires_at > now() AND m.redacted_at IS NULL
""",
    columns=MEETING_COLUMNS,
)

_LIST = sql(
    "SELECT <columns> FROM transcript_shares s WHERE s.meeting_id = $1 AND s.expires_at > now() ORDER BY s.id",
    columns=_COLUMNS,
)

_END = "DELETE FROM transcript_shares WHERE meeting_id = $1 AND id = $2 RETURNING expires_at > now()"


class PostgresShares(Part):
    """See `usher.ports.Shares`."""

    async def add_share(self, meeting_id: int, token_sha256: bytes, *, good_s: float) -> Share | None:
        """Make a link that is good for so long."""
        async with self._database.connection() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, meeting_id) is None:
                return None
            row = await connection.fetchrow(_ADD, meeting_id, token_sha256, good_s, MOST_SHARES)
        return None if row is None else Share(*row)

    async def find_shared(self, token_sha256: bytes) -> Meeting | None:
        """Return the meeting that a token opens, while it is good."""
        row = await self._database.row(_FIND, token_sha256)
        return None if row is None else meeting_from(row)

    async def shares(self, meeting_id: int) -> Sequence[Share]:
        """List the links to a transcript that are good, oldest first."""
        return [Share(*row) for row in await self._database.rows(_LIST, meeting_id)]

    async def end_share(self, meeting_id: int, share_id: int) -> bool:
        """Take back a link."""
        return await self._database.value(_END, meeting_id, share_id) is True
