"""What a service of OpenAI's form answers, as a result. Pure."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from usher.protocol.whisper import Task
from usher.transcription.engine import Job, Result, Word
from usher.transcription.engines import decoding
from usher.transcription.engines.languages import find_code
from usher.transcription.engines.word_times import match_words

_UNSTATED = 0.5
"""Probability of a language that a service names without saying how sure it is."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Word(_Lenient):
    word: str = Field(max_length=1000)
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    probability: float | None = None


class _Segment(_Lenient):
    tokens: list[int] = []
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0
    words: list[_Word] | None = None


class _Answer(_Lenient):
    text: str
    language: str | None = None
    language_probability: float | None = None
    segments: list[_Segment] | None = None
    words: list[_Word] | None = None


def read_answer(answer: object, job: Job) -> Result:
    """Reads an answer, `json` or `verbose_json`.

    Args:
        answer: The parsed body.
        job: What was asked.

    Raises:
        ValueError: It is no such answer.
    """
    try:
        known = _Answer.model_validate(answer)
    except ValidationError as error:
        raise ValueError("not an answer of the audio API") from error
    text = " ".join(known.text.split())
    language, sureness = _language(known, job)
    avg_logprob = _avg_logprob(known.segments or [])
    return Result(
        text=text,
        language=language,
        language_prob=sureness,
        no_speech_prob=min((segment.no_speech_prob for segment in known.segments or []), default=0.0),
        avg_logprob=avg_logprob,
        doubt=decoding.judge(text, tokens=0, cap=1, avg_logprob=avg_logprob),
        words=match_words(text, _words(known, math.exp(min(0.0, avg_logprob)))) if job.wants_words else (),
    )


def _language(answer: _Answer, job: Job) -> tuple[str, float]:
    """Finds the language and its probability. Of a translation a service names the language of the text: English."""
    if job.language:
        return job.language, 1.0
    found = find_code(answer.language or "") if job.task is Task.TRANSCRIBE else None
    if found is None:
        return "", 0.0
    return found, _UNSTATED if answer.language_probability is None else answer.language_probability


def _avg_logprob(segments: Sequence[_Segment]) -> float:
    weights = [max(1, len(segment.tokens)) for segment in segments]
    total = sum(weight * segment.avg_logprob for weight, segment in zip(weights, segments, strict=True))
    return total / sum(weights) if segments else 0.0


def _words(answer: _Answer, unstated: float) -> list[Word]:
    """Takes the words from where OpenAI has them, else from the segments, where others have them."""
    inner = [word for segment in answer.segments or [] for word in segment.words or []]
    return [
        Word(word.word, word.start, word.end, unstated if word.probability is None else word.probability)
        for word in answer.words or inner
    ]
