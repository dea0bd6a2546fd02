"""Lanes of a scheduler and an engine that works by tickets: gates, not clocks, decide what happens when."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np

from usher.protocol.whisper import Task
from usher.transcription.engine import EngineError, Job, Quality, Result
from usher.transcription.engines.scripted import ScriptedEngine
from usher.transcription.lane import Lane, Request
from usher.transcription.meter import Meter
from usher.transcription.scheduler import open_scheduler

PATIENCE_S = 30.0


class GatedEngine(ScriptedEngine):
    """Does one job per ticket; says the job's prompt."""

    def __init__(self) -> None:
        super().__init__(say=lambda job: job.prompt or "")
        self.tickets = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        self.batches.append([job.prompt or "" for job in jobs])
        results = super().transcribe(jobs)
        if not self.tickets.acquire(timeout=PATIENCE_S):
            raise EngineError("no ticket")
        return results

    @property
    def names(self) -> list[str]:
        return [job.prompt or "" for job in self.heard]


class Stream:
    """A lane and what it was told."""

    def __init__(self, lane: Lane, name: str = "") -> None:
        self.lane = lane
        self.name = name
        self.told: list[tuple[int, bool, str | None]] = []

    def request(self, utterance: int, stop: int, quality: Quality) -> Request:
        name = f"{self.name}{utterance}{'f' if quality is Quality.FINAL else 'd'}{stop}"
        return Request(
            utterance=utterance,
            stop=stop,
            size=stop,
            quality=quality,
            build=lambda: Job(np.zeros(stop, np.float32), "en", Task.TRANSCRIBE, quality, prompt=name),
            deliver=lambda result, final: self.told.append((utterance, final, result.text if result else None)),
        )

    def draft(self, utterance: int, stop: int, quality: Quality = Quality.DRAFT) -> None:
        self.lane.draft(self.request(utterance, stop, quality))

    def finish(self, utterance: int, stop: int) -> None:
        self.lane.finish(self.request(utterance, stop, Quality.FINAL))

    @property
    def finals(self) -> list[int]:
        return [utterance for utterance, final, _ in self.told if final]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- the conditions live in threads
            await asyncio.sleep(0.002)


async def with_streams(
    engine: ScriptedEngine,
    body: Callable[[list[Stream]], Awaitable[None]],
    *,
    workers: int = 1,
    batch_size: int = 1,
    draft_wait_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    async with open_scheduler(
        engine,
        workers=workers,
        batch_size=batch_size,
        draft_wait_s=draft_wait_s,
        outage_pause_s=0.001,
        meter=Meter(workers=workers, clock=clock),
    ) as scheduler:
        with scheduler.lane() as one, scheduler.lane() as two, scheduler.lane() as three:
            await body([Stream(one, "a"), Stream(two, "b"), Stream(three, "c")])
