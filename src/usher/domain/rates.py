"""Limits on how often things happen. The clock is the caller's."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Bucket:
    """Lets a number of things happen at once, and so many a second after that."""

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        """Starts full.

        Args:
            per_s: How many a second in the long run.
            burst: How many at once.
            clock: Monotonic clock, in seconds.
        """
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    @property
    def left(self) -> float:
        """How many there were when it was last asked; below zero on credit."""
        return self._left

    def take(self, amount: float = 1.0) -> float:
        """Takes an amount, on credit if need be.

        Returns:
            Seconds until the credit is paid back: how long to wait before going on.
        """
        self._refill()
        self._left -= amount
        return max(0.0, -self._left / self._per_s)

    def allows(self) -> bool:
        """Takes one if there is one."""
        self._refill()
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now


class Allowance(Generic[Key]):
    """A bucket for each of many keys. Bounded: of very many keys those not seen for longest are forgotten."""

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float], most: int = 4096) -> None:
        """Starts with full buckets; see `Bucket`.

        Args:
            per_s: Of each key.
            burst: Of each key.
            clock: Monotonic clock, in seconds.
            most: Keys that are remembered.
        """
        self._most = most
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, key: Key) -> bool:
        """Takes one from the bucket of a key if there is one."""
        return self.of(key).allows()

    def of(self, key: Key) -> Bucket:
        """Finds the bucket of a key, which is seen by that."""
        bucket = self._buckets.pop(key, None) or Bucket(per_s=self._per_s, burst=self._burst, clock=self._clock)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket
