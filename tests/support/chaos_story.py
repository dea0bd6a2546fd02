"""What happened, for whoever has to find out why a story did not end well."""

from collections.abc import Iterator

import asyncpg
from tests.support.chaos_diaries import read_diaries
from tests.support.chaos_world import World

_EVENTS = """
SELECT meeting_id, version, created_at, from_state, event, to_state, reported_by, attempt, reason, detail
FROM meeting_events ORDER BY meeting_id, version
"""
_OWED = """
SELECT meeting_id, effect, attempt, tries, due_at - now() AS due_in, claimed_until - now() AS claimed_for,
    buried_at, error
FROM outbox ORDER BY id
"""
_DULL = ("said", "confirmed")
_LOG_LINES = 40
_LONGEST_LINE = 400


async def tell(world: World) -> str:
    """Return the histories of all meetings, what is owed, and the ends of all logs and diaries."""
    return "\n".join([*await _histories(world), *_logs(world), *_diaries(world)])


async def _histories(world: World) -> list[str]:
    try:
        events = await world.pool.fetch(_EVENTS)
        owed = await world.pool.fetch(_OWED)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [f"(the database cannot tell: {error!r})"]
    return [
        "── histories",
        *(
            f"{at:%H:%M:%S.%f} meeting {meeting_id} v{version}: {from_state} --{event}--> {to_state} by {by},"
            f" attempt {attempt}, {reason} {detail}"
            for meeting_id, version, at, from_state, event, to_state, by, attempt, reason, detail in events
        ),
        "── owed",
        *(str(dict(row)) for row in owed),
    ]


def _logs(world: World) -> Iterator[str]:
    for manager in world.managers:
        yield f"── {manager.name} (exit code {manager.code})"
        lines = manager.log.read_text(errors="replace").splitlines() if manager.log.exists() else []
        yield from (line[:_LONGEST_LINE] for line in lines[-_LOG_LINES:])


def _diaries(world: World) -> Iterator[str]:
    for diary in read_diaries(world.diaries):
        yield f"── bot of meeting {diary.meeting_id}, attempt {diary.attempt}"
        for event in _DULL:
            yield f"({len(list(diary.lines(event)))} segments {event})"
        told = [entry for entry in diary.entries if entry["event"] not in _DULL]
        yield from (str(entry)[:_LONGEST_LINE] for entry in told[-_LOG_LINES:])
