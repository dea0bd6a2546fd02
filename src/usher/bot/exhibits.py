"""Evidence on its way to the manager: tried a few times, and never waited for longer than a moment."""

import asyncio
from collections import deque

import structlog

from usher.bot.background import Background
from usher.bot.line import Line
from usher.protocol.evidence import MOST_PIECES, Evidence

log = structlog.get_logger(__name__)

_TRIES = 3
_RETRY_S = 1.0


class Exhibits:
    """Sends pieces of evidence, the first few of an attempt."""

    def __init__(self, line: Line, *, retry_s: float = _RETRY_S) -> None:
        self._line = line
        self._retry_s = retry_s
        self._waiting: deque[Evidence] = deque()
        self._shown = 0
        self._sending = Background("evidence", self._send)

    def show(self, evidence: Evidence) -> None:
        """Send a piece in the background; those beyond the limit of an attempt are dropped."""
        if self._shown >= MOST_PIECES:
            log.warning("evidence_not_shown", step=evidence.step, why="enough was shown")
            return
        self._shown += 1
        self._waiting.append(evidence)
        self._sending.begin()

    async def all_shown(self, timeout_s: float) -> None:
        """Wait until nothing is left to send, at most so long; what is left then is given up."""
        if not await self._sending.done(timeout_s):
            log.warning("evidence_not_shown", pieces=len(self._waiting), why="no time is left")
            self._waiting.clear()

    async def stop(self) -> None:
        """Give up what is not sent."""
        await self._sending.stop()

    async def _send(self) -> None:
        while self._waiting and not self._line.over.is_set():
            evidence = self._waiting.popleft()
            if not await self._deliver(evidence):
                log.warning("evidence_not_shown", step=evidence.step, why="the manager did not take it")

    async def _deliver(self, evidence: Evidence) -> bool:
        body = evidence.model_dump(mode="json")
        for number in range(_TRIES):
            if number:
                await asyncio.sleep(self._retry_s)
            answer = await self._line.ask("POST", "/evidence", body)
            if answer is not None:
                return answer.is_success
        return False
