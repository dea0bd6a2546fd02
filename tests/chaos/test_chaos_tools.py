"""What the stories rely on: scripts travel whole, points have names, the process table is read right, clocks shift."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.chaos_lives import Lives, ProcessTable
from tests.support.chaos_points import Point, parse_point
from tests.support.chaos_script import Script
from tests.support.eventually import eventually

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import WorkloadName
from usher.ports import WorkloadSpec

_LIMIT_S = 30.0
_SHIFT_S = 3600.0
_READ_CLOCKS = """
from tests.support.chaos_clock import shift_wall_clock
shift_wall_clock({shift_s})
import datetime, time
print(time.time(), datetime.datetime.now(datetime.UTC).timestamp(), time.monotonic())
"""


@pytest.mark.parametrize("script", [Script(), Script(stay_s=1.5, talk_s=0.3, fails=2), Script(reason=Reason.EVICTED)])
def test_a_script_travels_in_a_bots_name(script: Script) -> None:
    assert Script.from_name(script.to_name()) == script


def test_a_script_that_is_too_long_for_a_name_is_refused() -> None:
    script = Script(1.25, 2.25, 3.25, 4.25, 5, mute=True, reason=Reason.ADMISSION_TIMEOUT)
    with pytest.raises(ValueError, match="too long"):
        script.to_name()


def test_points_have_names() -> None:
    assert parse_point("start:before") == Point("start", "", after=False)
    assert parse_point("change/retry_granted:after") == Point("change", "retry_granted", after=True)


@pytest.mark.parametrize("text", ["start", "start:during", "nowhere:before"])
def test_a_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no such point"):
        parse_point(text)


async def test_a_workload_is_seen_to_live_and_to_end(tmp_path: Path) -> None:
    launcher = ProcessLauncher(tmp_path, ("sleep", "60"))
    lives = Lives(tmp_path, ProcessTable())
    name = WorkloadName(3, 1)
    await launcher.start(WorkloadSpec(name, {}))
    await eventually(lambda: len(lives.pids(str(name))) > 1, timeout_s=_LIMIT_S)
    assert lives.look() == {str(name)}
    assert [(life.workload, life.ended_s) for life in lives.lives()] == [(name, None)]
    await launcher.stop(name, grace_s=1.0)
    await eventually(lambda: not lives.look(), timeout_s=_LIMIT_S)
    (life,) = lives.lives()
    assert life.ended_s is not None
    assert life.started_s <= life.ended_s <= time.time()


async def test_a_shifted_wall_clock_leaves_the_monotonic_one_alone() -> None:
    code = _READ_CLOCKS.format(shift_s=_SHIFT_S)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, check=True
    )
    wall_s, date_s, monotonic_s = map(float, done.stdout.split())
    assert wall_s - time.time() == pytest.approx(_SHIFT_S, abs=_LIMIT_S)
    assert date_s == pytest.approx(wall_s, abs=_LIMIT_S)
    assert monotonic_s == pytest.approx(time.monotonic(), abs=_LIMIT_S)
