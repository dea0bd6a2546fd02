"""How many requests each API key may make."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from usher.domain.errors import TooFast
from usher.domain.rates import Allowance

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
        self._buckets = Allowance[int](per_s=per_s, burst=burst, clock=clock, most=_MOST)

    def take(self, token_id: int) -> Standing:
        """Take one request from a key's bucket, if there is one."""
        bucket = self._buckets.of(token_id)
        allowed = bucket.allows()
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
