"""The end of a user, in memory."""

from collections.abc import Collection
from dataclasses import replace

from usher.adapters.memory.store_tables import Part
from usher.domain.lifecycle import LIVE
from usher.ports import Actor, Closing


class MemoryClosing(Part):
    """The end of `usher.ports.Users`."""

    async def close_user(self, user_id: int, *, force: bool, by: Actor | None = None) -> Closing:
        """Take away a user's tokens, webhook and right to send bots."""
        tables, user = self._tables, self._tables.users.get(user_id)
        if user is None:
            return Closing.UNKNOWN
        if not force and any(m.user_id == user_id and m.status in LIVE for m in tables.meetings.values()):
            return Closing.BOTS_LIVE
        self._take_keys(user_id)
        tables.users[user_id] = replace(user, max_concurrent_bots=0)
        tables.write_deed(by, "user_closed", f"user:{user_id}")
        return Closing.CLOSED

    def _take_keys(self, user_id: int) -> None:
        """Take away what lets a user in, and where they are told of changes."""
        tables = self._tables
        tables.tokens = {digest: token for digest, token in tables.tokens.items() if token.user_id != user_id}
        tables.tickets = {digest: ticket for digest, ticket in tables.tickets.items() if ticket[0] != user_id}
        ended = {webhook_id for webhook_id, one in tables.endpoints.items() if one.user_id == user_id}
        tables.deliveries = {
            each: one for each, one in tables.deliveries.items() if one.message.webhook_id not in ended
        }
        for webhook_id in ended:
            del tables.endpoints[webhook_id]

    async def remove_meetings(self, meeting_ids: Collection[int]) -> int:
        """Remove meetings whose transcript was deleted."""
        recorded = {recording.meeting_id for recording in self._tables.recordings.values()}
        known = {each for each in meeting_ids if each in self._tables.meetings and each not in recorded}
        gone = {each for each in known if self._tables.meetings[each].redacted}
        for meeting_id in gone:
            self._remove(meeting_id)
        return len(gone)

    def _remove(self, meeting_id: int) -> None:
        """Remove a meeting and what hangs on its row."""
        tables = self._tables
        del tables.meetings[meeting_id], tables.events[meeting_id]
        tables.leases.pop(meeting_id, None)
        tables.commands.pop(meeting_id, None)
        tables.editions.pop(meeting_id, None)
        for connection_id in [each for each, whose in tables.connections.items() if whose == meeting_id]:
            del tables.connections[connection_id], tables.attempts[connection_id]
        for key in [each for each, (_, whose) in tables.idempotency_keys.items() if whose == meeting_id]:
            del tables.idempotency_keys[key]
        for effect_id in [each for each, row in tables.outbox.items() if row.meeting_id == meeting_id]:
            del tables.outbox[effect_id]

    async def remove_user(self, user_id: int, *, by: Actor | None = None) -> bool:
        """Remove a user who has no meetings left."""
        tables = self._tables
        if user_id not in tables.users or any(m.user_id == user_id for m in tables.meetings.values()):
            return False
        del tables.users[user_id], tables.active_bots[user_id]
        self._take_keys(user_id)
        tables.write_deed(by, "user_deleted", f"user:{user_id}")
        return True
