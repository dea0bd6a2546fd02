"""How many requests each API key may make."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from usher.domain.errors import TooFast

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands.

    Attributes:
        limit: Requests at once at most.
        remaining: How many of them are left; -1 if this request was one too many.
        reset_s: Until all of them are there again, if nothing is asked.
    """

    limit: int
    remaining: int
    reset_s: int


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """A bucket of requests for each key, refilled all the time. Each process has its own.

    Bounded: of very many keys those that were not seen for longest are forgotten, and begin with a full bucket.

    Args:
        per_s: Requests a second in the long run.
        burst: Requests at once.
        clock: Monotonic, in seconds.
    """

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def take(self, token_id: int) -> Standing:
        """Take one request from a key's bucket, if there is one."""
        now = self._clock()
        bucket = self._buckets.get(token_id)
        if bucket is None:
            bucket = self._buckets[token_id] = _Bucket(self._burst, now)
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(token_id)
        left = min(self._burst, bucket.left + (now - bucket.at) * self._per_s)
        allowed = left >= 1.0
        bucket.left, bucket.at = left - allowed, now
        reset_s = math.ceil((self._burst - bucket.left) / self._per_s)
        return Standing(self._burst, int(bucket.left) if allowed else -1, reset_s)

    def require(self, standing: Standing) -> None:
        """Refuse the request of a key whose bucket was empty.

        Raises:
            TooFast: It was.
        """
        if standing.remaining < 0:
            wait_s = max(1, math.ceil(1.0 / self._per_s))
            raise TooFast("too_fast", f"This key makes more than {self._per_s:g} requests a second. Slow down.", wait_s)


def headers(standing: Standing) -> list[tuple[bytes, bytes]]:
    """Return what an answer says of its key's rate.

    Source: draft-ietf-httpapi-ratelimit-headers-05: `RateLimit-Limit`, `-Remaining` and `-Reset` (seconds).
    """
    return [
        (b"ratelimit-limit", b"%d" % standing.limit),
        (b"ratelimit-remaining", b"%d" % max(0, standing.remaining)),
        (b"ratelimit-reset", b"%d" % standing.reset_s),
    ]
