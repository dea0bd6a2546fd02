"""What the service measures of itself: the load that admission decides by, and the metrics for operators.

The metrics say how much and how well, never who or what: no names of streams, no addresses, no words.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from usher.transcription.engine import EngineError, Job
from usher.transcription.load import Load
from usher.transcription.pcm import seconds

_DELAYS_S = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_BATCHES = (1, 2, 3, 4, 6, 8, 16, 32)


class Meter:
    """The measurements of one server, in a registry of its own: a process may have several servers."""

    def __init__(self, *, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts at zero.

        Args:
            workers: Engine calls at the same time.
            clock: Monotonic clock, in seconds.
        """
        self.clock = clock
        self.load = Load(workers=workers, clock=clock)
        self._registry = registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            registry.register(collector)
        self.admissions = Counter(
            "usher_speech_admissions", "Streams that asked to come in, by the answer.", ["answer"], registry=registry
        )
        self.refused_handshakes = Counter(
            "usher_speech_refused_handshakes", "Connections turned away at the door.", ["why"], registry=registry
        )
        self.refused_input = Counter(
            "usher_speech_refused_input", "Streams ended for what they sent.", registry=registry
        )
        self.slow_clients = Counter(
            "usher_speech_slow_clients", "Streams ended because nobody took their texts.", registry=registry
        )
        self._heard = Counter("usher_speech_heard_seconds", "Audio taken from clients.", registry=registry)
        self._decoded = Counter(
            "usher_speech_decoded_seconds", "Audio given to the engine.", ["quality"], registry=registry
        )
        self._busy = Counter("usher_speech_busy_seconds", "Time of workers in the engine.", registry=registry)
        self._batches = Histogram("usher_speech_batch_size", "Jobs in a call.", buckets=_BATCHES, registry=registry)
        self._failures = Counter("usher_speech_engine_failures", "Engine calls that failed.", registry=registry)
        self._delays = Histogram(
            "usher_speech_final_delay_seconds",
            "From the end of an utterance to its final text.",
            buckets=_DELAYS_S,
            registry=registry,
        )
        self._lost = Counter("usher_speech_lost_utterances", "Utterances the engine failed on.", registry=registry)

    def watch(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """Adds a gauge that is read whenever somebody asks for the metrics."""
        Gauge(name, documentation, registry=self._registry).set_function(value)

    def page(self) -> bytes:
        """Writes all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    @contextlib.contextmanager
    def calling(self, jobs: list[Job]) -> Iterator[None]:
        """Measures an engine call; an EngineError counts as a failure and goes on."""
        started, audio_s = self.clock(), 0.0
        for job in jobs:
            audio_s += seconds(len(job.audio))
            self._decoded.labels(job.quality.name.lower()).inc(seconds(len(job.audio)))
        self._batches.observe(len(jobs))
        self.load.begin()
        try:
            yield
        except EngineError:
            self._failures.inc()
            raise
        finally:
            self.load.end(audio_s)
            self._busy.inc(max(0.0, self.clock() - started))

    @contextlib.contextmanager
    def hearing(self, size: int) -> Iterator[None]:
        """Measures the time the event loop takes for audio.

        Args:
            size: Samples of it.
        """
        started = self.clock()
        try:
            yield
        finally:
            self.load.heard(self.clock() - started)
            self._heard.inc(seconds(size))

    def waited(self, wait_s: float) -> None:
        """Counts a final that a worker takes up, so long after its turn came."""
        self.load.waited(wait_s)

    def delivered(self, delay_s: float, *, lost: bool) -> None:
        """Counts a final that is delivered, so long after its utterance ended; `lost` when it has no text."""
        self._delays.observe(delay_s)
        if lost:
            self._lost.inc()
