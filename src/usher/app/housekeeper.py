"""Forgets what nobody will ask for again, and measures what is owed."""

import asyncio
from typing import Protocol

import structlog

from usher.app.loops import run_every, run_forever
from usher.ports import Outbox
from usher.telemetry import OUTBOX_AGE, OUTBOX_DEPTH

log = structlog.get_logger(__name__)

_MEASURE_S = 5.0
_PRUNE_S = 600.0
_MOST_ROWS = 1000
_KEEP_S = 7 * 24 * 3600.0


class OldStore(Outbox, Protocol):
    """The part of the store that is kept in order."""

    async def prune(self, *, older_than_s: float, limit: int) -> int:
        """See `usher.ports.Store`."""
        ...


class Housekeeper:
    """Two loops. Both are safe to run in many processes.

    Args:
        store: What is kept in order.
        keep_s: How long idempotency keys, former connections, commands and buried effects are kept.
    """

    def __init__(self, store: OldStore, *, keep_s: float = _KEEP_S) -> None:
        self._store = store
        self._keep_s = keep_s

    async def run(self) -> None:
        """Keep order until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(run_every(_MEASURE_S, "measure", self.measure))
            loops.create_task(run_forever("prune", self._prune, lambda: asyncio.sleep(_PRUNE_S)))

    async def measure(self) -> None:
        """Set the gauges of the outbox."""
        for lane, backlog in (await self._store.backlogs()).items():
            OUTBOX_DEPTH.labels(lane).set(backlog.depth)
            OUTBOX_AGE.labels(lane).set(backlog.oldest_s)

    async def prune(self) -> int:
        """Forget some of what is old, and return how much."""
        pruned = await self._store.prune(older_than_s=self._keep_s, limit=_MOST_ROWS)
        if pruned:
            log.info("pruned", rows=pruned)
        return pruned

    async def _prune(self) -> bool:
        return await self.prune() > 0
