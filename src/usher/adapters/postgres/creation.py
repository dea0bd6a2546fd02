"""Creating a meeting: one statement that writes all of it or nothing, and a second one that says why not."""

from functools import lru_cache

import asyncpg

from usher.adapters.postgres.pool import Connection, Database, Row
from usher.adapters.postgres.rows import LIVE_STATES, MEETING_COLUMNS, NO_STATE, meeting_from, sql
from usher.domain.errors import Conflict, Invalid, LimitReached, NotFound, Unavailable
from usher.domain.lifecycle import COUNTED, Effect, Source
from usher.domain.notices import NoticeType, notices_of
from usher.ports import LANES, Created, Lane, Meeting, NewMeeting

_LOCK = "SELECT FROM users u WHERE u.id = $1 FOR NO KEY UPDATE"
_RACES = {"meetings_live_key", "idempotency_keys_pkey"}

# The seat is taken before the meeting is inserted. A change that releases one locks in the same order, so a create
# that waits at the unique index for such a change to end never holds what the change waits for.
_SEAT = """
    UPDATE users u SET active_bots = u.active_bots + 1
    WHERE u.id = $1 AND u.active_bots < u.max_concurrent_bots AND <free>
    RETURNING u.id"""

_NO_SEAT_NEEDED = """
    SELECT u.id FROM users u WHERE u.id = $1 AND <free>"""

_FREE = """NOT EXISTS (
        SELECT FROM meetings l
        WHERE l.user_id = $1 AND l.platform = $2 AND l.platform_specific_id = $3 AND l.status IN (<live>))"""

_KEY_FREE = """ AND NOT EXISTS (
        SELECT FROM idempotency_keys k WHERE k.user_id = $1 AND k.key = $16)"""

_CREATE = """
WITH seat AS (<seat>
), m AS (
    INSERT INTO meetings AS m (
        user_id, platform, platform_specific_id, meeting_url, bot_name, status, connection_id,
        language, task, desired_language, desired_task, recording_enabled, join_at, deadline_at)
    SELECT seat.id, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $8::text, $9::text,
        $15::boolean, $10::timestamptz,
        coalesce($10::timestamptz - make_interval(secs => $11::float8), now() + make_interval(secs => $12::float8))
    FROM seat
    RETURNING m.id, m.user_id, m.status, m.version, m.attempt, m.deadline_at, m.created_at, m.updated_at
), event AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT m.id, m.version, $13::text, '<none>', m.status, $14::text, m.attempt FROM m
)<rest>
SELECT m.id, m.version, m.attempt, m.deadline_at, m.created_at, m.updated_at FROM m
"""

_KEY = """, key AS (
    INSERT INTO idempotency_keys (user_id, key, body_sha256, meeting_id)
    SELECT m.user_id, $16::text, $17::bytea, m.id FROM m
)"""

_WHY_NOT = sql(
    """
SELECT u.max_concurrent_bots, u.active_bots, k.body_sha256, k.meeting_id, (
        SELECT l.id FROM meetings l
        WHERE l.user_id = u.id AND l.platform = $2 AND l.platform_specific_id = $3 AND l.status IN (<live>)
    ) AS live_id
FROM users u LEFT JOIN idempotency_keys k ON k.user_id = u.id AND k.key = $4
WHERE u.id = $1
""",
    live=LIVE_STATES,
)

_FIND = sql("SELECT <columns> FROM meetings m WHERE m.id = $1", columns=MEETING_COLUMNS)


async def write_meeting(database: Database, new: NewMeeting) -> Created:
    """See `usher.ports.Meetings.create`."""
    for attempt in (_attempt, _attempt_locked, _attempt_locked, _attempt_locked):
        async with database.connection() as connection:
            try:
                created = await attempt(connection, new)
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name not in _RACES:
                    raise
                created = None  # another create committed while this one was under way
        if created is not None:
            return created
    raise Unavailable("The meeting's place is changing too fast.")


async def _attempt(connection: Connection, new: NewMeeting) -> Created | None:
    """Write the meeting, or say why not; None if what stood in the way is gone when it is looked for."""
    return await _write(connection, new) or await _explain(connection, new)


async def _attempt_locked(connection: Connection, new: NewMeeting) -> Created | None:
    """Do the same with the user's row held: no meeting that uses a seat of theirs begins or ends meanwhile."""
    async with connection.transaction():
        await connection.execute(_LOCK, new.user_id)
        return await _attempt(connection, new)


