"""Port to a speech recognition engine."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from usher.protocol.whisper import Task
from usher.transcription.pcm import Pcm


class EngineError(RuntimeError):
    """The engine could not transcribe what it was given; other audio may still work."""


class EngineUnavailable(EngineError):
    """The engine gives no texts now, whatever the audio; the same audio is worth another try."""


class Doubt(Enum):
    """What speaks against a text."""

    NONE = auto()
    """Nothing."""
    GUESSED = auto()
    """The model was unsure of the words."""
    LOOPING = auto()
    """The text repeats itself, or does not end."""


class Quality(Enum):
    """How much work a text is worth."""

    DRAFT = auto()
    """Shown for a second; greedy decoding is enough."""
    FINAL = auto()
    """Kept for ever: beam search, and a second try when the first looks wrong."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text, with the punctuation and the space that belong to it.

    Attributes:
        text: The word; the words of a text, put together, are the text.
        start_s: Where it starts, in seconds from the start of the audio.
        end_s: Where it ends.
        probability: How sure the engine is of it, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One piece of audio to transcribe.

    Attributes:
        audio: float32 mono 16 kHz, shape (samples,), at most 30 s.
        language: Language spoken, or None to detect it.
        task: Transcribe, or translate to English.
        quality: How much work the text is worth.
        prompt: Text that biases spelling and style.
        hotwords: Words to prefer.
        words: Whether the time of each word is wanted.
    """

    audio: Pcm
    language: str | None
    task: Task
    quality: Quality
    prompt: str | None = None
    hotwords: str | None = None
    words: bool = False

    @property
    def wants_words(self) -> bool:
        """Whether the time of each word is to be found: only texts that are kept are worth it."""
        return self.words and self.quality is Quality.FINAL


@dataclass(frozen=True, slots=True)
class Result:
    """What was heard.

    Attributes:
        text: The words, stripped; empty when there are none.
        language: Language used for decoding: the one asked for, or the one detected.
        language_prob: Probability of the detected language; 1.0 when it was given.
        no_speech_prob: Probability that the audio holds no speech.
        avg_logprob: Mean log probability of the tokens.
        doubt: What speaks against the text. Doubtful finals are tried again before they are given out.
        words: The words with their times, in order; empty unless they were asked for and the engine knows them.
    """

    text: str
    language: str
    language_prob: float = 1.0
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0
    doubt: Doubt = Doubt.NONE
    words: tuple[Word, ...] = ()


class Engine(Protocol):
    """A speech recogniser. `transcribe` is called from several threads at once."""

    @property
    def backend(self) -> str:
        """Name told to clients in SERVER_READY."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Language codes the engine knows. Filled by `load`."""
        ...

    def load(self) -> None:
        """Loads and warms the model, so that the first real job is as fast as the others. Blocks; idempotent.

        Raises:
            EngineError: The model cannot be loaded.
        """
        ...

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        """Transcribes a batch. Blocks.

        Returns:
            One result per job, in order.

        Raises:
            EngineError: One of the jobs failed; none has a result.
        """
        ...
