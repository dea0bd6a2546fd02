"""When a sample was heard: the audio clock of a track against the time of day."""

import time
from bisect import bisect_right
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Protocol

SAMPLE_RATE = 16_000
_ANCHOR_EVERY = 5 * SAMPLE_RATE
_MOST_ANCHORS = 4000


class Moments(Protocol):
    """Tells when samples were heard."""

    def at(self, position: int) -> datetime:
        """Return when the sample at `position` was heard."""
        ...


class SteadyClock:
    """The time of day at the start, carried on by the monotonic clock: a clock that is set changes nothing."""

    def __init__(self) -> None:
        self._utc = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return self._utc + timedelta(seconds=time.monotonic() - self._started)


class SampleClock:
    """Maps positions of samples to moments. Anchored anew every few seconds, as audio clocks drift.

    Several tracks may share it, if their positions are on one time line.
    """

    def __init__(self, clock: SteadyClock) -> None:
        self._clock = clock
        self._positions: deque[int] = deque(maxlen=_MOST_ANCHORS)
        self._moments: deque[datetime] = deque(maxlen=_MOST_ANCHORS)

    def note(self, position: int, samples: int) -> None:
        """Take note that samples from `position` on have just arrived.

        Samples come late where the machine is busy, and never early: the earliest of a few seconds tells best.
        """
        heard = self._clock.now() - timedelta(seconds=samples / SAMPLE_RATE)
        if not self._positions or position >= self._positions[-1] + _ANCHOR_EVERY:
            self._positions.append(position)
            self._moments.append(heard)
        elif position >= self._positions[-1]:
            since = timedelta(seconds=(position - self._positions[-1]) / SAMPLE_RATE)
            self._moments[-1] = min(self._moments[-1], heard - since)

    def at(self, position: int) -> datetime:
        """Return when the sample at `position` was heard."""
        index = max(0, bisect_right(self._positions, position) - 1)
        if not self._positions:
            return self._clock.now()
        return self._moments[index] + timedelta(seconds=(position - self._positions[index]) / SAMPLE_RATE)