async def _write(connection: Connection, new: NewMeeting) -> Created | None:
    statement = _statement(
        new.transition.to_state in COUNTED,
        new.idempotency is not None,
        tuple(owed.effect for owed in new.owed),
        notices_of(new.transition),
    )
    key = () if new.idempotency is None else (new.idempotency.key, new.idempotency.body_sha256)
    row = await connection.fetchrow(
        statement,
        new.user_id,
        new.ref.platform,
        new.ref.native_id,
        new.ref.url,
        new.bot_name,
        new.transition.to_state,
        new.connection_id,
        new.configuration.language,
        new.configuration.task,
        new.join_at,
        new.lead_s,
        new.deadline_s,
        new.transition.event,
        Source.USER,
        new.recording_enabled,
        *key,
        *(owed.delay_s for owed in new.owed),
    )
    return None if row is None else Created(_made(new, row), replayed=False)


def _made(new: NewMeeting, row: Row) -> Meeting:
    """Put together what was asked for and what the database added: reading 25 columns back costs more than that."""
    meeting_id, version, attempt, deadline_at, created_at, updated_at = row
    return Meeting(
        meeting_id=meeting_id,
        user_id=new.user_id,
        ref=new.ref,
        bot_name=new.bot_name,
        status=new.transition.to_state,
        version=version,
        attempt=attempt,
        connection_id=new.connection_id,
        stop_requested=False,
        configuration=new.configuration,
        desired_configuration=new.configuration,
        reason=None,
        failure_stage=None,
        bot_container_id=None,
        deadline_at=deadline_at,
        join_at=new.join_at,
        start_time=None,
        end_time=None,
        created_at=created_at,
        updated_at=updated_at,
        data={},
        recording_enabled=new.recording_enabled,
    )


@lru_cache(maxsize=64)
def _statement(counted: bool, keyed: bool, effects: tuple[Effect, ...], told: tuple[NoticeType, ...]) -> str:
    """Write the statement for a shape of request; each shape is prepared once a connection."""
    rest = (_KEY if keyed else "") + owed_rows(effects, first=18 if keyed else 16) + notice_rows(told)
    return sql(
        sql(_CREATE, seat=_SEAT if counted else _NO_SEAT_NEEDED),
        free=_FREE + (_KEY_FREE if keyed else ""),
        live=LIVE_STATES,
        none=NO_STATE,
        rest=rest,
    )


_NOTICES = sql(
    """, notices AS (
    INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at, version, webhook_id, notice)
    SELECT m.id, m.attempt, '<lane>', '<effect>', now(), m.version, w.id, told.notice
    FROM m JOIN webhooks w ON w.owner_id = m.user_id AND w.enabled
    JOIN (VALUES <told>) AS told (notice) ON told.notice = ANY (w.events)
    ORDER BY w.id, told.notice
)""",
    lane=Lane.NOTIFY,
    effect=Effect.NOTIFY,
)


def notice_rows(told: tuple[NoticeType, ...]) -> str:
    """Return the part of a statement that owes the user's webhooks the word of the change, each what it has chosen."""
    return sql(_NOTICES, told=", ".join(f"('{notice}')" for notice in told))


def owed_rows(effects: tuple[Effect, ...], *, first: int) -> str:
    """Return the part of a statement that writes effects for the meeting `m`; their delays begin at `$first`."""
    if not effects:
        return ""
    values = ", ".join(
        f"('{LANES[effect]}', '{effect}', ${number}::float8)" for number, effect in enumerate(effects, first)
    )
    return sql(
        """, owed AS (
    INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at)
    SELECT m.id, m.attempt, o.lane, o.effect, now() + make_interval(secs => o.delay_s)
    FROM m, (VALUES <values>) AS o (lane, effect, delay_s)
)""",
        values=values,
    )


async def _explain(connection: Connection, new: NewMeeting) -> Created | None:
    """Say why nothing was written; None if nothing stands in the way any more."""
    key = new.idempotency
    row = await connection.fetchrow(
        _WHY_NOT, new.user_id, new.ref.platform, new.ref.native_id, None if key is None else key.key
    )
    if row is None:
        raise NotFound("unknown_user", f"There is no user {new.user_id}.")
    if key is not None and row["meeting_id"] is not None:
        if row["body_sha256"] != key.body_sha256:
            raise Invalid(
                "idempotency_key_reused", "This Idempotency-Key was used for another request. Choose a new one."
            )
        earlier = await connection.fetchrow(_FIND, row["meeting_id"])
        return None if earlier is None else Created(meeting_from(earlier), replayed=True)
    if row["live_id"] is not None:
        raise Conflict("already_there", f"Meeting {row['live_id']} is a visit to that call and is not over.")
    if new.transition.to_state in COUNTED and row["active_bots"] >= row["max_concurrent_bots"]:
        raise LimitReached(
            "max_concurrent_bots",
            f"The limit of {row['max_concurrent_bots']} concurrent bots is used up. Stop one of them first.",
        )
    return None
