"""The bot's heartbeats: signs of life that ask, while they are at it, which segments are safe."""

import asyncio

import structlog

from usher.bot.callbacks import Callbacks
from usher.bot.line import Line
from usher.bot.publisher import Publisher
from usher.protocol.bot import Patience
from usher.protocol.reports import MOST_MARKS

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 1.0
_LONGEST_TRY_S = 5.0
_SHORTEST_TRY_S = 1.0
_FIRST_QUESTION_S = 0.2
_LONGEST_PAUSE_S = 1.0
_STRANGER_S = 3.0


class Heart:
    """Beats at the manager's pace, and faster while it does not answer: one lost beat stays far from the lease's end.

    Args:
        line: Knows when the manager answered last, and when the attempt is over.
        callbacks: Carries the beats.
        publisher: Whose segments are asked about.
        patience: The pace.
        first_retry_s: Seconds from a failed beat to the next; each further failure doubles them, up to the pace.
    """

    def __init__(
        self,
        line: Line,
        callbacks: Callbacks,
        publisher: Publisher,
        patience: Patience,
        *,
        first_retry_s: float = _FIRST_RETRY_S,
    ) -> None:
        self._line = line
        self._callbacks = callbacks
        self._publisher = publisher
        self._period_s = patience.heartbeat_s
        self._away_s = patience.manager_away_s
        self._first_retry_s = first_retry_s
        self._try_s = min(_LONGEST_TRY_S, max(_SHORTEST_TRY_S, patience.heartbeat_s / 3))
        self._confirms = False

    async def run(self) -> None:
        """Beat until cancelled; return if the attempt is over, or the manager was away for too long."""
        failures = 0
        while not self._line.over.is_set():
            began_s = _now()
            if began_s - self._line.heard_at >= self._away_s:
                log.error("manager_away", seconds=self._away_s)
                return
            if await self._beat():
                failures = 0
                await self._line.wait(max(0.0, began_s + self._period_s - _now()))
            else:
                await self._line.wait(self._retry_s(failures))
                failures += 1

    async def confirm(self, timeout_s: float) -> None:
        """Ask until everything that was sent is safe, at most so long.

        A manager that has never said that anything is safe may be of a version that does not know how: it is asked for
        a shorter time.
        """
        try:
            async with asyncio.timeout(timeout_s) as limit:
                await self._confirm(limit)
        except TimeoutError:
            log.warning("segments_unconfirmed", segments=len(self._publisher.unconfirmed))

    async def _confirm(self, limit: asyncio.Timeout) -> None:
        pause_s = _FIRST_QUESTION_S
        while not self._publisher.delivered and not self._line.over.is_set():
            unsafe = len(self._publisher.unconfirmed)
            if await self._beat(settled=False) and not self._confirms:
                limit.reschedule(min(limit.when() or _now(), _now() + _STRANGER_S))
            if unsafe - len(self._publisher.unconfirmed) == MOST_MARKS:
                continue
            if not self._publisher.delivered:
                await self._line.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _beat(self, *, settled: bool = True) -> bool:
        asked_s = _now()
        asked = self._publisher.unconfirmed.marks(asked_s, settled=settled)
        answer = await self._callbacks.heartbeat(asked, timeout_s=self._try_s)
        if answer is None:
            return False
        if "stored" in answer.model_fields_set:
            self._confirms = True
            self._publisher.settle(asked, answer.stored, asked_s)
        return True

    def _retry_s(self, failures: int) -> float:
        return self._line.shortened(min(self._first_retry_s * 2.0 ** min(failures, 30), self._period_s))


def _now() -> float:
    return asyncio.get_running_loop().time()
