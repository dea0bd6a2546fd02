"""Meetings and their history."""

import asyncio
from collections.abc import Mapping, Sequence

from usher.adapters.postgres.change import write_change
from usher.adapters.postgres.creation import write_meeting
from usher.adapters.postgres.listing import listing
from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import (
    LIVE_STATES,
    MEETING_COLUMNS,
    STATES,
    event_from,
    literals,
    meeting_from,
    sql,
    storable_json,
)
from usher.domain.lifecycle import HAS_WORKLOAD, MISSABLE, Effect
from usher.domain.meeting import Platform
from usher.domain.policy import Policy
from usher.domain.reconcile import Standing, Watchlist, WorkloadName
from usher.ports import Change, Created, Json, Lane, Meeting, MeetingEvent, NewMeeting, Page, Void

_FIND = sql("SELECT <columns> FROM meetings m WHERE m.id = $1", columns=MEETING_COLUMNS)

_FIND_BY_CONNECTION = sql(
    """
SELECT <columns> FROM meetings m WHERE m.id = coalesce(
    (SELECT c.id FROM meetings c WHERE c.connection_id = $1),
    (SELECT f.meeting_id FROM former_connections f WHERE f.connection_id = $1))
""",
    columns=MEETING_COLUMNS,
)

_FIND_LATEST = sql(
    """
SELECT <columns> FROM meetings m
WHERE m.user_id = $1 AND m.platform = $2 AND m.platform_specific_id = $3 AND m.redacted_at IS NULL
ORDER BY m.id DESC LIMIT 1
""",
    columns=MEETING_COLUMNS,
)

_EVENTS = """
SELECT version, event, from_state, to_state, reported_by, attempt, reason, detail, created_at
FROM meeting_events WHERE meeting_id = $1 ORDER BY version
"""

# A bot may be called silent only where somebody listens, and has for a whole lease: see `usher.ports.Leases.attend`.
# Meetings that stand alike come as one row of arrays, which the driver reads without running Python code for each.
_WATCHED = sql(
    """
WITH listening AS MATERIALIZED (
    SELECT FROM attendance a
    WHERE a.seen_at > now() - make_interval(secs => $1) AND a.since <= now() - make_interval(secs => $2)
)
SELECT m.status, coalesce(m.deadline_at <= now(), false), l.meeting_id IS NOT NULL,
    coalesce(m.status IN (<missable>) AND m.join_at <= now() - make_interval(secs => $3), false),
    array_agg(m.id), array_agg(m.attempt), array_agg(m.version)
FROM meetings m LEFT JOIN leases l ON l.meeting_id = m.id AND l.attempt = m.attempt
    AND l.expires_at <= now() AND EXISTS (SELECT FROM listening)
WHERE m.status IN (<live>)
GROUP BY 1, 2, 3, 4
""",
    live=LIVE_STATES,
    missable=literals(MISSABLE),
)

_ATTEMPT_OF = """
SELECT attempt FROM meetings WHERE connection_id = $1
UNION ALL SELECT attempt FROM former_connections WHERE connection_id = $1
"""

# The end of a workload is owed until the launcher has confirmed it. Only the last visits are looked at: an earlier one
# was ended before they began.
_VACATED = sql(
    """
SELECT NOT EXISTS (
    SELECT FROM (
        SELECT e.id FROM meetings m JOIN meetings e
            ON e.user_id = m.user_id AND e.platform = m.platform
            AND e.platform_specific_id = m.platform_specific_id AND e.id < m.id
        WHERE m.id = $1 ORDER BY e.id DESC LIMIT 10
    ) AS earlier
    JOIN outbox o ON o.meeting_id = earlier.id AND o.lane = '<lane>' AND o.effect = '<effect>' AND o.buried_at IS NULL)
""",
    lane=Lane.WORKLOAD,
    effect=Effect.TERMINATE,
)

_BOTS = sql("SELECT connection_id, id FROM meetings WHERE status IN (<states>)", states=literals(HAS_WORKLOAD))

