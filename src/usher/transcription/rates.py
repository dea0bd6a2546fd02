"""Limits on how often things happen."""

import asyncio
import collections
from collections.abc import Callable

from usher.transcription.config import ServerConfig

_MOST_KEYS = 4096


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


class Pace:
    """How fast one client may go. One that goes faster is read more slowly; nothing it sent is lost."""

    def __init__(self, config: ServerConfig, clock: Callable[[], float]) -> None:
        self._texts = Bucket(per_s=config.texts_per_s, burst=4 * config.texts_per_s, clock=clock)
        self._frames = Bucket(per_s=config.frames_per_s, burst=config.frames_per_s, clock=clock)
        self._audio = Bucket(per_s=config.max_speed, burst=config.max_speed, clock=clock)

    async def text(self) -> None:
        """Waits as long as one more text message asks for."""
        await asyncio.sleep(self._texts.take())

    async def frame(self, duration_s: float) -> None:
        """Waits as long as one more frame asks for.

        Args:
            duration_s: How much audio is in it.
        """
        await asyncio.sleep(max(self._frames.take(), self._audio.take(duration_s)))


class Allowance:
    """A bucket for each of many keys. Bounded: of very many keys those not seen for longest are forgotten."""

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        """Starts with full buckets; see `Bucket`."""
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: collections.OrderedDict[str, Bucket] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, key: str) -> bool:
        """Takes one from the bucket of a key if there is one."""
        bucket = self._buckets.pop(key, None) or Bucket(per_s=self._per_s, burst=self._burst, clock=self._clock)
        self._buckets[key] = bucket
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return bucket.allows()
