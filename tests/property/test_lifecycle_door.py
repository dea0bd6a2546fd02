"""The one door over every reachable place: what is written is what was decided, all of it, once, or nothing."""

import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog
from tests.property.lifecycle_space import (
    AGES,
    MAX_ATTEMPTS,
    Place,
    Said,
    answer,
    beyond,
    everything_said,
    is_said,
    space,
)

from usher.adapters.memory.redis import MemoryFeed
from usher.adapters.memory.store import MemoryStore
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.lifecycle import COUNTED, TERMINAL, Applied, Event, Ignored, Reason, Refused
from usher.domain.lifecycle import created_by as creating
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.policy import Policy
from usher.ports import Configuration, Meeting, NewMeeting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REASONS = (None, Reason.EVICTED, Reason.CRASHED)
"""One reason that lasts and one that passes; `test_lifecycle_space.py` asks about all of them."""


class Stage(MemoryStore):
    """A store with one meeting that can be put anywhere."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)

    async def begin(self) -> Meeting:
        """Create the meeting."""
        user = await self.create_user("ann@example.com", name=None, max_concurrent_bots=1)
        ref = MeetingRef(Platform.ROOM, "weekly-sync", "https://usher.example/room/weekly-sync")
        row = creating(Event.REQUESTED)
        connection_id = str(uuid.uuid4())
        new = NewMeeting(user.user_id, ref, "Usher", Configuration("en"), connection_id, row, (), 900.0)
        return (await self.create(new)).meeting

    def put(self, meeting: Meeting, place: Place) -> Meeting:
        """Put the meeting at a place: its first version, with an empty outbox."""
        there = replace(
            meeting,
            status=place.snapshot.status,
            attempt=place.snapshot.attempt,
            stop_requested=place.snapshot.stop_requested,
            reason=place.reason,
            start_time=NOW if place.admitted else None,
            end_time=NOW if place.snapshot.status in TERMINAL else None,
        )
        tables = self._tables
        tables.meetings[meeting.meeting_id] = there
        tables.events[meeting.meeting_id] = tables.events[meeting.meeting_id][:1]
        tables.active_bots[meeting.user_id] = int(place.snapshot.status in COUNTED)
        tables.outbox.clear()
        tables.commands.clear()
        return there

    def owed(self) -> list[str]:
        """Return the effects in the outbox, in order."""
        return [row.effect for row in self._tables.outbox.values()]

    def seats(self, meeting: Meeting) -> int:
        """Return how many seats the user holds."""
        return self._tables.active_bots[meeting.user_id]


@pytest.fixture(autouse=True)
def _without_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


async def test_what_the_door_writes_is_what_was_decided() -> None:
    stage = Stage()
    meeting = await stage.begin()
    door = Transitions(stage, MemoryFeed(), Policy(max_attempts=MAX_ATTEMPTS), lambda: None, lambda _command: None)
    asked = 0
    for place in space():
        for said in everything_said():
            if said.reason in REASONS and is_said(place, said):
                before = stage.put(meeting, place)
                outcome = await door.apply(meeting.meeting_id, _report(before, said))
                assert outcome.decision == answer(place, said)
                await _check(stage, before, place, said, outcome)
                asked += 1
    assert asked > len(space()) * len(Event) * len(AGES)


async def _check(stage: Stage, before: Meeting, place: Place, said: Said, outcome: Outcome) -> None:
    history = await stage.events(before.meeting_id)
    now = outcome.meeting
    if not isinstance(outcome.decision, Applied):
        assert (now, len(history), stage.owed()) == (before, 1, []), (place, said)
        return
    row = outcome.decision.transition
    there = beyond(place, row, said.reason)
    assert Place(now.snapshot, now.reason, now.start_time is not None) == there, (place, said)
    assert now.version == before.version + 1
    assert (now.connection_id != before.connection_id) is (now.attempt > before.attempt)
    last = history[-1]
    assert (len(history), last.event, last.by, last.to_state) == (2, said.event, said.by, now.status)
    assert stage.owed() == list(row.effects)
    assert stage.seats(now) == (now.status in COUNTED)
    assert (now.deadline_at is None) is (now.status in TERMINAL), "whatever is not over has a deadline"
    assert (now.end_time is not None) is (now.status in TERMINAL)


async def test_a_report_that_comes_twice_through_the_door_is_written_once() -> None:
    stage = Stage()
    meeting = await stage.begin()
    door = Transitions(stage, MemoryFeed(), Policy(max_attempts=MAX_ATTEMPTS), lambda: None, lambda _command: None)
    for place, steps in space().items():
        for said, there in steps:
            if said.event is Event.DEADLINE_PASSED or said.reason not in REASONS:
                continue
            report = _report(stage.put(meeting, place), said)
            first = await door.apply(meeting.meeting_id, report)
            second = await door.apply(meeting.meeting_id, report)
            assert not isinstance(second.decision, Refused), (place, said)
            if isinstance(second.decision, Ignored):
                assert second.meeting == first.meeting, (place, said)
            else:
                assert second.meeting.status is first.meeting.status is there.snapshot.status


def _report(meeting: Meeting, said: Said) -> Report:
    configuration = Configuration("de") if said.event is Event.CONFIGURATION_REQUESTED else None
    return Report(said.event, said.by, meeting.attempt + said.age, reason=said.reason, configuration=configuration)
