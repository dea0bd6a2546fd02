"""What goes wrong, where and when: decided at every boundary crossing, by lots that are drawn from a seed."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tests.explorer.processes import Process


class Place(StrEnum):
    """A boundary: what lies behind it can be away."""

    STORE = "store"
    LAUNCHER = "launcher"
    REDIS = "redis"
    HTTP = "http"
    WEBHOOK = "webhook"


class Verdict(StrEnum):
    """What becomes of one crossing."""

    FINE = "fine"
    LOST = "lost"
    UNANSWERED = "unanswered"
    TWICE = "twice"
    LATE = "done after it was given up"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    PAUSE_BEFORE = "pause before"
    PAUSE_AFTER = "pause after"


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it is.

    Attributes:
        lost: Probability that a call does not arrive, and that its answer does not.
        unhelpful: Probability that a call to the launcher does not arrive, that its answer does not, and, half as
            often, that it is carried out long after; all beside `lost` and `late`.
        late: Probability that a call is done after its caller has given it up.
        late_s: How much later a request, or the second copy of one, may arrive.
        twice: Probability that a message arrives twice.
        crash: Probability that the caller dies before a call, and after it.
        pause: Probability that the caller stands still for a while before a call, and after it.
        deaf: Probability that a message to a subscriber is lost without a trace.
        blind: Probability that a list of workloads is incomplete.
        full: Probability that the launcher has no room for a workload.
        slow: Probability that a crossing takes up to `slow_s`, rather than `latency_s` on average.
        disaster_s: Mean time between two disasters; 0 for none.
        disasters: Which kinds of disasters there are; all if none is named.
    """

    name: str
    lost: float = 0.0
    unhelpful: float = 0.0
    late: float = 0.0
    late_s: float = 60.0
    twice: float = 0.0
    crash: float = 0.0
    pause: float = 0.0
    deaf: float = 0.0
    blind: float = 0.0
    full: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.0
    latency_s: float = 0.0
    disaster_s: float = 0.0
    disasters: tuple[str, ...] = ()


CALM = Weather("calm")


class Plan(Protocol):
    """Decides."""

    def verdict(self, place: Place, name: str, process: Process | None) -> Verdict:
        """Return what becomes of a crossing by `process`."""
        ...

    def delay_s(self) -> float:
        """Return how long one way takes."""
        ...

    def pause_s(self) -> float:
        """Return for how long somebody stands still."""
        ...

    def is_deaf(self) -> bool:
        """Say whether a message to a subscriber is lost."""
        ...

    def is_full(self) -> bool:
        """Say whether the launcher has no room."""
        ...

    def blind_spot(self, count: int) -> int | None:
        """Return which of so many workloads a list leaves out, if any."""
        ...

    def answer_s(self) -> float:
        """Return how long an answer takes."""
        ...

    def late_s(self) -> float:
        """Return how much later something arrives that nobody waits for any more."""
        ...


class SeededPlan:
    """Draws from a generator. Once the storm is over everything is fine, and takes no time.

    Attributes:
        weather: How bad it is now.
    """

    def __init__(self, chance: random.Random, weather: Weather) -> None:
        self.weather = weather
        self._chance = chance

    def verdict(self, place: Place, name: str, process: Process | None) -> Verdict:  # noqa: ARG002 - of the protocol
        """Draw a verdict."""
        weather = self.weather
        if weather is CALM:
            return Verdict.FINE
        drawn = self._chance.random()
        twice = weather.twice if place in {Place.HTTP, Place.REDIS, Place.WEBHOOK} else 0.0
        unhelpful = weather.unhelpful if place is Place.LAUNCHER else 0.0
        lost, late = weather.lost + unhelpful, weather.late + unhelpful / 2
        crash, pause = (weather.crash, weather.pause) if process is not None else (0.0, 0.0)
        for verdict, probability in (
            (Verdict.LOST, lost),
            (Verdict.UNANSWERED, lost),
            (Verdict.LATE, late),
            (Verdict.TWICE, twice),
            (Verdict.CRASH_BEFORE, crash),
            (Verdict.CRASH_AFTER, crash),
            (Verdict.PAUSE_BEFORE, pause),
            (Verdict.PAUSE_AFTER, pause),
        ):
            if drawn < probability:
                return verdict
            drawn -= probability
        return Verdict.FINE

    def delay_s(self) -> float:
        """Draw a delay."""
        weather = self.weather
        if weather is CALM:
            return 0.0
        if weather.slow and self._chance.random() < weather.slow:
            return self._chance.uniform(0.0, weather.slow_s)
        return self._chance.expovariate(1.0 / weather.latency_s) if weather.latency_s else 0.0

    def answer_s(self) -> float:
        """Draw a delay: none, mostly, because every step of a run costs time, and the way there has one already."""
        slow = self.weather.slow > 0.0 and self._chance.random() < self.weather.slow
        return self._chance.uniform(0.0, self.weather.slow_s) if slow else 0.0

    def late_s(self) -> float:
        """Draw a delay."""
        return self._chance.uniform(0.0, self.weather.late_s)

    def is_deaf(self) -> bool:
        """Draw."""
        return self.weather.deaf > 0.0 and self._chance.random() < self.weather.deaf

    def is_full(self) -> bool:
        """Draw."""
        return self.weather.full > 0.0 and self._chance.random() < self.weather.full

    def blind_spot(self, count: int) -> int | None:
        """Draw."""
        blind = self.weather.blind > 0.0 and count > 0 and self._chance.random() < self.weather.blind
        return self._chance.randrange(count) if blind else None

    def pause_s(self) -> float:
        """Draw a duration: mostly short, sometimes longer than any claim, lease or patience."""
        return self._chance.choice((0.5, 3.0, 8.0, 20.0, 45.0)) * self._chance.uniform(0.5, 1.5)
