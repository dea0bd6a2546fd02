"""When a sample was heard."""

from datetime import UTC, datetime, timedelta

import pytest

from usher.bot.audio.clock import SAMPLE_RATE, SampleClock, SteadyClock

_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_FRAME = 1600


class _SetClock(SteadyClock):
    """Shows what the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.time = _START

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def wall() -> _SetClock:
    return _SetClock()


def _hear(clock: SampleClock, wall: _SetClock, *, seconds: float, drift: float = 0.0, late_s: float = 0.0) -> None:
    """Frames of 100 ms; the audio clock runs fast by `drift`."""
    for number in range(round(seconds * 10)):
        wall.time = _START + timedelta(seconds=0.1 * (number + 1) * (1 - drift) + late_s)
        clock.note(number * _FRAME, _FRAME)


def test_the_first_sample_was_heard_before_its_frame_arrived(wall: _SetClock) -> None:
    clock = SampleClock(wall)
    _hear(clock, wall, seconds=0.1)
    assert clock.at(0) == _START
    assert clock.at(SAMPLE_RATE) == _START + timedelta(seconds=1)


def test_drift_does_not_add_up(wall: _SetClock) -> None:
    clock = SampleClock(wall)
    _hear(clock, wall, seconds=600, drift=0.001)
    heard = (clock.at(590 * SAMPLE_RATE) - _START).total_seconds()
    assert heard == pytest.approx(590 * 0.999, abs=0.02)


def test_a_frame_that_comes_late_does_not_move_the_others(wall: _SetClock) -> None:
    clock = SampleClock(wall)
    wall.time = _START + timedelta(seconds=0.9)
    clock.note(0, _FRAME)
    wall.time = _START + timedelta(seconds=0.2)
    clock.note(_FRAME, _FRAME)
    assert (clock.at(0) - _START).total_seconds() == pytest.approx(0.0, abs=0.001)


def test_before_anything_is_heard_it_is_now(wall: _SetClock) -> None:
    assert SampleClock(wall).at(12345) == _START


def test_the_steady_clock_goes_forward() -> None:
    clock = SteadyClock()
    first = clock.now()
    assert first.tzinfo is UTC
    assert clock.now() >= first
