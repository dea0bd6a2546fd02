"""Ratios of medians, and how sure one may be of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two medians.

    Attributes:
        low: Lower end of the 95 % confidence interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def ratio_of_medians(above: Sequence[float], below: Sequence[float], *, seed: int = 1) -> Ratio:
    """Divide the median of `above` by that of `below`, with a bootstrap confidence interval.

    Whole rounds are drawn again, not single operations: operations of one block share whatever else the machine was
    doing, so taking them for independent would make the interval far too narrow. The two blocks of a round stay
    together because they ran side by side.

    Args:
        above: One value per round, all positive.
        below: The other side's value of the same rounds.
        seed: Of the resampling, so that the same blocks give the same interval.

    Raises:
        ValueError: There is no round, or the two sides have not the same rounds.
    """
    if not above or len(above) != len(below):
        raise ValueError(f"{len(above)} and {len(below)} rounds cannot be compared")
    chance = random.Random(seed)  # noqa: S311 - statistics, not secrets
    rounds = list(zip(above, below, strict=True))
    drawn = sorted(_ratio(chance.choices(rounds, k=len(rounds))) for _ in range(_RESAMPLES))
    return Ratio(_ratio(rounds), drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES) - 1])


def _ratio(rounds: Sequence[tuple[float, float]]) -> float:
    return median(above for above, _ in rounds) / median(below for _, below in rounds)
