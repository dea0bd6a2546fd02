"""The log of deeds, in memory."""

from collections.abc import Sequence

from usher.adapters.memory.store_tables import Part
from usher.ports import Actor, AuditEntry


class MemoryAudit(Part):
    """See `usher.ports.Audit`."""

    async def note(self, by: Actor, action: str, subject: str) -> None:
        """Write a line about what has no transaction of its own."""
        self._tables.write_deed(by, action, subject)

    async def audit(self, *, limit: int, before_id: int | None = None) -> Sequence[AuditEntry]:
        """List lines, newest first."""
        older = (entry for entry in reversed(self._tables.deeds) if before_id is None or entry.entry_id < before_id)
        return list(older)[:limit]
