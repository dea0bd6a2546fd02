"""Rows to values, and the pieces of SQL that come from the lifecycle table."""

from collections.abc import Iterable, Mapping
from typing import Any

from usher.adapters.postgres.pool import Row
from usher.domain.lifecycle import LIVE, Event, Reason, Source, State
from usher.domain.meeting import MeetingRef, Platform
from usher.ports import Configuration, Meeting, MeetingEvent, User

NO_STATE = "none"
"""What stands in `from_state` of the event that creates a meeting: a key with a NULL in it would not be checked."""

STATES = {state.value: state for state in State}
"""States by name; reading thousands of rows, this is a good deal quicker than `State(name)`."""


def literals(states: frozenset[State]) -> str:
    """Return states for `status IN (…)`. Literals, because the planner has to see that a partial index covers them."""
    return ", ".join(f"'{state}'" for state in sorted(states))


LIVE_STATES = literals(LIVE)

MEETING_COLUMNS = (
    "m.id, m.user_id, m.platform, m.platform_specific_id, m.meeting_url, m.bot_name, m.status, m.version, m.attempt, "
    "m.connection_id, m.stop_requested, m.language, m.task, m.desired_language, m.desired_task, m.reason, "
    "m.failure_stage, m.bot_container_id, m.deadline_at, m.join_at, m.start_time, m.end_time, m.created_at, "
    "m.updated_at, m.data, m.command_seq, m.configuration_seq, m.failure_detail, "
    "m.recording_enabled, m.redacted_at"
)
"""What `meeting_from` reads, in its order, of a table called `m`."""


def sql(text: str, **pieces: str) -> str:
    """Fill the places `<name>` of an SQL text with constant pieces of SQL, never with values."""
    for name, piece in pieces.items():
        text = text.replace(f"<{name}>", piece)
    return text


LOCK_CURRENT = sql(
    "SELECT m.id, m.attempt FROM meetings m WHERE m.connection_id = $1 AND m.status IN (<live>) FOR NO KEY UPDATE",
    live=LIVE_STATES,
)
"""Finds the meeting whose current attempt has a connection, if it is not over, and holds it as it is."""


def storable(text: str) -> str:
    """Return `text` without NUL characters, which PostgreSQL does not store."""
    return text.replace("\x00", "")


def storable_json(value: object) -> object:
    """Return a JSON value without NUL characters, which `jsonb` does not store."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): storable_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(each) for each in value]
    return value


def meeting_from(row: Row) -> Meeting:
    """Read a row of `MEETING_COLUMNS`."""
    (
        meeting_id,
        user_id,
        platform,
        native_id,
        url,
        bot_name,
        status,
        version,
        attempt,
        connection_id,
        stop_requested,
        language,
        task,
        desired_language,
        desired_task,
        reason,
        failure_stage,
        *rest,
    ) = row
    return Meeting(
        meeting_id,
        user_id,
        MeetingRef(Platform(platform), native_id, url),
        bot_name,
        STATES[status],
        version,
        attempt,
        connection_id,
        stop_requested,
        Configuration(language, task),
        Configuration(desired_language, desired_task),
        Reason(reason) if reason is not None else None,
        State(failure_stage) if failure_stage is not None else None,
        *rest,
    )


def event_from(row: Row) -> MeetingEvent:
    """Read a row of `meeting_events`."""
    reason, from_state = row["reason"], row["from_state"]
    return MeetingEvent(
        version=row["version"],
        event=Event(row["event"]),
        from_state=None if from_state == NO_STATE else State(from_state),
        to_state=State(row["to_state"]),
        by=Source(row["reported_by"]),
        attempt=row["attempt"],
        reason=Reason(reason) if reason is not None else None,
        detail=row["detail"],
        at=row["created_at"],
    )


USER_COLUMNS = "u.id, u.email, u.name, u.max_concurrent_bots, u.created_at, u.data"
"""What `user_from` reads, in its order, of a table called `u`."""


def user_from(row: Iterable[Any]) -> User:
    """Read a row of `USER_COLUMNS`."""
    return User(*row)
