"""The small tables beside the big one: exits, clean-up, reasons; and what old news and contradictions are."""

import pytest

from usher.domain.lifecycle import (
    HAS_WORKLOAD,
    IN_MEETING,
    TABLE,
    TRANSIENT,
    WAITING,
    Applied,
    Event,
    Ignored,
    Reason,
    Refused,
    Snapshot,
    Source,
    State,
    Transition,
    after_clean_up,
    decide,
    exit_event,
    reason_of,
)

LASTING = sorted(set(Reason) - TRANSIENT)


@pytest.mark.parametrize("reason", [*Reason, None])
@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
def test_a_stop_that_was_asked_for_wins_over_a_retry(reason: Reason | None, attempt: int) -> None:
    meeting = Snapshot(State.ERROR, attempt, stop_requested=True)
    assert after_clean_up(meeting, reason, max_attempts=3) is Event.STOP_FINISHED


@pytest.mark.parametrize("reason", sorted(TRANSIENT))
@pytest.mark.parametrize(("attempt", "event"), [(1, Event.RETRY_GRANTED), (2, Event.RETRY_GRANTED), (3, Event.GAVE_UP)])
def test_a_transient_failure_is_tried_again_while_attempts_are_left(reason: Reason, attempt: int, event: Event) -> None:
    assert after_clean_up(Snapshot(State.ERROR, attempt), reason, max_attempts=3) is event


@pytest.mark.parametrize("reason", [*LASTING, None])
def test_a_lasting_failure_is_not_tried_again(reason: Reason | None) -> None:
    assert after_clean_up(Snapshot(State.ERROR, 1), reason, max_attempts=3) is Event.GAVE_UP


@pytest.mark.parametrize("stop_requested", [True, False])
@pytest.mark.parametrize("reason", [*Reason, None])
def test_what_clean_up_concludes_is_applied(stop_requested: bool, reason: Reason | None) -> None:
    meeting = Snapshot(State.ERROR, 1, stop_requested)
    event = after_clean_up(meeting, reason, max_attempts=2)
    assert isinstance(decide(meeting, event, Source.DISPATCHER, 1), Applied)


@pytest.mark.parametrize("status", sorted(State))
@pytest.mark.parametrize("reason", [*Reason, None])
@pytest.mark.parametrize("exit_code", [1, 137, -9])
def test_an_exit_code_other_than_zero_is_a_crash(status: State, reason: Reason | None, exit_code: int) -> None:
    assert exit_event(Snapshot(status, 1), exit_code, reason) is Event.CRASHED


@pytest.mark.parametrize("status", sorted(State))
@pytest.mark.parametrize("reason", sorted(TRANSIENT))
def test_a_transient_reason_is_a_crash_whatever_the_exit_code(status: State, reason: Reason) -> None:
    assert exit_event(Snapshot(status, 1), 0, reason) is Event.CRASHED


@pytest.mark.parametrize("reason", [*LASTING, None])
def test_a_bot_that_was_never_inside_was_not_admitted(reason: Reason | None) -> None:
    assert {exit_event(Snapshot(status, 1), 0, reason) for status in WAITING} == {Event.NOT_ADMITTED}
    inside = IN_MEETING | {State.STOPPING}
    assert {exit_event(Snapshot(status, 1), 0, reason) for status in inside} == {Event.LEFT}


@pytest.mark.parametrize("status", sorted(HAS_WORKLOAD - {State.ERROR}))
@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("reason", [*Reason, None])
def test_the_exit_of_the_current_bot_always_moves_the_meeting(
    status: State, exit_code: int, reason: Reason | None
) -> None:
    meeting = Snapshot(status, 1)
    decision = decide(meeting, exit_event(meeting, exit_code, reason), Source.BOT, 1)
    assert isinstance(decision, Applied)
    assert decision.transition.to_state in {State.COMPLETED, State.FAILED, State.ERROR}


@pytest.mark.parametrize("row", [row for row in TABLE if row.from_state], ids=str)
@pytest.mark.parametrize("given", [None, Reason.EVICTED])
def test_who_says_why(row: Transition, given: Reason | None) -> None:
    """A user's stop is `stopped`; why a meeting is stopping is settled; else the reporter's word counts."""
    assert row.from_state
    reason = reason_of(row.event, row.from_state, given)
    if row.event is Event.STOP_REQUESTED:
        assert reason is Reason.STOPPED
    elif row.from_state is State.STOPPING:
        assert reason is None
    elif given is not None:
        assert reason is given


