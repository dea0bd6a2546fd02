"""A part of the explorer's work for every run of the tests; the long form is `make chaos`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.explorer import crashes
from tests.explorer.exploration import explore
from tests.explorer.plans import Verdict

from usher.domain.lifecycle import State

_ROOT = Path(__file__).parents[2]
_SEEDS = range(60)
_SHARES = 6
"""The story that is told with a crash at each step is told in so many tests."""


@pytest.mark.parametrize("seed", _SEEDS)
def test_whatever_happens_the_state_is_true(seed: int) -> None:
    outcome = explore(seed)
    if outcome.complaints:
        story = explore(seed, told=True).chronicle.story()
        pytest.fail(f"python -m tests.explorer --seed {seed} --story\n{outcome.complaints}\n{story[-5000:]}")


def test_much_happens_in_these_runs() -> None:
    outcomes = [explore(seed) for seed in _SEEDS[:10]]
    assert sum(outcome.meetings for outcome in outcomes) > 20
    assert sum(outcome.chronicle.faults.total() for outcome in outcomes) > 100
    assert len({outcome.chronicle.interleaving for outcome in outcomes}) == len(outcomes)


def test_a_run_is_a_function_of_its_seed_whatever_the_order_of_sets() -> None:
    program = "from tests.explorer.exploration import explore; print(*(explore(n).chronicle.trace for n in range(4)))"
    traces = {
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(traces) == 1
    assert len(set(traces.pop().split())) == 4


def test_the_story_that_is_retold_goes_through_a_retry_and_a_stop() -> None:
    told = crashes.tell(None)
    assert not told.complaints
    assert {State.ERROR, State.RECONFIGURING, State.STOPPING, State.COMPLETED} <= set(told.states)
    assert told.states.count(State.STARTING) == 2
    assert told.crossings > 100


@pytest.mark.parametrize("share", range(_SHARES))
def test_a_crash_at_any_step_changes_nothing_in_the_end(share: int) -> None:
    accidents = (Verdict.CRASH_BEFORE, Verdict.CRASH_AFTER)
    retold = list(crashes.retell(accidents, first=share, step=_SHARES))
    assert all(one.where for one in retold)
    wrong = [(one.accident, one.where, one.complaints) for one in retold if one.complaints]
    assert not wrong, wrong


def test_a_lost_answer_or_a_pause_at_some_steps_changes_nothing_in_the_end() -> None:
    accidents = (Verdict.LOST, Verdict.UNANSWERED, Verdict.PAUSE_AFTER)
    wrong = [one for one in crashes.retell(accidents, step=9) if one.complaints]
    assert not wrong, [(one.accident, one.where, one.complaints) for one in wrong]
