"""What users were promised and bots have lived through, held against the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import asyncpg

from bench.fleet.diary import Page, Place
from bench.traffic import Ticket
from usher.domain.lifecycle import HAS_WORKLOAD, LIVE, TERMINAL, State

Row = Mapping[str, Any]
Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_IN_FLIGHT = """
SELECT clock_timestamp() AS at,
    (SELECT coalesce(json_object_agg(status, meetings), '{}') FROM (
        SELECT status, count(*) AS meetings FROM meetings WHERE status = ANY ($1::text[]) GROUP BY 1) AS s) AS live,
    (SELECT count(*) FROM outbox WHERE buried_at IS NULL AND due_at <= now()) AS effects,
    (SELECT count(*) FROM commands WHERE acknowledged_at IS NULL) AS commands
"""

# What was owed when the manager died; totals of a transcript are made when it is complete, and may take their time.
_OWED = """
SELECT
    (SELECT count(*) FROM outbox WHERE created_at <= $1 AND effect NOT IN ('terminate_after_grace', 'finish_meeting')
        AND buried_at IS NULL)
    + (SELECT count(*) FROM commands WHERE created_at <= $1 AND acknowledged_at IS NULL)
"""

_ROWS = """
SELECT m.connection_id, m.status,
    (SELECT count(*) FROM transcriptions t WHERE t.meeting_id = m.id) AS stored
FROM meetings m WHERE m.connection_id = ANY ($1::text[])
"""

_MEETINGS = """
SELECT m.id, m.platform_specific_id AS room, m.connection_id, m.status, m.reason, m.attempt,
    (SELECT count(*) FROM transcriptions t WHERE t.meeting_id = m.id) AS stored
