"""Shares the engine's workers out among all streams.

All state belongs to the event loop; only the engine runs in threads. Finals go before drafts, and among streams the one
served longest ago goes first.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import structlog

from usher.transcription.engine import Engine, EngineError, Result
from usher.transcription.lane import Lane, Work

log = structlog.get_logger(__name__)

_Batch = list[tuple[Lane, Work]]


class Scheduler:
    """The workers and the lanes they serve. Make it with `open_scheduler`."""

    def __init__(self, engine: Engine, *, batch_size: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._engine = engine
        self._batch_size = batch_size
        self._lanes: set[Lane] = set()
        self._wake = asyncio.Event()
        self._turns = itertools.count(1)

    @contextlib.contextmanager
    def lane(self) -> Iterator[Lane]:
        """Serves a stream for as long as the context lasts; work left at its end is forgotten."""
        lane = Lane(wake=self.wake, clock=self.clock)
        self._lanes.add(lane)
        try:
            yield lane
        finally:
            lane.close()
            self._lanes.discard(lane)

    def wake(self) -> None:
        """Tells the workers that there is work."""
        self._wake.set()

    @property
    def waiting_finals(self) -> int:
        """Ended utterances of all streams that have no text yet."""
        return sum(lane.waiting_finals for lane in self._lanes)

    @property
    def lag_s(self) -> float:
        """How long the oldest of them has been waiting."""
        waiting = [at for lane in self._lanes if (at := lane.oldest_final_at) is not None]
        return self.clock() - min(waiting) if waiting else 0.0

    async def work(self, pool: ThreadPoolExecutor) -> None:
        """Serves lanes until cancelled. Run once per worker."""
        while True:
            while not (batch := self._pick()):
                self._wake.clear()
                await self._wake.wait()
            await self._run(batch, pool)

    def _pick(self) -> _Batch:
        lanes = sorted(self._lanes, key=lambda lane: lane.turn)
        finals = [(lane, work) for lane in lanes if (work := lane.next_final())]
        drafts = [(lane, work) for lane in lanes if (work := lane.next_draft())]
        batch = (finals + drafts)[: self._batch_size]
        for lane, work in batch:
            lane.start(work, next(self._turns))
        return batch

    async def _run(self, batch: _Batch, pool: ThreadPoolExecutor) -> None:
        jobs = [work.request.build() for _, work in batch]
        results: list[Result] | list[None]
        try:
            results = await asyncio.get_running_loop().run_in_executor(pool, self._engine.transcribe, jobs)
        except EngineError as error:
            log.warning("transcription_failed", jobs=len(jobs), error=str(error))
            if len(batch) > 1:
                for one in batch:
                    await self._run([one], pool)
                return
            results = [None]
        for (lane, work), result in zip(batch, results, strict=True):
            lane.complete(work, result)
        self.wake()


@contextlib.asynccontextmanager
async def open_scheduler(
    engine: Engine, *, workers: int, batch_size: int = 1, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Scheduler]:
    """Runs a scheduler with its workers.

    Args:
        engine: A loaded engine.
        workers: Engine calls at the same time, one thread each.
        batch_size: Most jobs per engine call.
        clock: Monotonic clock, in seconds.

    Raises:
        ExceptionGroup: A worker broke on something that is no EngineError: a bug.
    """
    scheduler = Scheduler(engine, batch_size=batch_size, clock=clock)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="transcribe")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(scheduler.work(pool)) for _ in range(workers)]
            try:
                yield scheduler
            finally:
                for task in tasks:
                    task.cancel()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
