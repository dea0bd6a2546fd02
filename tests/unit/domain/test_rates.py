"""Limits on how often things happen, with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.domain.rates import Allowance, Bucket


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_asks_for_patience() -> None:
    clock = Clock()
    bucket = Bucket(per_s=10.0, burst=3.0, clock=clock)
    assert [bucket.take() for _ in range(5)] == [0.0, 0.0, 0.0, 0.1, 0.2]
    clock.now += 0.2
    assert bucket.take(2.0) == pytest.approx(0.2)


@given(steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 30.0)), min_size=1, max_size=50))
def test_who_waits_as_told_is_never_faster_than_allowed(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    bucket, begun, taken = Bucket(per_s=20.0, burst=20.0, clock=clock), clock.now, 0.0
    for pause_s, amount in steps:
        clock.now += pause_s
        clock.now += bucket.take(amount)
        taken += amount
        assert taken <= 20.0 + 20.0 * (clock.now - begun) + 1e-6


def test_who_asks_too_often_is_told_apart_from_its_neighbours() -> None:
    clock = Clock()
    allowance = Allowance[str](per_s=0.05, burst=3.0, clock=clock)
    assert [allowance.allows("bad") for _ in range(5)] == [True, True, True, False, False]
    assert allowance.allows("good")
    clock.now += 20.0
    assert [allowance.allows("bad") for _ in range(2)] == [True, False]


def test_keys_are_kept_in_bounded_memory_and_the_present_ones_stay() -> None:
    allowance = Allowance[str](per_s=0.05, burst=3.0, clock=Clock())
    for number in range(10_000):
        allowance.allows(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
        allowance.allows("always there")
    assert len(allowance) == 4096
    assert not allowance.allows("always there")
