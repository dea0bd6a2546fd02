"""Commands to bots and signs of life from them, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from usher.adapters.memory.store_tables import Attendance, CommandRow, Lease, Part
from usher.domain.lifecycle import LIVE
from usher.ports import EXPIRED, Beat, StoredCommand


class MemoryCommands(Part):
    """See `usher.ports.Commands`."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot, oldest first."""
        rows = self._sent_to(connection_id)
        return [row.command for row in rows if row.outcome is None and row.command.seq > after_seq]

    async def acknowledge(self, connection_id: str, seq: int, *, outcome: str, detail: str) -> StoredCommand | None:
        """Record what the bot did; the first outcome stays."""
        sent = self._sent_to(connection_id)
        row = next((row for row in sent if row.command.seq == seq), None)
        if row is None:
            return None
        for older in sent:
            if older.command.seq < seq:
                older.outcome = older.outcome or EXPIRED
        if row.outcome in (None, EXPIRED):
            row.outcome, row.detail = outcome, detail
        newest = max(each.command.seq for each in sent if each.command.action == row.command.action)
        return replace(row.command, newest=seq == newest)

    def _sent_to(self, connection_id: str) -> list[CommandRow]:
        meeting_id = self._tables.connections.get(connection_id, 0)
        rows = self._tables.commands.get(meeting_id, ())
        return [row for row in rows if row.command.connection_id == connection_id]


class MemoryLeases(MemoryCommands):
    """See `usher.ports.Leases`."""

    async def attend(self, *, silence_s: float) -> None:
        """Say that heartbeats are being taken."""
        tables, now = self._tables, self._tables.now()
        known = tables.attendance
        heard = known is not None and now - known.seen_at <= timedelta(seconds=silence_s)
        tables.attendance = Attendance(known.since if known and heard else now, now)

    async def beat(self, connection_ids: Sequence[str], *, lease_s: float) -> Mapping[str, Beat]:
        """Renew the leases of many bots."""
        tables, beats = self._tables, {}
        for connection_id in connection_ids:
            if connection_id not in tables.connections:
                continue
            meeting = tables.meetings[tables.connections[connection_id]]
            current = meeting.connection_id == connection_id and meeting.status in LIVE
            if current:
                tables.leases[meeting.meeting_id] = Lease(meeting.attempt, tables.after(lease_s))
            newest_seq = max((row.command.seq for row in self._sent_to(connection_id)), default=0)
            beats[connection_id] = Beat(current, newest_seq)
        return beats
