"""The log of deeds."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Connection, Part
from usher.ports import Actor, AuditEntry, Json

_NOTE = "INSERT INTO audit_log (actor, origin, action, subject, data) VALUES ($1, $2, $3, $4, $5)"

_LIST = """
SELECT id, actor, origin, action, subject, data, created_at FROM audit_log
WHERE id < coalesce($2::bigint, 9223372036854775807) ORDER BY id DESC LIMIT $1
"""


async def write_deed(
    connection: Connection, by: Actor | None, action: str, subject: str, data: Json | None = None
) -> None:
    """Write a line in the transaction of the deed, if somebody is to be held to it."""
    if by is not None:
        await connection.execute(_NOTE, by.name, by.origin, action, subject, data or {})


class PostgresAudit(Part):
    """See `usher.ports.Audit`."""

    async def note(self, by: Actor, action: str, subject: str) -> None:
        """Write a line about what has no transaction of its own."""
        await self._database.value(_NOTE, by.name, by.origin, action, subject, {})

    async def audit(self, *, limit: int, before_id: int | None = None) -> Sequence[AuditEntry]:
        """List lines, newest first."""
        return [AuditEntry(*row) for row in await self._database.rows(_LIST, limit, before_id)]
