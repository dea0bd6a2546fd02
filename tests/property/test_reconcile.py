"""`plan()` over any meetings, any listing and any suspicion."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from usher.domain.lifecycle import (
    HAS_WORKLOAD,
    LEASED,
    LIVE,
    Applied,
    Event,
    Snapshot,
    Source,
    State,
    decide,
)
from usher.domain.reconcile import (
    MAY_NOT_HAVE_BEGUN,
    Exited,
    Gone,
    Observation,
    Plan,
    Running,
    Unknown,
    Watched,
    WorkloadName,
    parse_workload_name,
    plan,
)

JUDGED_BY_WORKLOAD = {Event.CRASHED, Event.WORKLOAD_VANISHED}
MEETING_IDS = st.integers(1, 6)
ATTEMPTS = st.integers(1, 3)
ROWS = st.lists(
    st.builds(Watched, MEETING_IDS, ATTEMPTS, st.sampled_from(sorted(LIVE)), st.booleans(), st.booleans()),
    unique_by=lambda row: row.meeting_id,
    max_size=6,
)
NAMES = st.builds(WorkloadName, MEETING_IDS, ATTEMPTS)
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    st.just(Running()),
    st.builds(Exited, st.none() | st.integers(0, 255), st.text(max_size=5)),
    st.just(Gone()),
    st.builds(Unknown, st.text(max_size=5)),
)
LISTINGS = st.dictionaries(NAMES, OBSERVATIONS, max_size=8)
SUSPECTS = st.frozensets(NAMES, max_size=6)


def about_workloads(done: Plan) -> set[WorkloadName]:
    return {WorkloadName(f.meeting_id, f.attempt) for f in done.findings if f.event in JUDGED_BY_WORKLOAD}


@given(ROWS, st.none() | LISTINGS, SUSPECTS)
def test_there_is_at_most_one_finding_for_a_meeting(
    rows: list[Watched], observed: dict[WorkloadName, Observation] | None, suspects: frozenset[WorkloadName]
) -> None:
    done = plan(rows, observed, suspects)
    assert max(Counter(finding.meeting_id for finding in done.findings).values(), default=0) <= 1
    assert done == plan(rows, observed, suspects)


@given(ROWS, SUSPECTS)
def test_of_a_launcher_that_does_not_answer_nothing_is_concluded(
    rows: list[Watched], suspects: frozenset[WorkloadName]
) -> None:
    done = plan(rows, None, suspects)
    assert not about_workloads(done)
    assert done.removals == ()
    assert done.suspects == frozenset()


@given(ROWS, LISTINGS)
def test_the_first_look_convicts_no_workload(rows: list[Watched], observed: dict[WorkloadName, Observation]) -> None:
    assert not about_workloads(plan(rows, observed, frozenset()))


@given(ROWS, LISTINGS, SUSPECTS)
def test_only_a_suspect_is_convicted_and_only_if_it_still_looks_dead(
    rows: list[Watched], observed: dict[WorkloadName, Observation], suspects: frozenset[WorkloadName]
) -> None:
    done = plan(rows, observed, suspects)
    for name in about_workloads(done):
        assert name in suspects
        assert isinstance(observed.get(name, Gone()), Exited | Gone)
    assert not about_workloads(done) & done.suspects


@given(ROWS, LISTINGS)
def test_the_second_look_convicts_what_the_first_suspected(
    rows: list[Watched], observed: dict[WorkloadName, Observation]
) -> None:
    first = plan(rows, observed)
    second = plan(rows, observed, first.suspects)
    assert about_workloads(second) == first.suspects
    assert not second.suspects


@given(ROWS, LISTINGS, SUSPECTS)
def test_what_is_dead_for_certain_is_found(
    rows: list[Watched], observed: dict[WorkloadName, Observation], suspects: frozenset[WorkloadName]
) -> None:
    done = plan(rows, observed, suspects)
    spoken_of = {finding.meeting_id for finding in done.findings} | {name.meeting_id for name in done.suspects}
    for row in rows:
        observation = observed.get(row.workload, Gone())
        may_be_judged = row.status in HAS_WORKLOAD - {State.ERROR}
        dead = isinstance(observation, Exited) or (
            isinstance(observation, Gone) and row.status not in MAY_NOT_HAVE_BEGUN
        )
        if may_be_judged and dead:
            assert row.meeting_id in spoken_of


@given(ROWS, st.none() | LISTINGS, SUSPECTS)
def test_time_is_up_whatever_the_launcher_says(
    rows: list[Watched], observed: dict[WorkloadName, Observation] | None, suspects: frozenset[WorkloadName]
) -> None:
    found = {finding.meeting_id: finding.event for finding in plan(rows, observed, suspects).findings}
    for row in rows:
        if row.lease_expired and row.status in LEASED:
            assert found[row.meeting_id] is Event.LEASE_EXPIRED
        elif row.deadline_passed:
            assert found[row.meeting_id] is Event.DEADLINE_PASSED


@given(ROWS, LISTINGS, SUSPECTS)
def test_exactly_what_no_meeting_is_about_is_removed(
    rows: list[Watched], observed: dict[WorkloadName, Observation], suspects: frozenset[WorkloadName]
) -> None:
    """Older attempts and workloads of unknown meetings go; the current workload of a live meeting never does."""
    done = plan(rows, observed, suspects)
    current = {WorkloadName(row.meeting_id, row.attempt) for row in rows}
    assert set(done.removals) == set(observed) - current
    assert len(done.removals) == len(set(done.removals))


@given(ROWS, st.none() | LISTINGS, SUSPECTS)
def test_every_finding_moves_its_meeting(
    rows: list[Watched], observed: dict[WorkloadName, Observation] | None, suspects: frozenset[WorkloadName]
) -> None:
    """What the reconciler reports is never refused: the table has a row for it."""
    by_id = {row.meeting_id: row for row in rows}
    for finding in plan(rows, observed, suspects).findings:
        row = by_id[finding.meeting_id]
        assert finding.attempt == row.attempt
        meeting = Snapshot(row.status, row.attempt)
        assert isinstance(decide(meeting, finding.event, Source.RECONCILER, finding.attempt), Applied)


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**31 - 1))
def test_names_of_workloads_go_there_and_back(meeting_id: int, attempt: int) -> None:
    name = WorkloadName(meeting_id, attempt)
    assert parse_workload_name(str(name)) == name


@given(st.text(max_size=30) | st.from_regex(r"usher-[0-9a-z-]{0,12}", fullmatch=True))
def test_other_names_are_nobodys(name: str) -> None:
    parsed = parse_workload_name(name)
    assert parsed is None or name.startswith("usher-")
