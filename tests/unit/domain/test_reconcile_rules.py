"""Reconciliation by example: what each observation means in each state."""

import pytest

from usher.domain.lifecycle import HAS_WORKLOAD, LAUNCHING, LIVE, Event, Reason, State
from usher.domain.reconcile import (
    MAY_NOT_HAVE_BEGUN,
    Exited,
    Finding,
    Gone,
    Observation,
    Running,
    Unknown,
    Watched,
    WorkloadName,
    parse_engine_name,
    parse_workload_name,
    plan,
)

NAME = WorkloadName(7, 2)
JUDGED = HAS_WORKLOAD - {State.ERROR}


def seen_twice(status: State, observed: dict[WorkloadName, Observation]) -> tuple[Finding, ...]:
    """Return the findings of two passes that see the same."""
    row = Watched(7, 2, status, deadline_passed=False, lease_expired=False)
    first = plan([row], observed)
    assert first.findings == ()
    return plan([row], observed, first.suspects).findings


@pytest.mark.parametrize("status", sorted(LIVE))
def test_a_workload_that_ended_is_a_crash_where_one_may_run(status: State) -> None:
    expected = (Finding(7, 2, Event.CRASHED, "exit code 137. out of memory"),) if status in JUDGED else ()
    assert seen_twice(status, {NAME: Exited(137, "out of memory")}) == expected


@pytest.mark.parametrize("status", sorted(LIVE))
@pytest.mark.parametrize("observed", [{}, {NAME: Gone()}], ids=["absent", "gone"])
def test_an_absent_workload_means_nothing_before_it_was_launched_and_during_clean_up(
    status: State, observed: dict[WorkloadName, Observation]
) -> None:
    vanished = status in JUDGED - MAY_NOT_HAVE_BEGUN
    assert seen_twice(status, observed) == ((Finding(7, 2, Event.WORKLOAD_VANISHED),) if vanished else ())


@pytest.mark.parametrize("status", sorted(LIVE))
@pytest.mark.parametrize("observation", [Running(), Unknown("no answer")])
def test_running_and_unknown_never_end_a_bot(status: State, observation: Observation) -> None:
    assert seen_twice(status, {NAME: observation}) == ()


def test_a_suspect_that_is_seen_again_is_forgiven() -> None:
    row = Watched(7, 2, State.ACTIVE, deadline_passed=False, lease_expired=False)
    suspects = plan([row], {}).suspects
    assert suspects == {NAME}
    assert plan([row], {NAME: Running()}, suspects).suspects == frozenset()
    assert plan([row], None, suspects).suspects == frozenset()


def test_older_attempts_and_unknown_meetings_are_removed() -> None:
    row = Watched(7, 2, State.ACTIVE, deadline_passed=False, lease_expired=False)
    older, unknown = WorkloadName(7, 1), WorkloadName(8, 1)
    done = plan([row], {NAME: Running(), older: Running(), unknown: Exited(0)})
    assert set(done.removals) == {older, unknown}


@pytest.mark.parametrize(
    "name", ["", "usher", "usher-", "usher-7", "usher-7-", "usher-x-1", "usher-7-1-1", "other-7-1"]
)
def test_other_names_are_nobodys(name: str) -> None:
    assert parse_workload_name(name) is None


def test_the_name_says_meeting_and_attempt() -> None:
    assert str(NAME) == "usher-7-2"
    assert parse_workload_name("usher-7-2") == NAME


@pytest.mark.parametrize("status", sorted(LIVE))
def test_a_workload_without_room_is_told_of_once_while_it_is_being_launched(status: State) -> None:
    row = Watched(7, 2, status, deadline_passed=False, lease_expired=False, version=5)
    first = plan([row], {NAME: Running("no node has 1500 MiB left")})
    told = (Finding(7, 2, Event.ROOM_AWAITED, "no node has 1500 MiB left", version=5),)
    assert first.findings == (told if status in LAUNCHING else ())
    second = plan([row], {NAME: Running("no node has 1500 MiB left")}, first.suspects, first.waiting)
    assert second.findings == ()
    assert second.waiting == first.waiting
    assert plan([row], {NAME: Running()}, second.suspects, second.waiting).waiting == frozenset()


def test_what_the_launcher_knows_of_the_end_is_the_reason() -> None:
    (finding,) = seen_twice(State.ACTIVE, {NAME: Exited(137, "out of memory", Reason.OUT_OF_MEMORY)})
    assert finding.reason is Reason.OUT_OF_MEMORY


def test_an_end_without_an_exit_code_says_so() -> None:
    (finding,) = seen_twice(State.ACTIVE, {NAME: Exited(None, "the node was lost")})
    assert finding.detail == "no exit code. the node was lost"


def test_an_engine_that_serves_two_installations_tells_them_apart() -> None:
    assert NAME.engine_name("blue") == "blue-7-2"
    assert parse_engine_name("blue-7-2", "blue") == NAME
    assert parse_engine_name("blue-7-2", "usher") is None
    assert parse_engine_name("bluer-7-2", "blue") is None