FROM meetings m
"""

_COMMANDS = "SELECT meeting_id, connection_id, seq, action, outcome FROM commands"

_SEATS = "SELECT coalesce(sum(active_bots), 0) FROM users"

_LIVE_WORKLOADS = """
SELECT 'usher-' || id || '-' || attempt AS name FROM meetings WHERE status = ANY ($1::text[])
"""

_FAR = (Place.LAUNCHED, Place.JOINING, Place.LOBBY, Place.MEETING)
_FAR_OF_STATE = {
    State.REQUESTED: -1,
    State.STARTING: 0,
    State.JOINING: 1,
    State.AWAITING_ADMISSION: 2,
    State.ACTIVE: 3,
    State.RECONFIGURING: 3,
    State.STOPPING: 3,
    **dict.fromkeys(TERMINAL, 4),
}


@dataclass(frozen=True, slots=True)
class Violations:
    """How often something did not hold that always has to.

    Attributes:
        lost_meetings: Accepted by the API, and not in the database, or not over although stopped.
        lost_commands: Accepted, and neither executed by their bot nor reported as expired.
        lost_segments: Heard by a bot, and not in the database.
        doubled_meetings: Second meetings of one request.
        doubled_workloads: Bots that were launched beside another one in the same room.
        doubled_commands: Executed again.
        orphaned_workloads: Running, and no meeting asks for them.
        disturbed: Meetings of bots that were well and that ended by themselves, or began anew.
        lost_seats: Bots that users are counted to have, and do not.
    """

    lost_meetings: int = 0
    lost_commands: int = 0
    lost_segments: int = 0
    doubled_meetings: int = 0
    doubled_workloads: int = 0
    doubled_commands: int = 0
    orphaned_workloads: int = 0
    disturbed: int = 0
    lost_seats: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, one.name) for one in fields(self))

    def lines(self) -> list[str]:
        """Say it for people."""
        return [f"{one.name.replace('_', ' '):20}{getattr(self, one.name):8}" for one in fields(self)]


async def in_flight(database: Database) -> Row:
    """Return what is under way (`live` by state as JSON, `effects`, `commands`), and when (`at`, database's clock)."""
    row = await database.fetchrow(_IN_FLIGHT, sorted(LIVE))
    if row is None:
        raise RuntimeError("a SELECT without FROM returned nothing")
    return dict(row)


async def unsettled(database: Database, at: object, bots: Sequence[Page], running: Sequence[str]) -> int:
    """Count what has not come to rest of all that was under way when a manager died.

    Args:
        database: A connection to it.
        at: When it died, by the database's clock.
        bots: What the bots were doing then.
        running: Workloads that run now.
    """
    owed: int = await database.fetchval(_OWED, at)
    rows = {
        row["connection_id"]: dict(row) for row in await database.fetch(_ROWS, [bot["connection_id"] for bot in bots])
    }
    behind = sum(_is_behind(bot, rows.get(bot["connection_id"])) for bot in bots)
    asked_for = {row["name"] for row in await database.fetch(_LIVE_WORKLOADS, sorted(HAS_WORKLOAD))}
    return owed + behind + len(set(running) - asked_for)


def _is_behind(bot: Page, row: Row | None) -> bool:
    """Say whether the database knows less of a bot than the bot itself did."""
    if row is None:
        return True
    place = Place(bot["place"])
    reached = _FAR_OF_STATE.get(State(row["status"]), 0)
    return bool(row["stored"] < bot["spoken"] or (place in _FAR and reached < _FAR.index(place)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known after every bot was stopped and has had the time to end.

    Attributes:
        meetings: Rows of the database: id, room, connection_id, status, reason, attempt, stored (number of segments).
        commands: Rows of the database: meeting_id, connection_id, seq, action.
        seats: How many bots users are counted to have.
        tickets: What users were promised.
        bots: What bots have lived through.
        running: Workloads that run.
        doubled: Workloads that began beside another one in the same room.
    """

    meetings: Sequence[Row]
    commands: Sequence[Row]
    seats: int
    tickets: Sequence[Ticket]
    bots: Sequence[Page]
    running: Sequence[str]
    doubled: Sequence[str]


async def gather(database: Database, tickets: Sequence[Ticket], report: Mapping[str, Any]) -> Evidence:
    """Read the database, beside a fleet's report."""
    return Evidence(
        meetings=[dict(row) for row in await database.fetch(_MEETINGS)],
        commands=[dict(row) for row in await database.fetch(_COMMANDS)],
        seats=await database.fetchval(_SEATS),
        tickets=tickets,
        bots=report["bots"],
        running=report["running"],
        doubled=report["doubled"],
    )


def judge(known: Evidence) -> Violations:
    """Count violations."""
    accepted = [ticket for ticket in known.tickets if ticket.meeting_id is not None]
    over = {row["id"] for row in known.meetings if row["status"] in TERMINAL}
    stored = {row["id"]: row["stored"] for row in known.meetings}
    reconfigured = Counter(row["meeting_id"] for row in known.commands if row["action"] == "reconfigure")
    executed = Counter((bot["connection_id"], seq) for bot in known.bots for seq, _ in bot["executed"])
    expired = {(row["connection_id"], row["seq"]) for row in known.commands if row["outcome"] == "expired"}
    unexecuted = {(row["connection_id"], row["seq"]) for row in known.commands} - executed.keys()
    unwritten = sum(max(0, ticket.configured - reconfigured[ticket.meeting_id]) for ticket in accepted)
    return Violations(
        lost_meetings=sum(ticket.meeting_id not in over for ticket in accepted),
        lost_commands=unwritten + len(unexecuted - expired),
        lost_segments=sum(max(0, bot["spoken"] - stored.get(bot["meeting_id"], 0)) for bot in known.bots),
        doubled_meetings=sum(count - 1 for count in Counter(row["room"] for row in known.meetings).values()),
        doubled_workloads=len(known.doubled),
        doubled_commands=sum(count - 1 for count in executed.values()),
        orphaned_workloads=len(known.running),
        disturbed=sum(row["reason"] != "stopped" or row["attempt"] != 1 for row in known.meetings),
        lost_seats=known.seats,
    )
