"""Each rule of the checker finds what is planted for it, and says nothing about a story that went well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.invariants import (
    RULES,
    Access,
    Answer,
    BotMove,
    CommandRecord,
    Delivery,
    Evidence,
    Fill,
    KeyUse,
    Leftover,
    Life,
    Settlement,
    Sighting,
    StoredSegment,
    violations,
)

from usher.domain.lifecycle import TABLE, Effect, Event, Source, State, Transition
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.reconcile import WorkloadName
from usher.ports import Configuration, Mark, Meeting, MeetingEvent

_T0 = datetime(2026, 1, 1, tzinfo=UTC)
_S0 = _T0.timestamp()
_ROWS: dict[tuple[State | None, Event], Transition] = {(row.from_state, row.event): row for row in TABLE}
_STEPS = (
    (Event.REQUESTED, 0),
    (Event.LAUNCH_BEGUN, 1),
    (Event.ADMITTED, 5),
    (Event.STOP_REQUESTED, 20),
    (Event.LEFT, 22),
)


def _history(*steps: tuple[Event, float]) -> list[MeetingEvent]:
    lines: list[MeetingEvent] = []
    state: State | None = None
    attempt = 1
    for event, at_s in steps:
        row = _ROWS[state, event]
        attempt += event is Event.RETRY_GRANTED
        by, at = min(row.by), _T0 + timedelta(seconds=at_s)
        lines.append(MeetingEvent(len(lines) + 1, event, state, row.to_state, by, attempt, None, "", at))
        state = row.to_state
    return lines


def _meeting(meeting_id: int, history: list[MeetingEvent], *, room: str = "weekly-sync") -> Meeting:
    last = history[-1]
    configuration = Configuration("en")
    return Meeting(
        meeting_id=meeting_id,
        user_id=1,
        ref=MeetingRef(Platform.ROOM, room, f"http://localhost/room/{room}"),
        bot_name="Usher",
        status=last.to_state,
        version=last.version,
        attempt=last.attempt,
        connection_id=f"c{meeting_id}.{last.attempt}",
        stop_requested=False,
        configuration=configuration,
        desired_configuration=configuration,
        reason=None,
        failure_stage=None,
        bot_container_id=None,
        deadline_at=None,
        join_at=None,
        start_time=_T0 + timedelta(seconds=5),
        end_time=None,
        created_at=_T0,
        updated_at=last.at,
        data={},
    )


def _story(*steps: tuple[Event, float], room: str = "weekly-sync", meeting_id: int = 7) -> Evidence:
    history = _history(*steps)
    return Evidence(meetings=[_meeting(meeting_id, history, room=room)], events={meeting_id: history}, limits={1: 2})


def _and(one: Evidence, other: Evidence) -> Evidence:
    return replace(one, meetings=[*one.meetings, *other.meetings], events={**one.events, **other.events})


def _life(started_s: float, ended_s: float | None, *, meeting_id: int = 7, attempt: int = 1) -> Life:
    return Life(WorkloadName(meeting_id, attempt), _S0 + started_s, None if ended_s is None else _S0 + ended_s)


def _good() -> Evidence:
    return replace(
        _story(*_STEPS),
        lives=[_life(1, 23)],
        now_s=_S0 + 100,
        settled=True,
        commands={"c7.1": [CommandRecord(1, "leave", "applied")]},
        executed={"c7.1": [1]},
        confirmed=[Mark(7, "s1", 1)],
        stored=[StoredSegment(7, "s1", 2, completed=True)],
        accounts=[],
        answers=[Answer("c7.1", "/started 1", 200, "applied")] * 2 + [Answer("c7.1", "/started 1", 410)],
        key_uses=[KeyUse(1, "k", "b", 201, 7), KeyUse(1, "k", "b", 201, 7), KeyUse(1, "k", "other", 422)],
        deliveries=[Delivery(f"w{version}", 7, version) for version in (1, 2, 3, 3, 4, 5)],
        sightings=[Sighting("ann", 7, 2, State.STARTING), Sighting("ann", 7, 5, State.COMPLETED)],
        feeds=[Sighting("viewer", 7, 4, State.STOPPING), Sighting("viewer", 7, 5, State.COMPLETED)],
        settlements=[Settlement(7, _S0 + 4, _S0 + 5)],
        accesses=[Access("c7.1", "c7.1", "redis", _S0)],
        fills=[Fill("queue", 3, 3)],
        twin=_story(*_STEPS),
    )


def _good_events(change: Callable[[list[MeetingEvent]], object]) -> Evidence:
    good = _good()
    history = list(good.events[7])
    change(history)
    return replace(good, events={7: history}, deliveries=None, sightings=(), twin=None)


def _set(history: list[MeetingEvent], index: int, line: MeetingEvent) -> None:
    history[index] = line


_PENDING = ((Event.REQUESTED, 0), (Event.LAUNCH_BEGUN, 1))
_RETRIED = (*_PENDING, (Event.CRASHED, 5), (Event.RETRY_GRANTED, 6))
_SECOND = _story((Event.REQUESTED, 10), meeting_id=8, room="other")
_THIRD = _story((Event.REQUESTED, 11), meeting_id=9, room="third")

PLANTED: dict[str, tuple[str, Evidence]] = {
    "two workloads of one meeting": ("I1", replace(_story(*_RETRIED), lives=[_life(1, 8), _life(7, None, attempt=2)])),
    "two workloads of one call": (
        "I1",
        replace(
            _and(_story(*_STEPS), _story((Event.REQUESTED, 23), (Event.LAUNCH_BEGUN, 24), meeting_id=8)),
            lives=[_life(1, 30), _life(24, None, meeting_id=8)],
        ),
    ),
    "two meetings in one call": ("I1", _and(_story(*_PENDING), _story((Event.REQUESTED, 3), meeting_id=8))),
    "too many bots": ("I2", _and(_and(_story(*_PENDING), _SECOND), _THIRD)),
    "a version is missing": ("I3", _good_events(lambda lines: lines.pop(2))),
    "a step that the table does not know": (
        "I3",
        _good_events(lambda lines: _set(lines, 1, replace(lines[1], to_state=State.STOPPING))),
    ),
    "reported by one who may not": (
        "I3",
        _good_events(lambda lines: _set(lines, 2, replace(lines[2], by=Source.USER))),
    ),
    "an attempt out of turn": ("I3", _good_events(lambda lines: _set(lines, 3, replace(lines[3], attempt=2)))),
    "it ended twice": ("I3", _good_events(lambda lines: lines.append(replace(lines[-1], version=6)))),
    "the row is not the last event": ("I3", _good_events(lambda lines: lines.pop())),
    "it does not end": ("I3", replace(_story(*_PENDING), settled=True)),
    "a state outlasts its deadline": ("I3", replace(_story(*_PENDING), now_s=_S0 + 1 + 120 + 16)),
    "an effect was buried": ("I3", replace(_good(), leftovers=[Leftover(7, Effect.LAUNCH, buried=True)])),
    "an effect is owed for ever": ("I3", replace(_good(), leftovers=[Leftover(7, Effect.FINISH_MEETING)])),
    "a workload outlives its meeting": ("I4", replace(_good(), lives=[_life(1, 22 + 5 + 15 + 1)])),
    "a workload that nobody asked for": ("I4", replace(_good(), lives=[_life(1, None, meeting_id=99)])),
    "a workload of an older attempt": ("I4", replace(_story(*_RETRIED), lives=[_life(20, 50)])),
    "a dead bot is not noticed": ("I4", replace(_story(*_PENDING), lives=[_life(1, 2)], now_s=_S0 + 60)),
    "a silent bot is not given up": (
        "I4",
        replace(_story(*_PENDING), lives=[_life(1, None)], silences=[_life(12, None)], now_s=_S0 + 70),
    ),
    "declared dead while it runs": (
        "I4",
        replace(
            _story(*_PENDING[:-1], (Event.LAUNCH_BEGUN, 1), (Event.JOINING_BEGUN, 2), (Event.WORKLOAD_VANISHED, 30)),
            lives=[_life(1, 39)],
        ),
    ),
    "retried while it runs": (
        "I4",
        replace(_story(*_PENDING, (Event.CRASHED, 30), (Event.RETRY_GRANTED, 31)), lives=[_life(1, 39)]),
    ),
    "a stop that counts as a failure": (
        "I8",
        _story(*_PENDING, (Event.CRASHED, 5), (Event.STOP_REQUESTED, 6), (Event.GAVE_UP, 7)),
    ),
    "a command that waits": (
        "I7",
        replace(
            _good(),
            workloads={"c7.1": WorkloadName(7, 1)},
            lives=[_life(1, 60)],
            commands={"c7.1": [CommandRecord(1, "leave", "applied", _S0 + 20, _S0 + 51)]},
        ),
    ),
    "taken off the stream, but not stored": ("I5", replace(_good(), acknowledged=[Mark(7, "s2", 1)])),
    "confirmed, but not stored": ("I5", replace(_good(), stored=[])),
    "confirmed, but stored as partial": ("I5", replace(_good(), stored=[StoredSegment(7, "s1", 2, completed=False)])),
    "stored in an older revision": ("I5", replace(_good(), confirmed=[Mark(7, "s1", 3)])),
    "two rows of one segment": ("I5", replace(_good(), stored=[*_good().stored, *_good().stored])),
    "another answer to a repeated report": (
        "I6",
        replace(_good(), answers=[Answer("c7.1", "/x 1", 200, "applied"), Answer("c7.1", "/x 1", 200, "ignored")]),
    ),
    "over, and then not over": (
        "I6",
        replace(_good(), answers=[Answer("c7.1", "/x 1", 410), Answer("c7.1", "/x 1", 200, "applied")]),
    ),
    "a state that went backwards": ("I6", replace(_good(), sightings=[*reversed(_good().sightings)])),
    "a state that never was": ("I6", replace(_good(), sightings=[Sighting("ann", 7, 2, State.ACTIVE)])),
    "moved by a bot of an older attempt": (
        "I6",
        replace(_story(*_RETRIED, (Event.LAUNCH_BEGUN, 9), (Event.ADMITTED, 10)), moves=[BotMove(7, 6, 1)]),
    ),
    "back into the meeting after a stop": (
        "I8",
        _story(*_PENDING, (Event.CRASHED, 5), (Event.STOP_REQUESTED, 6), (Event.RETRY_GRANTED, 7)),
    ),
    "a command executed twice": ("I7", replace(_good(), executed={"c7.1": [1, 1]})),
    "a command that nobody sent": ("I7", replace(_good(), executed={"c7.1": [1, 2]})),
    "applied, but not executed": ("I7", replace(_good(), executed={"c7.1": []})),
    "a command without an outcome": ("I7", replace(_good(), commands={"c7.1": [CommandRecord(1, "leave")]})),
    "launched after the stop": ("I8", replace(_good(), lives=[_life(20 + 41, 20 + 42)])),
    "alive long after the stop": ("I8", replace(_good(), lives=[_life(1, 20 + 41)])),
    "one key, two meetings": ("I9", replace(_good(), key_uses=[*_good().key_uses, KeyUse(1, "k", "b", 201, 8)])),
    "one key, two bodies": ("I9", replace(_good(), key_uses=[*_good().key_uses, KeyUse(1, "k", "other", 201, 7)])),
    "no webhook": ("I10", replace(_good(), deliveries=[])),
    "a webhook for nothing": ("I10", replace(_good(), deliveries=[*(_good().deliveries or ()), Delivery("w6", 7, 6)])),
    "a webhook under two ids": ("I10", replace(_good(), deliveries=[*(_good().deliveries or ()), Delivery("x", 7, 1)])),
    "a gap in the feed": ("I11", replace(_good(), feeds=[replace(_good().feeds[0], version=3), _good().feeds[1]])),
    "a feed that ends too early": ("I11", replace(_good(), feeds=_good().feeds[:1])),
    "settled after the claim": ("I12", replace(_good(), settlements=[Settlement(7, _S0 + 6, _S0 + 5)])),
    "another bot's channel": ("I13", replace(_good(), accesses=[Access("c7.1", "c8.1", "redis", _S0)])),
    "a token that outlives its attempt": (
        "I13",
        replace(_good(), accesses=[Access("c7.1", "c7.1", "HTTP", _S0, over=True)]),
    ),
    "an account that is left over": ("I13", replace(_good(), accounts=["c7.1"])),
    "deleted text is stored": ("I14", replace(_good(), deleted=[7])),
    "deleted text is in the stream": ("I14", replace(_good(), stored=[], deleted=[7], traces=[(7, "stream")])),
    "the wall clock decides": ("I15", replace(_good(), twin=_story(*_STEPS[:-1]))),
    "a queue without bound": ("I16", replace(_good(), fills=[Fill("queue", 4, 3)])),
}


@pytest.mark.parametrize(("invariant", "evidence"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(invariant: str, evidence: Evidence) -> None:
    assert [sentence for sentence in violations(evidence) if sentence.startswith(f"{invariant}: ")]


def test_every_rule_has_a_planted_violation() -> None:
    silent = [rule.__name__ for rule in RULES if not any([*rule(evidence)] for _, evidence in PLANTED.values())]
    assert silent == []


def test_a_story_that_went_well_has_no_violations() -> None:
    assert violations(_good()) == []


def test_who_knows_nothing_accuses_nobody() -> None:
    assert violations(Evidence()) == []


def test_an_outage_excuses_what_nobody_could_do() -> None:
    late = replace(_good(), lives=[_life(1, 22 + 5 + 15 + 60)])
    assert violations(late)
    assert violations(replace(late, outages=[(_S0 + 30, _S0 + 70), (_S0 + 50, _S0 + 100)])) == []


def test_calm_time_counts_what_lies_between_outages() -> None:
    evidence = Evidence(outages=[(10.0, 20.0), (15.0, 30.0), (90.0, 200.0)])
    assert evidence.calm_s(0.0, 100.0) == 70.0
    assert evidence.calm_s(12.0, 28.0) == 0.0
    assert evidence.calm_s(50.0, 40.0) == 0.0
