"""A part of the explorer's work for every run of the tests; the long form is `make chaos`."""

import pytest
from tests.explorer import crashes
from tests.explorer.exploration import explore

from usher.domain.lifecycle import State

_SEEDS = range(48)
_STEP = 12
"""Of the crossings of the story that is told with a crash at each, this many are told together in one test."""


@pytest.mark.parametrize("seed", _SEEDS)
def test_whatever_happens_the_state_is_true(seed: int) -> None:
    outcome = explore(seed)
    story = outcome.chronicle.story()
    assert not outcome.complaints, (
        f"python -m tests.explorer --seed {seed} --story\n{outcome.complaints}\n{story[-5000:]}"
    )


def test_much_happens_in_these_runs() -> None:
    outcomes = [explore(seed) for seed in _SEEDS[:8]]
    assert sum(outcome.meetings for outcome in outcomes) > 10
    assert sum(outcome.chronicle.faults.total() for outcome in outcomes) > 100


def test_a_run_is_a_function_of_its_seed() -> None:
    first, again = explore(7), explore(7)
    assert first.chronicle.trace == again.chronicle.trace
    assert first.chronicle.trace != explore(8).chronicle.trace


def test_the_story_that_is_retold_goes_through_a_retry_and_a_stop() -> None:
    told = crashes.tell(None)
    assert not told.complaints
    assert {State.ERROR, State.RECONFIGURING, State.STOPPING, State.COMPLETED} <= set(told.states)


def test_a_crash_at_any_step_changes_nothing_in_the_end() -> None:
    wrong = [retold for retold in crashes.retell(step=_STEP) if retold.complaints]
    assert not wrong, [(retold.accident, retold.where, retold.complaints) for retold in wrong]
