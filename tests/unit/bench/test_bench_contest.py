"""What a contest makes of its blocks."""

import pytest
from bench.blocks import Block, Rounds
from bench.contest import compare, median_of, remarks

_FAST = Block((0.001, 0.001), 0.002, {200: 2}, server_cpu_s=0.001, client_cpu_s=0.0001)
_SLOW = Block((0.003, 0.003), 0.006, {200: 2}, server_cpu_s=0.002, client_cpu_s=0.0001)
_ROUNDS = Rounds(usher=(_SLOW, _SLOW, _SLOW), floor=(_FAST, _FAST, _SLOW))


def test_ratio_is_usher_to_floor() -> None:
    assert compare(_ROUNDS, lambda block: block.p50_ms).value == pytest.approx(3.0)
    assert compare(_ROUNDS, lambda block: block.rate).value == pytest.approx(1 / 3)


def test_median_is_over_blocks() -> None:
    assert median_of(_ROUNDS.floor, lambda block: block.p50_ms) == pytest.approx(1.0)


def test_remarks_tell_both_sides_and_how_busy_the_load_generator_was() -> None:
    usher, floor = remarks(_ROUNDS)
    assert usher.startswith("usher: p50 3.00 ms, 333/s, CPU 1000 µs")
    assert floor.startswith("floor: p50 1.00 ms")
    assert "6 operations in 3 blocks" in usher
    assert usher.endswith("load generator busy 2%")
