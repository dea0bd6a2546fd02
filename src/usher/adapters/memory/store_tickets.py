"""Tickets with which browsers open live connections, in memory."""

from datetime import datetime

from usher.adapters.memory.store_tables import Part
from usher.ports import MOST_TICKETS, User


class MemoryTickets(Part):
    """See `usher.ports.Tickets`."""

    async def add_ticket(self, user_id: int, token_sha256: bytes, *, good_s: float) -> datetime | None:
        """Make a ticket, and forget those of the user that are over."""
        tables, now = self._tables, self._tables.now()
        if user_id not in tables.users:
            return None
        tables.tickets = {key: one for key, one in tables.tickets.items() if one[0] != user_id or one[1] > now}
        if sum(owner == user_id for owner, _ in tables.tickets.values()) >= MOST_TICKETS:
            return None
        expires_at = tables.after(good_s)
        tables.tickets[token_sha256] = (user_id, expires_at)
        return expires_at

    async def take_ticket(self, token_sha256: bytes) -> User | None:
        """Use a ticket up and return whose it is."""
        user_id, expires_at = self._tables.tickets.get(token_sha256, (0, self._tables.now()))
        if expires_at <= self._tables.now():
            return None
        del self._tables.tickets[token_sha256]
        return self._tables.users.get(user_id)
