"""A lane leaves time out, and knows when each of its samples was heard all the same."""

import array
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.bot.audio.lane import LaneMoments

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SECOND = 16_000


class _EvenTime:
    """Every sample takes its time."""

    def at(self, position: int) -> datetime:
        return _BEGAN + timedelta(seconds=position / _SECOND)


def _seconds(moments: LaneMoments, position: float) -> float:
    return (moments.at(round(position * _SECOND)) - _BEGAN).total_seconds()


def test_samples_after_a_jump_were_heard_later() -> None:
    moments = LaneMoments(_EvenTime())
    moments.jump(0, 3 * _SECOND)
    moments.jump(2 * _SECOND, 60 * _SECOND)
    assert [_seconds(moments, at) for at in (0, 1, 2, 2.5, 4)] == pytest.approx([3, 4, 5, 60.5, 62], abs=0.001)


def test_without_any_sound_time_is_the_bots() -> None:
    assert _seconds(LaneMoments(_EvenTime()), 5) == 5


@given(st.lists(st.tuples(st.integers(1, 5 * _SECOND), st.integers(0, 500 * _SECOND)), min_size=1, max_size=50))
def test_time_never_goes_back_and_never_stands_still(stretches: list[tuple[int, int]]) -> None:
    moments = LaneMoments(_EvenTime())
    written, elsewhere = 0, 0
    for length, pause in stretches:
        elsewhere += pause
        moments.jump(written, elsewhere)
        written += length
        elsewhere += length
    at = array.array("d", (_seconds(moments, position / _SECOND) for position in range(0, written, 999)))
    assert all(later > earlier for earlier, later in pairwise(at))
