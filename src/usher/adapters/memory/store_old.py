"""What the in-memory store forgets."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from usher.adapters.memory.store_tables import CommandRow, Tables
from usher.domain.lifecycle import TERMINAL


def _old_meetings(tables: Tables, older_than_s: float) -> set[int]:
    before = tables.now() - timedelta(seconds=older_than_s)
    ended = (meeting for meeting in tables.meetings.values() if meeting.status in TERMINAL)
    return {meeting.meeting_id for meeting in ended if meeting.end_time and meeting.end_time < before}


def _forget_keys(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    old = _old_meetings(tables, older_than_s)
    keys = [key for key, (_, meeting_id) in tables.idempotency_keys.items() if meeting_id in old][:limit]
    return [tables.idempotency_keys.pop(key) for key in keys]


def _forget_connections(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    old = _old_meetings(tables, older_than_s)
    current = {tables.meetings[meeting_id].connection_id for meeting_id in old}
    former = [
        connection
        for connection, meeting_id in tables.connections.items()
        if meeting_id in old and connection not in current
    ][:limit]
    for connection in former:
        del tables.connections[connection], tables.attempts[connection]
    return former


def _forget_commands(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    forgotten: list[CommandRow] = []
    for meeting_id in _old_meetings(tables, older_than_s):
        rows = tables.commands.get(meeting_id, [])
        forgotten += rows[: limit - len(forgotten)]
        tables.commands[meeting_id] = [row for row in rows if row not in forgotten]
    return forgotten


def _forget_effects(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    before = tables.now() - timedelta(seconds=older_than_s)
    buried = [row.effect_id for row in tables.outbox.values() if row.buried_at and row.buried_at < before][:limit]
    return [tables.outbox.pop(effect_id) for effect_id in buried]


def _forget_shares(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    before = tables.now() - timedelta(seconds=older_than_s)
    over = [token for token, share in tables.shares.items() if share.expires_at < before][:limit]
    return [tables.shares.pop(token) for token in over]


def _forget_deliveries(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    before = tables.now() - timedelta(seconds=older_than_s)
    old = [delivery_id for delivery_id, one in tables.deliveries.items() if one.last_at < before][:limit]
    return [tables.deliveries.pop(delivery_id) for delivery_id in old]


def _forget_tickets(tables: Tables, older_than_s: float, limit: int) -> Sequence[object]:
    before = tables.now() - timedelta(seconds=older_than_s)
    over = [token for token, (_, expires_at) in tables.tickets.items() if expires_at < before][:limit]
    return [tables.tickets.pop(token) for token in over]


FORGET: tuple[Callable[[Tables, float, int], Sequence[object]], ...] = (
    _forget_keys,
    _forget_connections,
    _forget_commands,
    _forget_effects,
    _forget_shares,
    _forget_tickets,
    _forget_deliveries,
)
"""One function for each kind of row; each returns what it forgot."""
