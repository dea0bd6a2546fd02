"""What a metric is, and which there are: one module `bench/b<number>_<name>.py` for each."""

import pkgutil
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_MODULE = re.compile(r"b(\d+)_\w+")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: Rounds that count, each a block of Usher and one of the floor.
        warmup: Rounds before them that are thrown away.
        size: Operations of a block, as a share of what the metric takes for right.
        profile_dir: Run the servers under cProfile and leave what it found here; the figures mean nothing then.
    """

    rounds: int
    warmup: int
    size: float
    profile_dir: Path | None = None

    def sized(self, operations: int) -> int:
        """Return how many operations a block has."""
        return max(16, round(operations * self.size))

    def pick(self, full: _T, quick: _T) -> _T:
        """Return what is for a full measurement, or for a smoke test."""
        return full if self.size >= 1.0 else quick


FULL = Effort(rounds=30, warmup=3, size=1.0)
QUICK = Effort(rounds=3, warmup=1, size=0.1)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement found.

    Attributes:
        ratio: To the floor; None where there is none.
        ci95: Confidence interval of the ratio; None where there is no ratio.
        value: The figure itself.
        met: Whether the whole target is met.
        cpu_s_per_op: CPU seconds of Usher's server process per operation.
        remarks: For whoever watches the run: the floor's figures, what was counted.
    """

    ratio: float | None
    ci95: tuple[float, float] | None
    value: float
    met: bool
    cpu_s_per_op: float | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        title: What is measured, a few words.
        floor: What it is compared with, a few words; None if with nothing.
        unit: Of the value.
        target: What has to hold for `met`.
        measure: Starts what it needs, measures, and leaves nothing running.
    """

    title: str
    floor: str | None
    unit: str
    target: str
    measure: Callable[[Effort], Awaitable[Measured]]


def find_metrics() -> Mapping[str, Metric]:
    """Return the metrics by id (`B1`), in the order of their numbers. Each module has one called `METRIC`."""
    package = Path(__file__).parent
    names = [match for info in pkgutil.iter_modules([str(package)]) if (match := _MODULE.fullmatch(info.name))]
    names.sort(key=lambda match: int(match[1]))
    return {f"B{match[1]}": import_module(f"bench.{match[0]}").METRIC for match in names}
