"""The work of one stream: its finals, in order, and at most one draft of what is being said."""

import asyncio
import collections
from collections.abc import Callable
from dataclasses import dataclass

from usher.transcription.engine import Job, Quality, Result
from usher.transcription.meter import Meter

_FINAL_TRIES = 2
_LONGEST_OUTAGE_S = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Audio of an utterance that wants a text.

    Attributes:
        utterance: Number of the utterance in its stream; grows.
        stop: Position where the audio stops; with `utterance` and `quality` it names the work.
        size: Length of the audio in samples.
        quality: Quality of the text.
        build: Makes the job. Called when a worker is free, so that it knows what was learnt meanwhile.
        deliver: Takes the text, and whether it is the last word on the utterance; each finished utterance gets exactly
            one of those. The text is None when the engine failed on it more than once. Must not block.
    """

    utterance: int
    stop: int
    size: int
    quality: Quality
    build: Callable[[], Job]
    deliver: Callable[[Result | None, bool], None]


@dataclass(slots=True, eq=False)
class Work:
    """A request on its way.

    Attributes:
        submitted_at: When it was asked for; of a final, when its utterance ended.
        ready_at: Of a final, since when it has been its turn in the lane.
    """

    request: Request
    submitted_at: float
    ready_at: float = 0.0
    final: bool = False
    running: bool = False
    done: bool = False
    result: Result | None = None
    tries: int = 0

    def is_for(self, request: Request) -> bool:
        """Says whether this work answers a request."""
        mine = (self.request.utterance, self.request.stop, self.request.quality)
        return mine == (request.utterance, request.stop, request.quality)


class Lane:
    """The work of one stream. Belongs to the event loop; nothing in it is safe to call from a thread.

    The queue of finals is bounded by its reader, who waits in `room`. There is one place for a draft, where a newer
    draft replaces an older one. Texts are delivered in the order of the utterances.
    """

    def __init__(self, *, wake: Callable[[], None], meter: Meter) -> None:
        """Opens a lane.

        Args:
            wake: Called when there is work.
            meter: Told how long things take; its clock is the lane's.
        """
        self._wake = wake
        self._meter = meter
        self._clock = meter.clock
        self._finals: collections.deque[Work] = collections.deque()
        self._draft: Work | None = None
        self._drafting: Work | None = None
        self._drafted: Work | None = None
        self._delivered = asyncio.Event()
        self._last_finished = -1
        self._slowest_s = 0.0
        self._turn = 0
        self._open = True

    @property
    def backlog(self) -> int:
        """Samples of ended utterances that have no text yet."""
        return sum(work.request.size for work in self._finals)

    @property
    def lag_s(self) -> float:
        """How far the texts are behind: for how long the oldest ended utterance without a text has been waiting."""
        return self._clock() - self._finals[0].submitted_at if self._finals else 0.0

    @property
    def wait_s(self) -> float:
        """For how long the next final has been waiting for a worker. Its own predecessors are no part of that."""
        head = self.next_final()
        return self._clock() - head.ready_at if head else 0.0

    def take_lag_s(self) -> float:
        """Says how far the texts are behind, or were when a final was delivered since this was last asked."""
        slowest_s, self._slowest_s = self._slowest_s, 0.0
        return max(slowest_s, self.lag_s)

    @property
    def waiting_finals(self) -> int:
        """Number of ended utterances that have no text yet."""
        return len(self._finals)

    def draft(self, request: Request) -> None:
        """Asks for a text of an utterance that is not over. A draft that waits is replaced: it is stale."""
        self._draft = self._new(request)
        self._wake()

    def finish(self, request: Request) -> None:
        """Asks for the final text of an utterance. A draft of the same audio and quality is used if there is one."""
        known = (work for work in (self._drafted, self._drafting, self._draft) if work and work.is_for(request))
        work = next(known, None) or self._new(request)
        work.final = True
        work.submitted_at = work.ready_at = self._clock()
        self._finals.append(work)
        self._draft = self._drafted = None
        self._settle()
        self._wake()

    async def room(self, limit: int) -> None:
        """Waits until the backlog is below a limit in samples."""
        while self._open and self.backlog >= limit:
            await self._delivery()

    async def drained(self, *, patience_s: float) -> None:
        """Waits until every ended utterance has its text. The queue is bounded, so that progress means an end.

        Args:
            patience_s: Longest wait for the next text.

        Raises:
            TimeoutError: There was no text for so long.
        """
        while self._open and self._finals:
            async with asyncio.timeout(patience_s):
                await self._delivery()

    def close(self) -> None:
        """Forgets all work; nothing is delivered any more. Idempotent."""
        self._open = False
        self._finals.clear()
        self._draft = self._drafted = None
        self._delivered.set()

    def next_final(self) -> Work | None:
        """Finds the final to run next; one at a time, so that texts come out in order."""
        head = self._finals[0] if self._finals else None
        return head if head and not head.running else None

    def next_draft(self) -> Work | None:
        """Finds the draft to run next: none while finals wait or another draft runs."""
        return None if self._finals or self._drafting else self._draft

    @property
    def turn(self) -> int:
        """When the lane was last served; smaller is longer ago."""
        return self._turn

    def start(self, work: Work, turn: int) -> None:
        """Notes that a worker takes a piece of work."""
        work.running = True
        self._turn = turn
        if work.final:
            self._meter.waited(self._clock() - work.ready_at)
        else:
            self._drafting, self._draft = work, None

    def complete(self, work: Work, result: Result | None) -> None:
        """Notes the end of a try; None is a failure."""
        work.tries += 1
        self._end_try(work, result, done=result is not None or work.tries >= _FINAL_TRIES)

    def put_back(self, work: Work) -> None:
        """Notes that the engine was not to be had: a final is tried again, for ten minutes; a draft is stale then."""
        self._end_try(work, None, done=self._clock() - work.submitted_at >= _LONGEST_OUTAGE_S)

    def _end_try(self, work: Work, result: Result | None, *, done: bool) -> None:
        work.running = False
        work.ready_at = self._clock()
        work.result = result
        work.done = done
        if work is self._drafting:
            self._drafting = None
        if not self._open:
            return
        if work.final:
            self._settle()
        elif result is not None and not self._finals and work.request.utterance > self._last_finished:
            self._drafted = work
            work.request.deliver(result, False)

    def _settle(self) -> None:
        """Delivers the finals that are done, in order."""
        while self._finals and self._finals[0].done:
            work = self._finals.popleft()
            self._last_finished = work.request.utterance
            delay_s = self._clock() - work.submitted_at
            self._slowest_s = max(self._slowest_s, delay_s)
            self._meter.delivered(delay_s, lost=work.result is None)
            if self._finals:
                self._finals[0].ready_at = self._clock()
            work.request.deliver(work.result, True)
            self._delivered.set()

    async def _delivery(self) -> None:
        self._delivered.clear()
        await self._delivered.wait()

    def _new(self, request: Request) -> Work:
        return Work(request, self._clock())
