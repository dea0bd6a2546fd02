"""Commands to bots and signs of life from them, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from usher.adapters.memory.store_tables import Attendance, Lease, Part
from usher.domain.lifecycle import LIVE
from usher.ports import Acknowledgement, Beat, StoredCommand


class MemoryCommands(Part):
    """See `usher.ports.Commands`."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot, oldest first."""
        rows = self._tables.sent_to(connection_id)
        return [row.command for row in rows if row.outcome is None and row.command.seq > after_seq]

    async def acknowledge(self, connection_id: str, said: Acknowledgement) -> StoredCommand | None:
        """Record what the bot did; the first outcome stays."""
        command = self._tables.acknowledge(connection_id, said)
        if command is None:
            return None
        sent = self._tables.sent_to(connection_id)
        newest = max(each.command.seq for each in sent if each.command.action == command.action)
        return replace(command, newest=said.seq == newest)


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
            newest_seq = max((row.command.seq for row in self._tables.sent_to(connection_id)), default=0)
            beats[connection_id] = Beat(current, newest_seq)
        return beats
