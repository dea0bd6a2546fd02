"""Commands to bots."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import storable
from usher.ports import Configuration, StoredCommand

_PENDING = """
SELECT seq, connection_id, action, language, task FROM commands
WHERE connection_id = $1 AND seq > $2 AND acknowledged_at IS NULL ORDER BY seq
"""

_ACKNOWLEDGE = """
UPDATE commands
SET outcome = coalesce(outcome, $3), detail = coalesce(detail, $4), acknowledged_at = coalesce(acknowledged_at, now())
WHERE connection_id = $1 AND seq = $2
RETURNING seq, connection_id, action, language, task
"""


class PostgresCommands(Part):
    """See `usher.ports.Commands`."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot, oldest first."""
        return [_command_from(row) for row in await self._database.rows(_PENDING, connection_id, after_seq)]

    async def acknowledge(self, connection_id: str, seq: int, *, outcome: str, detail: str) -> StoredCommand | None:
        """Record what the bot did; the first outcome stays."""
        row = await self._database.row(_ACKNOWLEDGE, connection_id, seq, outcome, storable(detail))
        return None if row is None else _command_from(row)


def _command_from(row: Row) -> StoredCommand:
    seq, connection_id, action, language, task = row
    return StoredCommand(seq, connection_id, action, Configuration(language, task))
