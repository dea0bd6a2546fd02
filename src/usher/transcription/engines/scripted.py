"""An engine without a model: says what a function tells it to. Deterministic, for tests and trials."""

import collections
import threading
import time
from collections.abc import Callable

from usher.transcription.engine import Job, Quality, Result, Word
from usher.transcription.pcm import seconds


def describe(job: Job) -> str:
    """Says how long the audio is and how it would be decoded."""
    return f"{seconds(len(job.audio)):.2f} s {job.task.value} {job.quality.name.lower()}"


class ScriptedEngine:
    """Speech recognition by script.

    Attributes:
        heard: The latest jobs, oldest first.
    """

    def __init__(
        self, say: Callable[[Job], str] = describe, *, detects: str = "en", delay_s: float = 0.0, remember: int = 10_000
    ) -> None:
        """Sets the script.

        Args:
            say: Text for a job. It may raise EngineError.
            detects: Language found in audio whose language is not given.
            delay_s: Time each job takes.
            remember: Number of jobs kept in `heard`.
        """
        self.heard: collections.deque[Job] = collections.deque(maxlen=remember)
        self._say = say
        self._detects = detects
        self._delay_s = delay_s
        self._lock = threading.Lock()

    @property
    def backend(self) -> str:
        """See `Engine.backend`."""
        return "scripted"

    @property
    def languages(self) -> frozenset[str]:
        """See `Engine.languages`."""
        return frozenset({"en", "de", "fr", "es", self._detects})

    def load(self) -> None:
        """See `Engine.load`; there is nothing to load."""

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        """See `Engine.transcribe`."""
        return [self._transcribe(job) for job in jobs]

    def _transcribe(self, job: Job) -> Result:
        with self._lock:
            self.heard.append(job)
        time.sleep(self._delay_s if job.quality is Quality.FINAL else self._delay_s / 2)
        probability = 1.0 if job.language else 0.9
        text = self._say(job)
        return Result(
            text=text,
            language=job.language or self._detects,
            language_prob=probability,
            words=_spread(text, seconds(len(job.audio))) if job.wants_words else (),
        )


def _spread(text: str, duration_s: float) -> tuple[Word, ...]:
    """Gives all words of a text the same time."""
    words = [f" {word}" if index else word for index, word in enumerate(text.split())]
    each_s = duration_s / max(1, len(words))
    return tuple(Word(word, index * each_s, (index + 1) * each_s, 1.0) for index, word in enumerate(words))