_MEETINGS_A_TURN = 5000
"""How many meetings are read before others get their turn: about 2 ms of work."""

_PUT_DATA = sql(
    """
UPDATE meetings m SET data = <merged>, updated_at = now() WHERE m.id = $1 AND m.redacted_at IS NULL RETURNING <columns>
""",
    columns=MEETING_COLUMNS,
)
_PUT = sql(_PUT_DATA, merged="m.data || $2")
_PUT_WHAT_IS_MISSING = sql(_PUT_DATA, merged="$2 || m.data")


class PostgresMeetings(Part):
    """See `usher.ports.Meetings`."""

    async def create(self, new: NewMeeting) -> Created:
        """Write a meeting and all that belongs to it, in one statement."""
        return await write_meeting(self._database, new)

    async def change(self, change: Change) -> Meeting | Void:
        """Write a decision and all that belongs to it, in one statement."""
        return await write_change(self._database, change)

    async def find(self, meeting_id: int) -> Meeting | None:
        """Return the meeting."""
        row = await self._database.row(_FIND, meeting_id)
        return None if row is None else meeting_from(row)

    async def find_by_connection(self, connection_id: str) -> Meeting | None:
        """Return the meeting that has or had this connection."""
        row = await self._database.row(_FIND_BY_CONNECTION, connection_id)
        return None if row is None else meeting_from(row)

    async def find_latest(self, user_id: int, platform: Platform, native_id: str) -> Meeting | None:
        """Return the user's newest visit to that call."""
        row = await self._database.row(_FIND_LATEST, user_id, platform, native_id)
        return None if row is None else meeting_from(row)

    async def list_of_user(self, user_id: int, page: Page) -> Sequence[Meeting]:
        """List a user's meetings, newest first."""
        statement, arguments = listing(user_id, page)
        return [meeting_from(row) for row in await self._database.rows(statement, *arguments)]

    async def list_of_all(self, page: Page) -> Sequence[Meeting]:
        """List everybody's meetings, the highest id first."""
        statement, arguments = listing(None, page)
        return [meeting_from(row) for row in await self._database.rows(statement, *arguments)]

    async def events(self, meeting_id: int) -> Sequence[MeetingEvent]:
        """Return a meeting's history, oldest first."""
        return [event_from(row) for row in await self._database.rows(_EVENTS, meeting_id)]

    async def attempt_of(self, connection_id: str) -> int | None:
        """Return the attempt that has or had this connection."""
        attempt: int | None = await self._database.value(_ATTEMPT_OF, connection_id)
        return attempt

    async def is_vacated(self, meeting_id: int) -> bool:
        """Say whether no earlier visit to the same call is still being ended."""
        return await self._database.value(_VACATED, meeting_id) is True

    async def bots(self) -> Mapping[str, int]:
        """Return the meeting of each connection that may have a workload."""
        return {row["connection_id"]: row["id"] for row in await self._database.rows(_BOTS)}

    async def watched(self, policy: Policy) -> Watchlist:
        """Return every meeting that is not over."""
        rows = await self._database.rows(_WATCHED, policy.silence_s, policy.lease_s, policy.missed_after_s)
        standings = {}
        for status, deadline_passed, lease_expired, missed, ids, attempts, versions in rows:
            members: dict[WorkloadName, int] = {}
            for first in range(0, len(ids), _MEETINGS_A_TURN):
                turn = slice(first, first + _MEETINGS_A_TURN)
                members.update(zip(map(WorkloadName, ids[turn], attempts[turn]), versions[turn], strict=True))
                await asyncio.sleep(0)
            standings[Standing(STATES[status], deadline_passed, lease_expired, missed)] = members
        return Watchlist(standings)

    async def put_data(self, meeting_id: int, data: Json, *, keep: bool = False) -> Meeting | None:
        """Merge `data` into the meeting's data."""
        statement = _PUT_WHAT_IS_MISSING if keep else _PUT
        row = await self._database.row(statement, meeting_id, storable_json(data))
        return None if row is None else meeting_from(row)
