"""Commands to bots and signs of life from them, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from usher.adapters.memory.store_change import owe_effect
from usher.adapters.memory.store_tables import Attendance, CommandRow, Lease, Part
from usher.domain.lifecycle import IN_MEETING, LIVE, Effect
from usher.ports import MOST_PENDING, Acknowledgement, Beat, CommandFate, Order, Owed, StoredCommand, Unordered


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

    async def order(self, order: Order) -> StoredCommand | Unordered:
        """Write a command that moves nothing."""
        tables, meeting = self._tables, self._tables.meetings.get(order.meeting_id)
        if meeting is None or meeting.status not in IN_MEETING:
            return Unordered.NOT_IN_MEETING
        if len(await self.pending(meeting.connection_id, after_seq=0)) >= MOST_PENDING:
            return Unordered.TOO_MANY
        seq, wanted = meeting.command_seq + 1, meeting.desired_configuration
        tables.meetings[meeting.meeting_id] = replace(meeting, command_seq=seq)
        text = order.text.replace("\x00", "")
        command = StoredCommand(seq, meeting.connection_id, order.action, wanted, text=text)
        tables.commands.setdefault(meeting.meeting_id, []).append(CommandRow(command))
        owe_effect(tables, meeting, Owed(Effect.SEND_COMMAND, order.again_s))
        return command

    async def fate(self, meeting_id: int, seq: int) -> CommandFate | None:
        """Return what became of a command."""
        rows = (row for row in self._tables.commands.get(meeting_id, ()) if row.command.seq == seq)
        row = next(rows, None)
        return None if row is None else CommandFate(seq, row.command.action, row.outcome, row.detail or "")


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
