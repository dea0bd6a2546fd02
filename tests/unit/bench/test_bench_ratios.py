"""Ratios of medians and their intervals."""

import random

import pytest
from bench.ratios import ratio_of_medians


def test_ratio_is_that_of_the_medians() -> None:
    assert ratio_of_medians([3.0, 2.0, 100.0], [1.0, 2.0, 2.0]).value == pytest.approx(1.5)


def test_identical_rounds_leave_no_doubt() -> None:
    ratio = ratio_of_medians([2.0] * 10, [1.0] * 10)
    assert (ratio.low, ratio.value, ratio.high) == (2.0, 2.0, 2.0)


def test_interval_holds_the_true_ratio_and_shrinks_with_more_rounds() -> None:
    chance = random.Random(5)  # noqa: S311 - made-up measurements

    def measured(rounds: int) -> tuple[float, float]:
        floor = [chance.gauss(10, 1) for _ in range(rounds)]
        usher = [chance.gauss(12, 1) for _ in range(rounds)]
        ratio = ratio_of_medians(usher, floor)
        assert ratio.low <= ratio.value <= ratio.high
        return ratio.low, ratio.high

    few, many = measured(8), measured(200)
    assert many[0] < 1.2 < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_a_load_that_slows_both_sides_of_a_round_cancels_out() -> None:
    slowness = [1.0, 5.0, 1.5, 9.0, 2.0, 1.1, 7.0, 3.0, 1.0, 4.0, 6.0]
    paired = ratio_of_medians([1.2 * slow for slow in slowness], slowness)
    assert paired.low == pytest.approx(1.2)
    assert paired.high == pytest.approx(1.2)


def test_same_blocks_give_the_same_interval() -> None:
    above, below = [1.0, 3.0, 2.0, 5.0], [1.0, 1.5, 1.2, 0.9]
    assert ratio_of_medians(above, below) == ratio_of_medians(above, below)


@pytest.mark.parametrize(("above", "below"), [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_rounds_that_do_not_match_are_refused(above: list[float], below: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        ratio_of_medians(above, below)