@pytest.mark.parametrize(
    ("event", "from_state", "reason"),
    [
        (Event.LAUNCH_FAILED, State.STARTING, Reason.LAUNCH_FAILED),
        (Event.LEFT, State.ACTIVE, Reason.MEETING_ENDED),
        (Event.NOT_ADMITTED, State.AWAITING_ADMISSION, Reason.REJECTED),
        (Event.CRASHED, State.ACTIVE, Reason.CRASHED),
        (Event.WORKLOAD_VANISHED, State.JOINING, Reason.WORKLOAD_VANISHED),
        (Event.LEASE_EXPIRED, State.ACTIVE, Reason.LEASE_EXPIRED),
        (Event.DEADLINE_PASSED, State.REQUESTED, Reason.LAUNCH_TIMEOUT),
        (Event.DEADLINE_PASSED, State.STARTING, Reason.LAUNCH_TIMEOUT),
        (Event.ROOM_AWAITED, State.STARTING, Reason.NO_ROOM),
        (Event.DEADLINE_PASSED, State.JOINING, Reason.JOIN_FAILED),
        (Event.DEADLINE_PASSED, State.AWAITING_ADMISSION, Reason.ADMISSION_TIMEOUT),
        (Event.DEADLINE_PASSED, State.ACTIVE, Reason.MAX_DURATION),
        (Event.DEADLINE_PASSED, State.ERROR, Reason.CLEAN_UP_FAILED),
        (Event.DEADLINE_PASSED, State.RECONFIGURING, None),
        (Event.DEADLINE_PASSED, State.SCHEDULED, None),
        (Event.ADMITTED, State.JOINING, None),
        (Event.RETRY_GRANTED, State.ERROR, None),
    ],
)
def test_reasons_where_the_reporter_gives_none(event: Event, from_state: State, reason: Reason | None) -> None:
    assert reason_of(event, from_state) is reason


@pytest.mark.parametrize(
    "row", [r for r in TABLE if r.to_state is State.ERROR and r.from_state in WAITING | IN_MEETING]
)
def test_every_failed_attempt_has_a_reason(row: Transition) -> None:
    assert row.from_state
    assert reason_of(row.event, row.from_state) is not None


@pytest.mark.parametrize(
    ("status", "event", "by"),
    [
        (State.ACTIVE, Event.JOINING_BEGUN, Source.BOT),
        (State.ACTIVE, Event.ADMITTED, Source.BOT),
        (State.AWAITING_ADMISSION, Event.LOBBY_ENTERED, Source.BOT),
        (State.STARTING, Event.LAUNCH_BEGUN, Source.DISPATCHER),
        (State.STOPPING, Event.ADMITTED, Source.BOT),
        (State.STOPPING, Event.STOP_REQUESTED, Source.USER),
        (State.STOPPING, Event.CONFIGURATION_APPLIED, Source.BOT),
        (State.ERROR, Event.LEFT, Source.BOT),
        (State.COMPLETED, Event.STOP_REQUESTED, Source.USER),
        (State.FAILED, Event.CRASHED, Source.BOT),
    ],
)
def test_old_news_is_answered_like_a_success(status: State, event: Event, by: Source) -> None:
    assert isinstance(decide(Snapshot(status, 2), event, by, 2), Ignored)


@pytest.mark.parametrize(
    ("status", "event", "by", "attempt"),
    [
        (State.REQUESTED, Event.ADMITTED, Source.BOT, 2),
        (State.SCHEDULED, Event.LEFT, Source.BOT, 2),
        (State.JOINING, Event.CONFIGURATION_REQUESTED, Source.USER, 2),
        (State.ACTIVE, Event.STOP_REQUESTED, Source.BOT, 2),
        (State.ACTIVE, Event.LEASE_EXPIRED, Source.BOT, 2),
        (State.ACTIVE, Event.TERMINATED, Source.DISPATCHER, 2),
        (State.ACTIVE, Event.LEFT, Source.BOT, 3),
        (State.COMPLETED, Event.LEFT, Source.BOT, 3),
    ],
)
def test_a_contradiction_is_refused(status: State, event: Event, by: Source, attempt: int) -> None:
    assert isinstance(decide(Snapshot(status, 2), event, by, attempt), Refused)


def test_what_waits_for_room_until_its_time_is_over_has_failed_for_want_of_room() -> None:
    assert reason_of(Event.DEADLINE_PASSED, State.STARTING, waits_for=Reason.NO_ROOM) is Reason.NO_ROOM
    assert reason_of(Event.DEADLINE_PASSED, State.JOINING, waits_for=Reason.CAPTCHA) is Reason.CAPTCHA


def test_that_a_launch_waits_for_room_is_put_on_record_once() -> None:
    first = decide(Snapshot(State.STARTING, 1), Event.ROOM_AWAITED, Source.RECONCILER, 1)
    assert isinstance(first, Applied)
    waiting = Snapshot(State.STARTING, 1, waits_for=Reason.NO_ROOM)
    assert isinstance(decide(waiting, Event.ROOM_AWAITED, Source.DISPATCHER, 1), Ignored)


def test_a_launch_that_found_no_room_may_be_tried_again_and_one_without_an_image_may_not() -> None:
    assert after_clean_up(Snapshot(State.ERROR, 1), Reason.NO_ROOM, max_attempts=3) is Event.RETRY_GRANTED
    assert after_clean_up(Snapshot(State.ERROR, 1), Reason.IMAGE_MISSING, max_attempts=3) is Event.GAVE_UP
