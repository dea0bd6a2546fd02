"""What was written into meetings' chats."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LOCK_CURRENT, storable
from usher.ports import ChatMessage
from usher.protocol.chat import MOST_LINES, SeenLine

# The meeting's row is held: two batches at once do not go over the limit together, and their lines keep their order.
_SAVE = """
WITH told AS (
    SELECT DISTINCT ON (t.line_id) t.*
    FROM unnest($3::text[], $4::text[], $5::text[], $6::boolean[], $7::float8[]) WITH ORDINALITY
        AS t (line_id, sender, text, is_self, ago_s, place)
    WHERE NOT EXISTS (
        SELECT FROM chat_messages c
        WHERE c.meeting_id = $1 AND c.line_id = t.line_id
            AND (c.attempt = $2 OR (c.sender, c.text) = (t.sender, t.text)))
    ORDER BY t.line_id, t.place
), kept AS (
    INSERT INTO chat_messages AS c (meeting_id, attempt, line_id, sender, text, is_self, seen_at)
    SELECT $1, $2, t.line_id, t.sender, t.text, t.is_self, now() - make_interval(secs => t.ago_s)
    FROM told t ORDER BY t.place
    LIMIT greatest(0, $8 - (SELECT count(*) FROM chat_messages WHERE meeting_id = $1))
    RETURNING c.id, c.attempt, c.line_id, c.sender, c.text, c.is_self, c.seen_at
)
SELECT attempt, line_id, sender, text, is_self, seen_at,
    (SELECT count(*) FROM chat_messages WHERE meeting_id = $1) + row_number() OVER (ORDER BY id) AS number
FROM kept ORDER BY id
"""

_CHAT = """
SELECT attempt, line_id, sender, text, is_self, seen_at, row_number() OVER (ORDER BY id) AS number
FROM chat_messages WHERE meeting_id = $1 ORDER BY id
"""


class PostgresChats(Part):
    """See `usher.ports.Chats`."""

    async def save_chat(self, connection_id: str, lines: Sequence[SeenLine]) -> Sequence[ChatMessage] | None:
        """Keep those lines that are new."""
        columns = (
            [storable(line.line_id) for line in lines],
            [storable(line.sender) for line in lines],
            [storable(line.text) for line in lines],
            [line.is_self for line in lines],
            [line.ago_s for line in lines],
        )
        async with self._database.connection() as connection, connection.transaction():
            meeting = await connection.fetchrow(LOCK_CURRENT, connection_id)
            if meeting is None:
                return None
            rows = await connection.fetch(_SAVE, meeting["id"], meeting["attempt"], *columns, MOST_LINES)
        return [ChatMessage(*row) for row in rows]

    async def chat(self, meeting_id: int) -> Sequence[ChatMessage]:
        """Return a meeting's chat, oldest first."""
        return [ChatMessage(*row) for row in await self._database.rows(_CHAT, meeting_id)]
