"""Commands to bots."""

from collections.abc import Sequence

from usher.adapters.postgres.creation import owed_rows
from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import literals, sql, storable
from usher.domain.lifecycle import IN_MEETING, Effect
from usher.ports import (
    CHAT,
    EXPIRED,
    LEAVE,
    MOST_PENDING,
    Acknowledgement,
    CommandFate,
    Configuration,
    Order,
    StoredCommand,
    Unordered,
)

_PENDING = """
SELECT seq, connection_id, action, language, task, text FROM commands
WHERE connection_id = $1 AND seq > $2 AND acknowledged_at IS NULL ORDER BY seq
"""

# The bot's own word, late as it may be, is better than the verdict that it would say nothing any more. A command makes
# older ones of its action void, and the bot will not execute them; but each message for the chat counts.
ACKNOWLEDGED = sql(
    """overtaken AS (
    UPDATE commands o SET outcome = '<expired>', acknowledged_at = now() <source>
    WHERE o.connection_id = <connection> AND o.seq < <seq> AND o.acknowledged_at IS NULL AND o.action <> '<chat>'
        AND EXISTS (
            SELECT FROM commands a
            WHERE a.connection_id = <connection> AND a.seq = <seq> AND a.action IN (o.action, '<leave>'))
), acknowledged AS (
    UPDATE commands c
    SET outcome = coalesce(nullif(c.outcome, '<expired>'), <outcome>), detail = coalesce(c.detail, <detail>),
        acknowledged_at = coalesce(c.acknowledged_at, now()) <source>
    WHERE c.connection_id = <connection> AND c.seq = <seq>
    RETURNING c.seq, c.connection_id, c.action, c.language, c.task, c.text
)""",
    expired=EXPIRED,
    chat=CHAT,
    leave=LEAVE,
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

# Whoever moves the meeting meanwhile has its row, and is waited for: the order then sees where the meeting is.
_ORDER = sql(
    """
WITH m AS (
    UPDATE meetings AS m SET command_seq = m.command_seq + 1
    WHERE m.id = $1 AND m.status IN (<inside>)
        AND (SELECT count(*) FROM commands w WHERE w.connection_id = m.connection_id AND w.acknowledged_at IS NULL) < $2
    RETURNING m.id, m.attempt, m.command_seq, m.connection_id, m.desired_language, m.desired_task
), command AS (
    INSERT INTO commands (meeting_id, seq, connection_id, action, language, task, text)
    SELECT m.id, m.command_seq, m.connection_id, $3::text, m.desired_language, m.desired_task, $4::text FROM m
)<owed>
SELECT m.command_seq, m.connection_id, $3::text, m.desired_language, m.desired_task, $4::text FROM m
""",
    inside=literals(IN_MEETING),
    owed=owed_rows((Effect.SEND_COMMAND,), first=5),
)

_IS_INSIDE = sql("SELECT true FROM meetings WHERE id = $1 AND status IN (<inside>)", inside=literals(IN_MEETING))

_FATE = "SELECT seq, action, outcome, coalesce(detail, '') FROM commands WHERE meeting_id = $1 AND seq = $2"


class PostgresCommands(Part):
    """See `usher.ports.Commands`."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot, oldest first."""
        return [_command_from(row) for row in await self._database.rows(_PENDING, connection_id, after_seq)]

    async def acknowledge(self, connection_id: str, said: Acknowledgement) -> StoredCommand | None:
        """Record what the bot did; the first outcome stays."""
        row = await self._database.row(_ACKNOWLEDGE, connection_id, said.seq, said.outcome, storable(said.detail))
        return None if row is None else _command_from(row)

    async def order(self, order: Order) -> StoredCommand | Unordered:
        """Write a command that moves nothing, in one statement."""
        text = storable(order.text)
        row = await self._database.row(_ORDER, order.meeting_id, MOST_PENDING, order.action, text, order.again_s)
        if row is not None:
            return _command_from(row)
        inside = await self._database.value(_IS_INSIDE, order.meeting_id)
        return Unordered.TOO_MANY if inside else Unordered.NOT_IN_MEETING

    async def fate(self, meeting_id: int, seq: int) -> CommandFate | None:
        """Return what became of a command."""
        row = await self._database.row(_FATE, meeting_id, seq)
        return None if row is None else CommandFate(*row)


def _command_from(row: Row) -> StoredCommand:
    seq, connection_id, action, language, task, text, *newest = row
    return StoredCommand(seq, connection_id, action, Configuration(language, task), all(newest), text)
