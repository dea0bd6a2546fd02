"""What bots saw when a step did not work."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LOCK_CURRENT, storable
from usher.ports import MOST_EXHIBITS, Exhibit, ExhibitContents
from usher.protocol.evidence import Evidence

# The meeting's row is held, so that two pieces at once get two numbers, and none comes in after the attempt is over.
_KEEP = """
WITH kept AS (
    INSERT INTO meeting_evidence (meeting_id, number, attempt, step, reason, title, address, screenshot, tree)
    SELECT $1::bigint, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8
    FROM meeting_evidence WHERE meeting_id = $1
    RETURNING number
)
DELETE FROM meeting_evidence WHERE meeting_id = $1 AND number <= (SELECT number FROM kept) - $9
"""

_LIST = """
SELECT number, attempt, step, reason, taken_at, title, address, coalesce(octet_length(screenshot), 0), char_length(tree)
FROM meeting_evidence WHERE meeting_id = $1 ORDER BY number
"""

_CONTENTS = "SELECT screenshot, tree FROM meeting_evidence WHERE meeting_id = $1 AND number = $2"


class PostgresExhibits(Part):
    """See `usher.ports.Exhibits`."""

    async def exhibit(self, connection_id: str, evidence: Evidence) -> bool:
        """Keep a piece of evidence, and forget the oldest."""
        texts = (evidence.title, evidence.address)
        async with self._database.connection() as connection, connection.transaction():
            meeting = await connection.fetchrow(LOCK_CURRENT, connection_id)
            if meeting is None:
                return False
            await connection.execute(
                _KEEP,
                meeting["id"],
                meeting["attempt"],
                storable(evidence.step),
                None if evidence.reason is None else storable(evidence.reason),
                *map(storable, texts),
                evidence.screenshot,
                storable(evidence.tree),
                MOST_EXHIBITS,
            )
        return True

    async def exhibits(self, meeting_id: int) -> Sequence[Exhibit]:
        """List the evidence of a meeting, oldest first."""
        return [Exhibit(*row) for row in await self._database.rows(_LIST, meeting_id)]

    async def exhibit_contents(self, meeting_id: int, number: int) -> ExhibitContents | None:
        """Return what a piece of evidence shows."""
        row = await self._database.row(_CONTENTS, meeting_id, number)
        return None if row is None else ExhibitContents(*row)
