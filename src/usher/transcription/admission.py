"""Whether one more stream may come in: decided by measured load, within hard bounds.

A number of streams says little: most streams of a meeting are silent most of the time. What counts is how busy the
workers are, what the streams that came in of late will add to that, and whether final texts have to wait.
A stream that is in stays in.
"""

import collections
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from usher.transcription.load import WINDOW_S, Load

_FURTHER_STREAM = 0.1
"""What a further stream of a party costs, as a share of the first: it takes turns with the others."""
_LONGEST_WAIT_S = 600.0
_MOST_HEARING = 0.9


class Reason(StrEnum):
    """Why a stream has to wait."""

    FULL = "full"
    """There are `max_streams` streams."""
    BOT_FULL = "bot_full"
    """The bot has `max_streams_per_bot` streams."""
    BUSY = "busy"
    """The workers would be too busy."""
    LAGGING = "lagging"
    """Final texts wait too long."""
    HURRIED = "hurried"
    """Its bot, or its address, asks too often."""
    STOPPING = "stopping"
    """The service is about to end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a service takes on.

    Attributes:
        max_streams: Streams at once.
        max_streams_per_bot: Streams of one bot at once.
        max_load: Share of the workers' time that may be taken, estimated; over 1, partial texts give way.
        max_lag_s: How long final texts may wait for a worker.
        retry_after_s: What a stream that must wait is told where there is no better estimate.
    """

    max_streams: int
    max_streams_per_bot: int
    max_load: float
    max_lag_s: float
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits now.

    Attributes:
        wait_s: For how long the final text that waits longest for a worker has been waiting for it.
        backlog_s: Length of all ended speech that has no text yet.
    """

    wait_s: float
    backlog_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """The place of one stream.

    Attributes:
        bot: Whose stream it is; None for a client without a name.
        since: When it came in, on the admission's clock.
        weight: What it is thought to cost, in parties.
    """

    bot: str | None
    since: float
    weight: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The stream has to wait.

    Attributes:
        reason: Why.
        retry_s: For how long, estimated; above zero.
    """

    reason: Reason
    retry_s: float


class Admission:
    """Keeps the door. Belongs to the event loop."""

    def __init__(self, limits: Limits, load: Load, *, clock: Callable[[], float]) -> None:
        """Starts empty.

        Args:
            limits: How much to take on.
            load: What is measured.
            clock: Monotonic clock, in seconds.
        """
        self._limits = limits
        self._load = load
        self._clock = clock
        self._seats: set[Seat] = set()
        self._bots: collections.Counter[str] = collections.Counter()

    @property
    def streams(self) -> int:
        """Streams that are in."""
        return len(self._seats)

    @property
    def forecast(self) -> float:
        """Share of the workers' time that will be taken by the streams that are in.

        The measured load knows a stream that came in `age` ago to the share 1 - e^(-age / window); the rest of what it
        is thought to cost is added.
        """
        now = self._clock()
        unseen = sum(seat.weight * math.exp(-(now - seat.since) / WINDOW_S) for seat in self._seats)
        return (self._load.busy + unseen * self._load.party_cost) / self._load.workers

    def admit(self, bot: str | None, queue: Queue) -> Seat | Refused:
        """Decides on one more stream. A seat has to be given back by `leave`.

        Args:
            bot: Whose stream it is; None for a client without a name.
            queue: What waits now.
        """
        weight = _FURTHER_STREAM if bot is not None and self._bots[bot] else 1.0
        refused = self._find_obstacle(bot, weight, queue)
        if refused is not None:
            return refused
        seat = Seat(bot, self._clock(), weight)
        self._seats.add(seat)
        if bot is not None:
            self._bots[bot] += 1
        self._count()
        return seat

    def leave(self, seat: Seat) -> None:
        """Takes a seat back. Idempotent."""
        if seat not in self._seats:
            return
        self._seats.remove(seat)
        if seat.bot is not None:
            self._bots[seat.bot] -= 1
            if not self._bots[seat.bot]:
                del self._bots[seat.bot]
        self._count()

    def _find_obstacle(self, bot: str | None, weight: float, queue: Queue) -> Refused | None:
        limits = self._limits
        if len(self._seats) >= limits.max_streams:
            return Refused(Reason.FULL, limits.retry_after_s)
        if bot is not None and self._bots[bot] >= limits.max_streams_per_bot:
            return Refused(Reason.BOT_FULL, limits.retry_after_s)
        # Who comes to an empty house is let in, whatever it is thought to cost: else nobody could ever disprove that.
        if self._seats and max(queue.wait_s, self._load.wait_s) > limits.max_lag_s:
            return Refused(Reason.LAGGING, min(max(1.0, self._load.drain_s(queue.backlog_s)), _LONGEST_WAIT_S))
        if self._seats and self._is_busy(weight):
            return Refused(Reason.BUSY, limits.retry_after_s)
        return None

    def _is_busy(self, weight: float) -> bool:
        load = self._load
        one_more = weight * load.party_cost / load.workers
        return self.forecast + one_more > self._limits.max_load or load.hearing > _MOST_HEARING

    def _count(self) -> None:
        nameless = sum(seat.bot is None for seat in self._seats)
        self._load.serve(len(self._bots) + nameless)
