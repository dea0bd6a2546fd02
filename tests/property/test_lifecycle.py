"""`decide()` over everything it can be asked, and over stories of any length."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from usher.domain.lifecycle import (
    HAS_WORKLOAD,
    IN_MEETING,
    TABLE,
    TERMINAL,
    Applied,
    Effect,
    Event,
    Ignored,
    Refused,
    Snapshot,
    Source,
    State,
    created_by,
    decide,
)

ATTEMPT = 2
QUESTIONS = [
    (Snapshot(state, ATTEMPT, stop_requested), event, by, ATTEMPT + age)
    for state, event, by, age, stop_requested in itertools.product(State, Event, Source, (-1, 0, 1), (False, True))
]
EVENTS = st.lists(st.tuples(st.sampled_from(Event), st.sampled_from(Source), st.integers(-1, 1)), max_size=40)


def test_decide_is_total_and_deterministic() -> None:
    for question in QUESTIONS:
        decision = decide(*question)
        assert isinstance(decision, Applied | Ignored | Refused), question
        assert decision == decide(*question), question


def test_whatever_is_not_applied_says_why() -> None:
    for question in QUESTIONS:
        decision = decide(*question)
        assert isinstance(decision, Applied) or decision.why, question


def test_terminal_is_absorbing() -> None:
    for question in QUESTIONS:
        if question[0].status in TERMINAL:
            assert not isinstance(decide(*question), Applied), question


def test_terminal_answers_every_report_of_its_own_attempt_like_a_success() -> None:
    for meeting, event, by, attempt in QUESTIONS:
        if meeting.status in TERMINAL and attempt <= ATTEMPT and event is not Event.CONFIGURATION_REQUESTED:
            assert isinstance(decide(meeting, event, by, attempt), Ignored)


def test_a_wish_that_comes_too_late_is_refused() -> None:
    for status in (*TERMINAL, State.STOPPING, State.ERROR):
        decision = decide(Snapshot(status, ATTEMPT), Event.CONFIGURATION_REQUESTED, Source.USER, ATTEMPT)
        assert isinstance(decision, Refused)


def test_only_the_current_attempt_moves_a_meeting() -> None:
    for meeting, event, by, attempt in QUESTIONS:
        decision = decide(meeting, event, by, attempt)
        if attempt < ATTEMPT:
            assert isinstance(decision, Ignored)
        elif attempt > ATTEMPT:
            assert isinstance(decision, Refused)


def test_applied_means_along_a_row_of_the_table_by_who_may_report_it() -> None:
    applied = set()
    for meeting, event, by, attempt in QUESTIONS:
        decision = decide(meeting, event, by, attempt)
        if isinstance(decision, Applied):
            row = decision.transition
            assert row in TABLE
            assert (row.from_state, row.event) == (meeting.status, event)
            assert by in row.by
            applied.add((row, by))
    assert applied == {(row, by) for row in TABLE if row.from_state is not None for by in row.by}


def test_a_wish_to_stop_changes_no_decision_about_an_event() -> None:
    for meeting, event, by, attempt in QUESTIONS:
        other = Snapshot(meeting.status, meeting.attempt, not meeting.stop_requested)
        assert decide(meeting, event, by, attempt) == decide(other, event, by, attempt)


def test_a_bots_report_that_is_repeated_is_old_news() -> None:
    """I6: the answer to the repetition is that of a success, and the state does not move.

    A configuration in force may be reported where the state stays `active`; who reports it sees to it that it is news.
    """
    for meeting, event, by, attempt in QUESTIONS:
        first = decide(meeting, event, by, attempt)
        if isinstance(first, Applied) and by is Source.BOT:
            after = Snapshot(first.transition.to_state, attempt, meeting.stop_requested)
            again = decide(after, event, by, attempt)
            assert isinstance(again, Ignored) or (
                isinstance(again, Applied) and again.transition.to_state is after.status
            ), (meeting, event)


def test_a_stop_that_is_repeated_is_never_refused() -> None:
    for state in State:
        for stop_requested in (False, True):
            meeting = Snapshot(state, ATTEMPT, stop_requested)
            assert not isinstance(decide(meeting, Event.STOP_REQUESTED, Source.USER, ATTEMPT), Refused)


@given(st.sampled_from([Event.SCHEDULED, Event.REQUESTED]), EVENTS)
def test_every_story_keeps_the_promises(birth: Event, reports: list[tuple[Event, Source, int]]) -> None:
    row = created_by(birth)
    meeting, owed, ends = Snapshot(row.to_state, 1), list(row.effects), 0
    for event, by, age in reports:
        decision = decide(meeting, event, by, meeting.attempt + age)
        if not isinstance(decision, Applied):
            continue
        row = decision.transition
        assert meeting.status not in TERMINAL
        attempt = meeting.attempt + (event is Event.RETRY_GRANTED)
        owed += row.effects
        ends += row.to_state in TERMINAL
        meeting = Snapshot(row.to_state, attempt, meeting.stop_requested or event is Event.STOP_REQUESTED)
    assert ends == (meeting.status in TERMINAL)
    assert owed.count(Effect.FINISH_MEETING) == ends
    assert (meeting.status in TERMINAL) is (Effect.FINISH_MEETING in owed)


@given(EVENTS)
def test_after_a_stop_no_bot_is_ever_in_the_meeting_again_in_that_attempt(
    reports: list[tuple[Event, Source, int]],
) -> None:
    """I8: stop wins within the attempt, whatever is reported afterwards."""
    for status in sorted(HAS_WORKLOAD):
        stopped = decide(Snapshot(status, 1), Event.STOP_REQUESTED, Source.USER, 1)
        meeting = Snapshot(stopped.transition.to_state if isinstance(stopped, Applied) else status, 1, True)
        for event, by, age in reports:
            decision = decide(meeting, event, by, 1 + age)
            if isinstance(decision, Applied):
                meeting = Snapshot(decision.transition.to_state, 1, True)
            if meeting.status is State.REQUESTED:
                break
            assert meeting.status not in IN_MEETING
