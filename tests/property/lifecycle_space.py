"""Every place that a meeting can come to, found by walking: the ground of the exhaustive tests."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from usher.domain.lifecycle import (
    ENDING,
    HELPABLE,
    IN_MEETING,
    WAITING,
    Applied,
    Decision,
    Event,
    Reason,
    Snapshot,
    Source,
    State,
    Transition,
    after_clean_up,
    created_by,
    decide,
    exit_event,
    reason_of,
)

MAX_ATTEMPTS = 3
AGES = (-1, 0, 1)
"""Older, current and newer attempt."""

BIRTHS = (Event.SCHEDULED, Event.REQUESTED)
CONCLUSIONS = frozenset({Event.RETRY_GRANTED, Event.STOP_FINISHED, Event.GAVE_UP})
"""What a dispatcher may conclude after clean-up."""

EXITS = frozenset({Event.LEFT, Event.NOT_ADMITTED, Event.CRASHED})
_REASONS: Mapping[Event, Iterable[Reason | None]] = {
    **dict.fromkeys(EXITS | {Event.LAUNCH_FAILED}, (None, *Reason)),
    Event.HELP_WANTED: (None, *HELPABLE),
}


@dataclass(frozen=True, slots=True)
class Place:
    """What of a meeting decides its future.

    Attributes:
        reason: Why its attempt, or it itself, ended or is ending.
        admitted: Whether a bot was ever in the meeting.
    """

    snapshot: Snapshot
    reason: Reason | None
    admitted: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A report.

    Attributes:
        age: How many launches the attempt that it is about is from the current one; below 0 for older ones.
        reason: Why, if the reporter says so.
    """

    event: Event
    by: Source
    age: int = 0
    reason: Reason | None = None


def answer(place: Place, said: Said) -> Decision:
    """Return what is decided about a report."""
    return decide(place.snapshot, said.event, said.by, place.snapshot.attempt + said.age)


def beyond(place: Place, row: Transition, reason: Reason | None) -> Place:
    """Return where a row of the table leads to. `test_lifecycle_door.py` holds this to what is really written."""
    before = place.snapshot
    retry = row.event is Event.RETRY_GRANTED
    told = reason_of(row.event, before.status, reason, waits_for=before.waits_for)
    if before.stop_requested and row.event is not Event.DEADLINE_PASSED:
        told = None
    stop = before.stop_requested or row.event is Event.STOP_REQUESTED or row.to_state in ENDING
    forgets = retry or (before.waits_for is not None and told is None)
    reason = None if forgets else told or place.reason
    waits_for = reason if row.to_state in WAITING else None
    return Place(
        Snapshot(row.to_state, before.attempt + retry, stop, waits_for),
        reason,
        place.admitted or row.to_state in IN_MEETING,
    )


def everything_said() -> Iterator[Said]:
    """Yield whatever anybody may say, sensible or not."""
    for event, by, age in itertools.product(Event, Source, AGES):
        for reason in _REASONS.get(event, (None,)):
            yield Said(event, by, age, reason)


def is_said(place: Place, said: Said) -> bool:
    """Say whether a report can come up at all: some events are chosen by functions, from the place itself."""
    if said.event in CONCLUSIONS:
        return said.event is after_clean_up(place.snapshot, place.reason, max_attempts=MAX_ATTEMPTS)
    if said.by is Source.BOT and said.event in EXITS:
        return any(exit_event(place.snapshot, code, said.reason) is said.event for code in (0, 1))
    return True


def steps(place: Place) -> Iterator[tuple[Said, Place]]:
    """Yield every report that moves a meeting at `place`, and where to."""
    for said in everything_said():
        decision = answer(place, said)
        if isinstance(decision, Applied) and is_said(place, said):
            yield said, beyond(place, decision.transition, said.reason)


@cache
def space() -> Mapping[Place, tuple[tuple[Said, Place], ...]]:
    """Return every place that can be reached, breadth first, with all steps from it."""
    todo = [Place(Snapshot(created_by(event).to_state, 1), None, False) for event in BIRTHS]
    found: dict[Place, tuple[tuple[Said, Place], ...]] = {}
    while todo:
        place = todo.pop(0)
        if place not in found:
            found[place] = tuple(steps(place))
            todo += [there for _, there in found[place]]
    return found


def at(*states: State) -> list[Place]:
    """Return the reachable places in some states."""
    return [place for place in space() if place.snapshot.status in states]
