"""Commands to bots."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import sql, storable
from usher.ports import EXPIRED, Acknowledgement, Configuration, StoredCommand

_PENDING = """
SELECT seq, connection_id, action, language, task FROM commands
WHERE connection_id = $1 AND seq > $2 AND acknowledged_at IS NULL ORDER BY seq
"""

# The bot's own word, late as it may be, is better than the verdict that it would say nothing any more. A bot executes
# and acknowledges in order, so what it has passed over it will not execute.
ACKNOWLEDGED = sql(
    """overtaken AS (
    UPDATE commands o SET outcome = '<expired>', acknowledged_at = now() <source>
    WHERE o.connection_id = <connection> AND o.seq < <seq> AND o.acknowledged_at IS NULL
        AND EXISTS (SELECT FROM commands a WHERE a.connection_id = <connection> AND a.seq = <seq>)
), acknowledged AS (
    UPDATE commands c
    SET outcome = coalesce(nullif(c.outcome, '<expired>'), <outcome>), detail = coalesce(c.detail, <detail>),
        acknowledged_at = coalesce(c.acknowledged_at, now()) <source>
    WHERE c.connection_id = <connection> AND c.seq = <seq>
    RETURNING c.seq, c.connection_id, c.action, c.language, c.task
)""",
    expired=EXPIRED,
)
"""The parts of a statement that take a bot's word on a command; `<source>` may be a FROM that `<connection>` needs."""

_ACKNOWLEDGE = sql(
    """
WITH <acknowledged>
SELECT c.*, NOT EXISTS (
    SELECT FROM commands l WHERE l.connection_id = c.connection_id AND l.action = c.action AND l.seq > c.seq)
FROM acknowledged c
""",
    acknowledged=sql(ACKNOWLEDGED, source="", connection="$1", seq="$2", outcome="$3", detail="$4"),
)


class PostgresCommands(Part):
    """See `usher.ports.Commands`."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot, oldest first."""
        return [_command_from(row) for row in await self._database.rows(_PENDING, connection_id, after_seq)]

    async def acknowledge(self, connection_id: str, said: Acknowledgement) -> StoredCommand | None:
        """Record what the bot did; the first outcome stays."""
        row = await self._database.row(_ACKNOWLEDGE, connection_id, said.seq, said.outcome, storable(said.detail))
        return None if row is None else _command_from(row)


def _command_from(row: Row) -> StoredCommand:
    seq, connection_id, action, language, task, *newest = row
    return StoredCommand(seq, connection_id, action, Configuration(language, task), *newest)
