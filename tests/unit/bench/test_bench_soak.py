"""What a soak makes of what it saw."""

from dataclasses import replace

import pytest
from bench.soak import Findings, Sample, slope
from tests.support.bot_hearing import Heard

from usher.domain.meeting import Platform

_WELL = Findings(
    platform=Platform.ROOM,
    minutes=30.0,
    heard=Heard(said_s=100.0, right_s=99.0, wrong_s=0.5, nameless_s=0.0),
    coverage=1.0002,
    missing_s=0.0,
    memory_mb_per_hour=5.0,
    cores=0.3,
    went=True,
)


def test_a_soak_that_went_well_is_sound() -> None:
    assert _WELL.sound
    assert "left orderly, no ghost" in _WELL.lines()


@pytest.mark.parametrize(
    "flaw",
    [
        {"went": False},
        {"coverage": 0.998},
        {"memory_mb_per_hour": 100.0},
        {"heard": Heard(said_s=100.0, right_s=90.0, wrong_s=10.0, nameless_s=0.0)},
        {"heard": Heard(said_s=100.0, right_s=90.0, wrong_s=0.0, nameless_s=0.0)},
    ],
)
def test_any_flaw_is_told(flaw: dict[str, object]) -> None:
    assert not replace(_WELL, **flaw).sound  # type: ignore[arg-type] # the flaws are fields of the findings


def test_memory_that_grows_is_found_after_the_first_fifth() -> None:
    samples = [Sample(at_s, 0.0, 300.0 if at_s < 100 else 200.0 + at_s / 36.0) for at_s in range(0, 600, 10)]
    assert slope(samples) == pytest.approx(100.0, rel=0.01)
    assert slope(samples[:2]) == 0.0
