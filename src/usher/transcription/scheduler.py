"""Shares the engine's workers out among all streams.

All state belongs to the event loop; only the engine runs in threads. Finals go before drafts, and among streams the one
served longest ago goes first.

Work of one quality is done in batches: on short windows most of the time goes into reading the decoder's weights,
which a batch reads once. Finals are never held back for company, and idle workers share them. Drafts wait a moment for
others when several streams are open, and for a moment more to leave one worker, if there are two, to what is urgent.
"""

import asyncio
import contextlib
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import structlog

from usher.transcription.engine import Engine, EngineError, EngineUnavailable, Job, Quality, Result
from usher.transcription.lane import Lane, Work
from usher.transcription.meter import Meter
from usher.transcription.pcm import seconds

log = structlog.get_logger(__name__)

_CROWD = 3
"""Open streams from which a draft is likely to find company."""

_OVERDUE_S = 0.15
"""How long drafts wait for a second idle worker, after they have waited for company."""

_Batch = list[tuple[Lane, Work]]


class Scheduler:
    """The workers and the lanes they serve. Make it with `open_scheduler`."""

    def __init__(
        self,
        engine: Engine,
        *,
        workers: int,
        batch_size: int,
        draft_wait_s: float,
        outage_pause_s: float,
        meter: Meter,
    ) -> None:
        self._meter = meter
        self._clock = meter.clock
        self._engine = engine
        self._workers = workers
        self._batch_size = batch_size
        self._draft_wait_s = draft_wait_s
        self._outage_pause_s = outage_pause_s
        self._idle = 0
        self._lanes: set[Lane] = set()
        self._wake = asyncio.Event()
        self._turns = itertools.count(1)

    @contextlib.contextmanager
    def lane(self) -> Iterator[Lane]:
        """Serves a stream for as long as the context lasts; work left at its end is forgotten."""
        lane = Lane(wake=self.wake, meter=self._meter)
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
        return max((lane.lag_s for lane in self._lanes), default=0.0)

    @property
    def wait_s(self) -> float:
        """For how long the stream whose turn it is has been waiting for a worker."""
        return max((lane.wait_s for lane in self._lanes), default=0.0)

    @property
    def backlog_s(self) -> float:
        """Length of all ended utterances that have no text yet."""
        return seconds(sum(lane.backlog for lane in self._lanes))

    def worst_lags_s(self, count: int) -> list[float]:
        """Finds the longest lags of streams, longest first; streams without any are left out."""
        return heapq.nlargest(count, (lag_s for lane in self._lanes if (lag_s := lane.lag_s) > 0.0))

    async def work(self, pool: ThreadPoolExecutor) -> None:
        """Serves lanes until cancelled. Run once per worker."""
        self._idle += 1
        while True:
            while not (batch := self._pick()):
                self._wake.clear()
                await self._sleep()
            self._idle -= 1
            await self._run(batch, pool)
            self._idle += 1

    async def _sleep(self) -> None:
        """Waits for work, or until the drafts there are have waited long enough for company, or for a second worker."""
        drafts = self._drafts()
        due_s = self._patience_s(drafts) if drafts else 0.0
        ahead = [left_s for left_s in (due_s, due_s + _OVERDUE_S) if drafts and left_s > 0.0]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ahead[0] if ahead else None):
                await self._wake.wait()

    def _pick(self) -> _Batch:
        drafts = self._drafts()
        urgent = [(lane, work) for lane in self._by_turn() if (work := lane.next_final())]
        urgent += [(lane, work) for lane, work in drafts if work.request.quality is Quality.FINAL]
        if urgent:
            batch = urgent[: min(self._batch_size, math.ceil(len(urgent) / max(1, self._idle)))]
        elif self._may_draft(drafts):
            batch = drafts[: self._batch_size]
        else:
            return []
        for lane, work in batch:
            lane.start(work, next(self._turns))
        return batch

    def _may_draft(self, drafts: _Batch) -> bool:
        """Says whether a worker may take drafts: the last one that is idle only those that have waited for long."""
        if self._idle >= min(2, self._workers):
            return self._are_due(drafts)
        return bool(drafts) and self._patience_s(drafts) <= -_OVERDUE_S

    def _are_due(self, drafts: _Batch) -> bool:
        return len(drafts) >= self._batch_size or bool(drafts and self._patience_s(drafts) <= 0)

    def _by_turn(self) -> list[Lane]:
        return sorted(self._lanes, key=lambda lane: lane.turn)

    def _drafts(self) -> _Batch:
        return [(lane, work) for lane in self._by_turn() if (work := lane.next_draft())]

    def _patience_s(self, drafts: _Batch) -> float:
        """How much longer the oldest of some drafts waits for company."""
        wait_s = self._draft_wait_s if len(self._lanes) >= _CROWD else 0.0
        return wait_s - (self._clock() - min(work.submitted_at for _, work in drafts))

    async def _run(self, batch: _Batch, pool: ThreadPoolExecutor) -> None:
        jobs = [work.request.build() for _, work in batch]
        results: list[Result] | list[None]
        try:
            with self._meter.calling(jobs):
                results = await asyncio.get_running_loop().run_in_executor(pool, self._call, jobs)
        except EngineUnavailable as error:
            await self._wait_for_engine(batch, error)
            return
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

    async def _wait_for_engine(self, batch: _Batch, error: EngineUnavailable) -> None:
        """Puts work back. Streams wait meanwhile: their clients see the lag, and keep what is not taken from them."""
        log.warning("engine_unavailable", jobs=len(batch), error=str(error))
        await asyncio.sleep(self._outage_pause_s)
        for lane, work in batch:
            lane.put_back(work)
        self.wake()

    def _call(self, jobs: list[Job]) -> list[Result]:
        """Calls the engine, in a thread. What breaks it is the fault of these jobs, and must not end all others."""
        try:
            results = self._engine.transcribe(jobs)
        except EngineError:
            raise
        except Exception as error:  # the guard of jobs: a bug in the engine that one stream brings out ends no other
            log.exception("engine_broke", jobs=len(jobs))
            raise EngineError(f"the engine broke: {type(error).__name__}") from error
        if len(results) != len(jobs):
            raise EngineError(f"{len(results)} results for {len(jobs)} jobs")
        return results


@contextlib.asynccontextmanager
async def open_scheduler(
    engine: Engine,
    *,
    workers: int,
    batch_size: int = 1,
    draft_wait_s: float = 0.0,
    outage_pause_s: float = 1.0,
    meter: Meter | None = None,
) -> AsyncIterator[Scheduler]:
    """Runs a scheduler with its workers.

    Args:
        engine: A loaded engine.
        workers: Engine calls at the same time, one thread each.
        batch_size: Most jobs per engine call.
        draft_wait_s: How long a draft waits for others to share an engine call with.
        outage_pause_s: How long a worker waits before it tries an engine again that is not to be had.
        meter: Measures what happens; its clock is the scheduler's.

    Raises:
        ExceptionGroup: A worker broke: a bug here, not in the engine.
    """
    scheduler = Scheduler(
        engine,
        workers=workers,
        batch_size=batch_size,
        draft_wait_s=draft_wait_s,
        outage_pause_s=outage_pause_s,
        meter=meter or Meter(workers=workers),
    )
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
