"""Changing a meeting: one statement that writes all of a decision or nothing, and a second one that says why not."""

from usher.adapters.postgres.commands import ACKNOWLEDGED
from usher.adapters.postgres.creation import notice_rows, owed_rows
from usher.adapters.postgres.pool import Database
from usher.adapters.postgres.rows import MEETING_COLUMNS, NO_STATE, meeting_from, sql, storable
from usher.domain.lifecycle import IN_MEETING, TERMINAL
from usher.domain.notices import notices_of
from usher.ports import EXPIRED, RECONFIGURE, Acknowledgement, Change, Meeting, Seat, Void

# Every part of one statement sees the same snapshot, and a part that has written cannot be taken back by a later
# one. So the gates (claim, seat) only lock, the compare-and-set on the version decides, and all that is written is
# written from its result. Locks are taken in the order claim, user, meeting.
_CHANGE = """
WITH <gates>m AS (
    UPDATE meetings AS m SET <assignments>
    <from>WHERE m.id = $1 AND m.version = $2
    RETURNING <columns>
), event AS (
    INSERT INTO meeting_events
        (meeting_id, version, event, from_state, to_state, reported_by, attempt, reason, detail)
    SELECT m.id, m.version, $4::text, $5::text, m.status, $6::text, m.attempt, $7::text, $8::text FROM m
)<writes>
SELECT <columns> FROM m
"""

_CLAIM = """claim AS MATERIALIZED (
    SELECT o.id FROM outbox o
    WHERE o.id = <id> AND o.meeting_id = $1 AND o.claim_token = <token> AND o.claimed_until > now()
    FOR UPDATE
), """
_COMPLETE = """, completed AS (
    DELETE FROM outbox o USING m WHERE o.id = <id>
)"""

_SEAT = """seat AS MATERIALIZED (
    SELECT u.id FROM users u
    WHERE u.id = (SELECT held.user_id FROM meetings held WHERE held.id = $1)<room>
    FOR NO KEY UPDATE
), """
_ROOM = " AND u.active_bots < u.max_concurrent_bots"
_COUNT = """, counted AS (
    UPDATE users u SET active_bots = u.active_bots <step> FROM m WHERE u.id = m.user_id
)"""
_STEPS = {Seat.TAKE: "+ 1", Seat.RELEASE: "- 1"}

_COMMAND = """, command AS (
    INSERT INTO commands (meeting_id, seq, connection_id, action, language, task)
    SELECT m.id, m.command_seq, m.connection_id, <action>, m.desired_language, m.desired_task FROM m
)"""

_FORMER = """, former AS (
    INSERT INTO former_connections (connection_id, meeting_id, attempt)
    SELECT old.connection_id, old.id, old.attempt FROM m JOIN meetings old ON old.id = m.id
)"""

_UNLEASE = """, unleased AS (
    DELETE FROM leases l USING m WHERE l.meeting_id = m.id
)"""

_EXPIRE = sql(
    """, expired AS (
    UPDATE commands c SET outcome = '<expired>', acknowledged_at = now() FROM m
    WHERE c.meeting_id = m.id AND c.acknowledged_at IS NULL<which>
)""",
    expired=EXPIRED,
)
_CHANGES = f" AND c.action = '{RECONFIGURE}'"

_WHY_NOT = """
SELECT
    (SELECT m.version FROM meetings m WHERE m.id = $1) AS version,
    EXISTS (
        SELECT FROM outbox o
        WHERE o.id = $2 AND o.meeting_id = $1 AND o.claim_token = $3 AND o.claimed_until > now()
    ) AS claimed
"""


class _Arguments(list[object]):
    """The arguments of a statement as it is put together."""

    def put(self, value: object, kind: str) -> str:
        """Add an argument and return its place in the SQL."""
        self.append(value)
        return f"${len(self)}::{kind}"


async def write_change(database: Database, wanted: Change) -> Meeting | Void:
    """See `usher.ports.Meetings.change`."""
    statement, arguments = _statement(wanted)
    row = await database.row(statement, *arguments)
    return await _why_not(database, wanted) if row is None else meeting_from(row)


async def _why_not(database: Database, wanted: Change) -> Void:
    claim = wanted.claim
    row = await database.row(
        _WHY_NOT,
        wanted.meeting_id,
        None if claim is None else claim.effect_id,
        None if claim is None else claim.token,
    )
    if claim is not None and not (row and row["claimed"]):
        return Void.CLAIM_LOST
    if wanted.seat is Seat.TAKE and row and row["version"] == wanted.expected_version:
        return Void.NO_SEAT
    return Void.STALE


def _statement(wanted: Change) -> tuple[str, _Arguments]:
    row = wanted.transition
    arguments = _Arguments(
        (
            wanted.meeting_id,
            wanted.expected_version,
            row.to_state,
            row.event,
            row.from_state or NO_STATE,
            wanted.by,
            wanted.reason,
            storable(wanted.detail),
        )
    )
    assignments = _assignments(wanted, arguments)
    gates, sources, writes = _gates(wanted, arguments)
    writes += _writes(wanted, arguments)
    text = sql(
        _CHANGE,
        gates=gates,
        assignments=", ".join(assignments),
        columns=MEETING_COLUMNS,
        writes=writes,
        **{"from": f"FROM {', '.join(sources)} " if sources else ""},
    )
    return text, arguments


