"""Every reachable combination of place, event, source, age of the attempt and repetition, asked of the real table."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache

from tests.property.lifecycle_space import AGES, MAX_ATTEMPTS, Place, Said, answer, at, everything_said, space

from usher.domain.lifecycle import (
    COUNTED,
    ENDING,
    FAILING,
    HAS_WORKLOAD,
    IN_MEETING,
    LIVE,
    TABLE,
    TERMINAL,
    TRANSIENT,
    WAITING,
    Applied,
    Effect,
    Event,
    Ignored,
    Reason,
    Refused,
    Source,
    State,
    decide,
)
from usher.domain.policy import Policy

PLACES = 462
STEPS = 5843
VERDICTS = {Applied: 7236, Ignored: 525_042, Refused: 315_954}
"""What there is to ask, counted: a change of the table has to be meant, down to the last combination."""

SILENT_STEPS = 4
"""The longest way to an end if nobody but the reconciler ever speaks."""

UNATTENDED_STEPS = 13
"""The longest way to an end if only the manager's own parts speak: each attempt waits for room and fails late."""


def test_every_combination_is_decided_once_and_for_all() -> None:
    """Total: nothing raises. Deterministic: asked again, the answer is the same."""
    verdicts: Counter[type] = Counter()
    for place in space():
        for said in everything_said():
            decision = answer(place, said)
            assert decision == answer(place, said)
            verdicts[type(decision)] += 1
    assert (len(space()), sum(map(len, space().values()))) == (PLACES, STEPS)
    assert verdicts == VERDICTS


def test_a_repetition_is_a_no_op_or_a_row_that_leads_back_to_itself() -> None:
    """Deadlines are no reports: what is overdue is read from the row each time, and acted on for that row only."""
    for place, said, there in _steps():
        if said.event is Event.DEADLINE_PASSED:
            continue
        again = Said(said.event, said.by, place.snapshot.attempt - there.snapshot.attempt, said.reason)
        decision = answer(there, again)
        if isinstance(decision, Applied):
            assert decision.transition.from_state is decision.transition.to_state, (place, said)
        else:
            assert isinstance(decision, Ignored), (place, said)


def test_no_attempt_but_the_current_one_moves_anything() -> None:
    for place in space():
        meeting = place.snapshot
        for said in everything_said():
            for attempt in range(1, meeting.attempt):
                assert isinstance(decide(meeting, said.event, said.by, attempt), Ignored)
            for attempt in (meeting.attempt + 1, meeting.attempt + 2):
                assert isinstance(decide(meeting, said.event, said.by, attempt), Refused)


def test_attempts_are_counted_and_end() -> None:
    assert {place.snapshot.attempt for place in space()} == set(range(1, MAX_ATTEMPTS + 1))
    for place, said, there in _steps():
        grown = there.snapshot.attempt - place.snapshot.attempt
        assert grown == (said.event is Event.RETRY_GRANTED)
        if grown:
            assert place.reason in TRANSIENT
            assert not place.snapshot.stop_requested


def test_what_is_over_stays_over() -> None:
    assert all(not space()[place] for place in at(*TERMINAL))
    assert all(space()[place] for place in at(*LIVE))


def test_a_stop_is_never_forgotten_and_nothing_is_launched_or_admitted_after_it() -> None:
    for place, _, there in _steps():
        if place.snapshot.stop_requested:
            assert there.snapshot.stop_requested
            assert there.snapshot.status in ENDING | TERMINAL | {State.ERROR}


def test_after_a_stop_a_meeting_fails_only_if_it_is_not_certain_that_nothing_runs() -> None:
    ways = {
        (place.snapshot.status, said.event, there.reason)
        for place, said, there in _steps()
        if place.snapshot.stop_requested and there.snapshot.status is State.FAILED
    }
    assert ways == {(State.ERROR, Event.DEADLINE_PASSED, Reason.CLEAN_UP_FAILED)}


def test_every_failure_and_every_end_has_a_reason_and_nothing_else_has_one() -> None:
    told = FAILING | TERMINAL | ENDING
    assert all(place.reason for place in at(*told))
    for place in at(*(set(State) - told)):
        assert place.reason is place.snapshot.waits_for


def test_a_visit_that_never_began_is_not_completed_unless_its_user_stopped_it() -> None:
    for place in at(State.COMPLETED):
        assert place.admitted or (place.snapshot.stop_requested and place.reason is Reason.STOPPED)


