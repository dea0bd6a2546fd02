"""What the table of transitions has to be, whatever its rows are."""

from collections.abc import Iterable

import pytest

from usher.domain.captions import EFFECT_CAPTION, EVENT_CAPTION, REASON_CAPTION, SOURCE_CAPTION, STATE_CAPTION
from usher.domain.lifecycle import (
    ACCEPTS_CONFIGURATION,
    COUNTED,
    HAS_WORKLOAD,
    IN_MEETING,
    LAUNCHING,
    LEASED,
    LIVE,
    TABLE,
    TERMINAL,
    TRANSIENT,
    WAITING,
    Applied,
    Effect,
    Event,
    Reason,
    Snapshot,
    Source,
    State,
    Transition,
    created_by,
    decide,
)
from usher.domain.policy import Deadlines


def edges(rows: Iterable[Transition]) -> dict[State | None, set[State]]:
    found: dict[State | None, set[State]] = {}
    for row in rows:
        found.setdefault(row.from_state, set()).add(row.to_state)
    return found


def reachable(start: State | None, rows: Iterable[Transition]) -> set[State]:
    by_state, seen, todo = edges(rows), set[State](), [start]
    while todo:
        for state in by_state.get(todo.pop(), set()) - seen:
            seen.add(state)
            todo.append(state)
    return seen


def test_every_state_is_reached() -> None:
    assert reachable(None, TABLE) == set(State)


def test_every_event_is_used() -> None:
    assert {row.event for row in TABLE} == set(Event)


def test_every_effect_is_owed_somewhere() -> None:
    """`notify` is owed by every row alike, so none has to say so."""
    assert {effect for row in TABLE for effect in row.effects} == set(Effect) - {Effect.NOTIFY}


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_state_that_is_not_terminal_can_end(state: State) -> None:
    assert reachable(state, TABLE) & TERMINAL


@pytest.mark.parametrize("state", sorted(HAS_WORKLOAD))
def test_the_reconciler_alone_can_end_what_may_own_a_workload(state: State) -> None:
    assert reachable(state, [row for row in TABLE if Source.RECONCILER in row.by]) & TERMINAL


@pytest.mark.parametrize("state", sorted(LIVE))
def test_silence_is_a_verdict_in_every_state_that_is_not_terminal(state: State) -> None:
    row = next(row for row in TABLE if (row.from_state, row.event) == (state, Event.DEADLINE_PASSED))
    assert row.by == {Source.RECONCILER}
    assert row.to_state is not state
    assert state is State.SCHEDULED or getattr(Deadlines(), f"{state}_s") > 0


@pytest.mark.parametrize("state", sorted(LIVE))
def test_deadlines_alone_bring_every_meeting_to_its_next_rest(state: State) -> None:
    """Following deadlines alone, a meeting never goes round in circles for ever."""
    rows = [row for row in TABLE if row.event is Event.DEADLINE_PASSED]
    assert reachable(state, rows) & TERMINAL


def test_a_row_is_named_by_its_state_and_event() -> None:
    keys = [(row.from_state, row.event) for row in TABLE]
    assert len(keys) == len(set(keys))


def test_every_row_has_somebody_who_may_report_it() -> None:
    assert all(row.by for row in TABLE)


def test_terminal_states_are_completed_and_failed() -> None:
    assert {State.COMPLETED, State.FAILED} == TERMINAL


@pytest.mark.parametrize("row", [row for row in TABLE if row.to_state in TERMINAL], ids=str)
def test_every_way_to_an_end_terminates_and_finishes(row: Transition) -> None:
    assert {Effect.TERMINATE, Effect.FINISH_MEETING} <= set(row.effects)


@pytest.mark.parametrize("row", [row for row in TABLE if row.to_state not in TERMINAL], ids=str)
def test_nothing_is_finished_before_the_end(row: Transition) -> None:
    assert Effect.FINISH_MEETING not in row.effects


@pytest.mark.parametrize("row", [r for r in TABLE if r.to_state is State.ERROR and r.from_state is not State.ERROR])
def test_every_way_into_error_owes_clean_up(row: Transition) -> None:
    assert Effect.CLEAN_UP in row.effects


@pytest.mark.parametrize("row", [r for r in TABLE if r.to_state is State.STOPPING], ids=str)
def test_every_way_into_stopping_asks_first_and_kills_later(row: Transition) -> None:
    assert row.effects == (Effect.SEND_COMMAND, Effect.TERMINATE_AFTER_GRACE)


def test_a_launch_is_owed_exactly_on_the_way_to_requested() -> None:
    assert {row for row in TABLE if Effect.LAUNCH in row.effects} == {r for r in TABLE if r.to_state is State.REQUESTED}