def _assignments(wanted: Change, arguments: _Arguments) -> list[str]:
    """Return what is assigned to the row; the right sides see the row as it was."""
    to_state = wanted.transition.to_state
    parts = [
        "status = $3",
        "version = m.version + 1",
        "updated_at = now()",
        f"stop_requested = {arguments.put(wanted.stop_requested, 'boolean')}",
        f"deadline_at = {_deadline(wanted, arguments)}",
    ]
    if wanted.clear_reason or wanted.reason is not None:
        parts += ["reason = $7"]
    if wanted.clear_reason or wanted.failure_stage is not None:
        parts += [f"failure_stage = {arguments.put(wanted.failure_stage, 'text')}"]
        parts += ["failure_detail = " + ("NULL" if wanted.failure_stage is None else "nullif($8, '')")]
    if to_state in IN_MEETING:
        parts += ["start_time = coalesce(m.start_time, now())"]
    if to_state in TERMINAL:
        parts += ["end_time = now()"]
    if wanted.next_connection_id is not None:
        parts += ["attempt = m.attempt + 1", f"connection_id = {arguments.put(wanted.next_connection_id, 'text')}"]
    if wanted.workload is not None:
        parts += [f"bot_container_id = {arguments.put(wanted.workload, 'text')}"]
    if wanted.command is not None:
        parts += ["command_seq = m.command_seq + 1"]
    if wanted.command == RECONFIGURE:
        parts += ["configuration_seq = m.command_seq + 1"]
    return parts + _configurations(wanted, arguments)


def _deadline(wanted: Change, arguments: _Arguments) -> str:
    if wanted.deadline_stays:
        return "m.deadline_at"
    if wanted.deadline_s is None:
        return "NULL"
    started = "coalesce(m.start_time, now())"
    start = started if wanted.deadline_from_start else "now()"
    deadline = f"{start} + make_interval(secs => {arguments.put(wanted.deadline_s, 'float8')})"
    if wanted.deadline_cap_s is None:
        return deadline
    return f"least({deadline}, {started} + make_interval(secs => {arguments.put(wanted.deadline_cap_s, 'float8')}))"


def _configurations(wanted: Change, arguments: _Arguments) -> list[str]:
    language, task, parts = "m.desired_language", "m.desired_task", []
    if wanted.desired_configuration is not None:
        language = arguments.put(wanted.desired_configuration.language, "text")
        task = arguments.put(wanted.desired_configuration.task, "text")
        parts += [f"desired_language = {language}", f"desired_task = {task}"]
    elif wanted.drop_configuration:
        parts += ["desired_language = m.language", "desired_task = m.task"]
    if wanted.adopt_configuration:
        parts += [f"language = {language}", f"task = {task}"]
    return parts


def _gates(wanted: Change, arguments: _Arguments) -> tuple[str, list[str], str]:
    """Return the parts that lock before the row changes, their names, and the parts that write afterwards."""
    gates, sources, writes = "", [], ""
    if wanted.claim is not None:
        effect_id = arguments.put(wanted.claim.effect_id, "bigint")
        gates += sql(_CLAIM, id=effect_id, token=arguments.put(wanted.claim.token, "text"))
        sources.append("claim")
        writes += sql(_COMPLETE, id=effect_id)
    if wanted.seat is not Seat.KEEP:
        gates += sql(_SEAT, room=_ROOM if wanted.seat is Seat.TAKE else "")
        sources.append("seat")
        writes += sql(_COUNT, step=_STEPS[wanted.seat])
    return gates, sources, writes


def _writes(wanted: Change, arguments: _Arguments) -> str:
    writes = ""
    if wanted.command is not None:
        writes += sql(_COMMAND, action=arguments.put(wanted.command, "text"))
    if wanted.acknowledgement is not None:
        writes += _acknowledge(wanted.acknowledgement, arguments)
    if wanted.expire_commands or wanted.expire_changes:
        writes += sql(_EXPIRE, which="" if wanted.expire_commands else _CHANGES)
    if wanted.next_connection_id is not None:
        writes += _FORMER
    if wanted.transition.to_state in TERMINAL:
        writes += _UNLEASE
    first = len(arguments) + 1
    arguments += [owed.delay_s for owed in wanted.owed]
    effects = tuple(owed.effect for owed in wanted.owed)
    return writes + owed_rows(effects, first=first) + notice_rows(notices_of(wanted.transition))


def _acknowledge(said: Acknowledgement, arguments: _Arguments) -> str:
    return ", " + sql(
        ACKNOWLEDGED,
        source="FROM m",
        connection="m.connection_id",
        seq=arguments.put(said.seq, "integer"),
        outcome=arguments.put(said.outcome, "text"),
        detail=arguments.put(storable(said.detail), "text"),
    )