def test_a_stopped_visit_says_that_it_was_stopped() -> None:
    """Whatever is said of it later: a user's stop is no failure, and no other reason covers it."""
    for place, said, there in _steps():
        if said.event is Event.STOP_REQUESTED and not place.snapshot.stop_requested:
            assert there.reason is Reason.STOPPED
        if place.snapshot.stop_requested and place.reason is Reason.STOPPED:
            assert there.reason in {Reason.STOPPED, Reason.CLEAN_UP_FAILED}


def test_a_seat_is_held_from_the_launch_to_the_end_and_given_back_once() -> None:
    for place, _, there in _steps():
        held, holds = place.snapshot.status in COUNTED, there.snapshot.status in COUNTED
        assert holds or there.snapshot.status in TERMINAL, "a seat is given back at the end only"
        assert held or there.snapshot.status not in HAS_WORKLOAD, "nothing runs without a seat"


def test_every_way_out_of_what_may_run_makes_sure_that_nothing_does() -> None:
    ending = {Effect.TERMINATE, Effect.TERMINATE_AFTER_GRACE, Effect.CLEAN_UP}
    for place, said, there in _steps():
        row = answer(place, said)
        assert isinstance(row, Applied)
        if place.snapshot.status in WAITING | IN_MEETING and there.snapshot.status not in WAITING | IN_MEETING:
            assert ending & set(row.transition.effects)


def test_all_rows_of_the_table_are_walked() -> None:
    """All but one: whatever a bot says that is stopping, `exit_event` calls it leaving or a crash."""
    rows = {row for row in TABLE if row.from_state is not None}
    decisions = (answer(place, said) for place, said, _ in _steps())
    walked = {decision.transition for decision in decisions if isinstance(decision, Applied)}
    assert {(row.from_state, row.event) for row in rows - walked} == {(State.STOPPING, Event.NOT_ADMITTED)}


def test_where_nobody_but_the_reconciler_speaks_every_meeting_ends() -> None:
    silent = _only(lambda said: said.event is Event.DEADLINE_PASSED)
    assert max(_longest(place, silent, lambda _: 1) for place in space()) == SILENT_STEPS
    assert max(_longest(place, silent, _deadline_s) for place in space()) <= sum(asdict(Policy().deadlines).values())
    unattended = _only(lambda said: said.by in {Source.RECONCILER, Source.DISPATCHER})
    assert max(_longest(place, unattended, lambda _: 1) for place in space()) == UNATTENDED_STEPS


def test_a_meeting_goes_round_in_circles_only_inside_at_the_word_of_its_user_or_bot() -> None:
    for place, said, there in _steps():
        if place in _reached(there):
            inside = {place.snapshot.status, there.snapshot.status} <= IN_MEETING
            assert inside or (place == there and said.event is Event.STOP_REQUESTED), (place, said)


def test_every_age_is_asked_for() -> None:
    assert {said.age for said in everything_said()} == set(AGES) == {-1, 0, 1}


def _steps() -> Iterable[tuple[Place, Said, Place]]:
    return ((place, said, there) for place, steps in space().items() for said, there in steps)


def _deadline_s(place: Place) -> float:
    seconds: float = getattr(Policy().deadlines, f"{place.snapshot.status}_s", 0.0)
    return seconds


Ways = dict[Place, frozenset[Place]]


def _only(wanted: Callable[[Said], bool]) -> Ways:
    """Return where each place leads to if only some reports are made."""
    return {place: frozenset(there for said, there in steps if wanted(said)) for place, steps in space().items()}


def _longest(place: Place, ways: Ways, cost: Callable[[Place], float]) -> float:
    """Return the cost of the most expensive way to an end. A circle would be a `RecursionError`."""

    @cache
    def from_here(here: Place) -> float:
        on = [from_here(there) for there in ways[here]]
        if not on:
            assert here.snapshot.status in TERMINAL, here
            return 0.0
        return cost(here) + max(on)

    return from_here(place)


@cache
def _reached(place: Place) -> frozenset[Place]:
    seen, todo = {place}, [place]
    while todo:
        new = {there for _, there in space()[todo.pop()]} - seen
        seen |= new
        todo += new
    return frozenset(seen)