def test_a_launch_never_follows_a_state_in_which_something_may_run_except_after_clean_up() -> None:
    before = {(row.from_state, row.event) for row in TABLE if Effect.LAUNCH in row.effects}
    assert {(s, e) for s, e in before if s in HAS_WORKLOAD} == {(State.ERROR, Event.RETRY_GRANTED)}


def test_nothing_runs_before_the_launch_begins() -> None:
    entries = {row.event for row in TABLE if row.to_state in HAS_WORKLOAD and row.from_state not in HAS_WORKLOAD}
    assert entries == {Event.LAUNCH_BEGUN}


def test_a_stop_can_be_asked_for_in_every_state_that_is_not_over_or_ending() -> None:
    states = {row.from_state for row in TABLE if row.event is Event.STOP_REQUESTED}
    assert states == LIVE - {State.STOPPING}
    assert all(row.by == {Source.USER} for row in TABLE if row.event is Event.STOP_REQUESTED)


def test_the_sets_fit_each_other() -> None:
    assert set(State) == LIVE | TERMINAL
    assert not LIVE & TERMINAL
    assert HAS_WORKLOAD < COUNTED < LIVE
    assert {State.REQUESTED} == COUNTED - HAS_WORKLOAD
    assert WAITING | IN_MEETING | {State.STOPPING, State.ERROR} == HAS_WORKLOAD
    assert not WAITING & IN_MEETING
    assert ACCEPTS_CONFIGURATION == IN_MEETING
    assert LEASED == WAITING | IN_MEETING
    assert {State.STARTING} == LAUNCHING


def test_a_meeting_is_created_scheduled_or_requested() -> None:
    created = {row.event: row for row in TABLE if row.from_state is None}
    assert set(created) == {Event.SCHEDULED, Event.REQUESTED}
    assert {event: created_by(event) for event in created} == created
    assert {created_by(event).to_state for event in created} == {State.SCHEDULED, State.REQUESTED}


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.SCHEDULED, Event.REQUESTED}))
def test_no_other_event_creates_a_meeting(event: Event) -> None:
    with pytest.raises(KeyError):
        created_by(event)


def test_transient_reasons_are_those_of_attempts_not_of_meetings() -> None:
    settled = {Reason.STOPPED, Reason.MEETING_ENDED, Reason.EVICTED, Reason.REJECTED, Reason.LAUNCH_REJECTED}
    assert set(Reason) > TRANSIENT
    assert not TRANSIENT & settled


def test_every_word_has_a_caption_of_one_sentence() -> None:
    for words, captions in (
        (State, STATE_CAPTION),
        (Event, EVENT_CAPTION),
        (Reason, REASON_CAPTION),
        (Effect, EFFECT_CAPTION),
        (Source, SOURCE_CAPTION),
    ):
        assert set(captions) == set(words)
        for caption in captions.values():
            assert caption.endswith(".")
            assert len(caption) <= 100
        assert len(set(captions.values())) == len(captions)


HAPPY = (
    (State.REQUESTED, Event.LAUNCH_BEGUN, Source.DISPATCHER, State.STARTING),
    (State.STARTING, Event.JOINING_BEGUN, Source.BOT, State.JOINING),
    (State.JOINING, Event.LOBBY_ENTERED, Source.BOT, State.AWAITING_ADMISSION),
    (State.AWAITING_ADMISSION, Event.ADMITTED, Source.BOT, State.ACTIVE),
    (State.ACTIVE, Event.CONFIGURATION_REQUESTED, Source.USER, State.RECONFIGURING),
    (State.RECONFIGURING, Event.CONFIGURATION_APPLIED, Source.BOT, State.ACTIVE),
    (State.ACTIVE, Event.STOP_REQUESTED, Source.USER, State.STOPPING),
    (State.STOPPING, Event.LEFT, Source.BOT, State.COMPLETED),
)
SHORT_CUT = ((State.STARTING, Event.ADMITTED, Source.BOT, State.ACTIVE),)
RETRY = (
    (State.STARTING, Event.LAUNCH_FAILED, Source.DISPATCHER, State.ERROR),
    (State.ERROR, Event.RETRY_GRANTED, Source.DISPATCHER, State.REQUESTED),
    (State.ERROR, Event.GAVE_UP, Source.DISPATCHER, State.FAILED),
    (State.ERROR, Event.STOP_FINISHED, Source.DISPATCHER, State.COMPLETED),
)


@pytest.mark.parametrize(("status", "event", "by", "arrives"), [*HAPPY, *SHORT_CUT, *RETRY])
def test_the_stories_of_the_design(status: State, event: Event, by: Source, arrives: State) -> None:
    decision = decide(Snapshot(status, attempt=1), event, by, 1)
    assert isinstance(decision, Applied)
    assert decision.transition.to_state is arrives
