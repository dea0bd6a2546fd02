"""Whisper on CTranslate2, with an encoder window as short as the audio allows."""

import collections
import itertools
import threading
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import ctranslate2  # type: ignore[import-untyped]  # ships no types
import numpy as np
import structlog
from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # ships no types
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]  # ships no types

from usher.protocol.whisper import SAMPLE_RATE_HZ, Task
from usher.transcription.engine import Doubt, EngineError, Job, Quality, Result, Word
from usher.transcription.engines import decoding
from usher.transcription.engines.features import LogMel
from usher.transcription.engines.word_times import time_words
from usher.transcription.pcm import Pcm, seconds

log = structlog.get_logger(__name__)

_CONTEXT_TOKENS = 448
_MAX_PROMPT_TOKENS = 200


class _Generation(Protocol):
    sequences_ids: list[list[int]]
    scores: list[float]
    no_speech_prob: float


class _Alignment(Protocol):
    alignments: list[tuple[int, int]]
    text_token_probs: list[float]


class _Network(Protocol):
    is_multilingual: bool

    def encode(self, features: object, *, to_cpu: bool) -> object: ...
    def detect_language(self, features: object) -> list[list[tuple[str, float]]]: ...
    def generate(self, features: object, prompts: list[list[int]], **options: object) -> list[_Generation]: ...
    def align(
        self, features: object, start_sequence: list[int], text_tokens: list[list[int]], num_frames: int
    ) -> list[_Alignment]: ...


@dataclass(frozen=True, slots=True)
class FasterWhisperConfig:
    """What to load and how to run it.

    Attributes:
        model: Directory of a CTranslate2 Whisper model, or a name known to faster-whisper.
        device: "cpu", "cuda" or "auto".
        compute_type: CTranslate2 compute type.
        workers: Calls of `transcribe` that run at the same time, one thread each.
        beam_size: Beam width of final texts.
    """

    model: str
    device: str = "cpu"
    compute_type: str = "int8"
    workers: int = 2
    beam_size: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A job with everything decoding needs to know of it."""

    index: int
    job: Job
    features: Pcm
    frames: int
    beam: int

    @property
    def duration_s(self) -> float:
        return seconds(len(self.job.audio))


class FasterWhisperEngine:
    """See `Engine`. One model, loaded once, shared by all threads.

    Source: CTranslate2 halves `max_length` for the tokens Whisper generates, so twice the wanted number is passed.
    """

    def __init__(self, config: FasterWhisperConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._model: Any = None
        self._features: LogMel
        self._tokenizers: dict[tuple[str, Task], Any] = {}

    @property
    def backend(self) -> str:
        """See `Engine.backend`. Stock clients keep completed segments only from a backend of this name."""
        return "faster_whisper"

    @property
    def languages(self) -> frozenset[str]:
        """See `Engine.languages`."""
        return frozenset(self._model.supported_languages) if self._model is not None else frozenset()

    def load(self) -> None:
        """See `Engine.load`."""
        with self._lock:
            if self._model is not None:
                return
            config = self._config
            try:
                self._model = WhisperModel(
                    config.model,
                    device=config.device,
                    compute_type=config.compute_type,
                    cpu_threads=1,
                    num_workers=config.workers,
                )
            except (RuntimeError, ValueError, OSError) as error:
                raise EngineError(f"the model {config.model!r} cannot be loaded: {error}") from error
            self._features = LogMel(self._model.feature_extractor.mel_filters)
        log.info("model_loaded", model=config.model, device=config.device, compute_type=config.compute_type)
        silence = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
        for quality in Quality:
            self.transcribe([Job(silence, "en", Task.TRANSCRIBE, quality)])

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        """See `Engine.transcribe`. Jobs that fit together are decoded as one batch."""
        if self._model is None:
            raise EngineError("the model is not loaded")
        try:
            return self._transcribe(jobs)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"decoding failed: {error}") from error

    def _transcribe(self, jobs: list[Job]) -> list[Result]:
        tasks = [self._prepare(index, job) for index, job in enumerate(jobs)]
        spoken = self._decode_all(tasks)
        again = [
            self._prepare(index, jobs[index], doubt=one.doubt)
            for index, one in spoken.items()
            if one.doubt is not Doubt.NONE and jobs[index].quality is Quality.FINAL
        ]
        better = self._decode_all(again)
        return [_better(spoken[index], better.get(index)) for index in range(len(jobs))]

    def _prepare(self, index: int, job: Job, *, doubt: Doubt = Doubt.NONE) -> _Task:
        duration_s = seconds(len(job.audio))
        beam = self._config.beam_size if job.quality is Quality.FINAL else 1
        first_try = doubt is Doubt.NONE
        frames = decoding.window_frames(duration_s) if first_try else decoding.retry_frames(duration_s, doubt)
        return _Task(index, job, self._features(job.audio), frames, beam)

    def _decode_all(self, tasks: list[_Task]) -> dict[int, Result]:
        groups = decoding.group_by_window(tasks, lambda task: (task.beam, task.frames))
        return dict(itertools.chain.from_iterable(self._decode_group(group) for group in groups))

    def _decode_group(self, tasks: list[_Task]) -> list[tuple[int, Result]]:
        network = cast("_Network", self._model.model)
        frames = max(task.frames for task in tasks)
        stacked = np.stack([_fit(task.features, frames) for task in tasks])
        encoded = network.encode(ctranslate2.StorageView.from_array(stacked), to_cpu=len(tasks) > 1)
        languages = self._languages(network, encoded, tasks)
        prompts = [self._prompt(task, language) for task, (language, _) in zip(tasks, languages, strict=True)]
        spoken: dict[int, Result] = {}
        for members in _same_length(prompts):
            part = encoded if len(members) == len(tasks) else _rows(encoded, members)
            texts = self._generate(network, part, [tasks[m] for m in members], [prompts[m] for m in members])
            for member, generation in zip(members, texts, strict=True):
                task, language = tasks[member], languages[member]
                tokens = self._spoken_tokens(task, language[0], generation)
                result = self._read(task, language, tokens, generation)
                if task.job.wants_words and result.text:
                    row = encoded if len(tasks) == 1 else _rows(encoded, [member])
                    result = replace(result, words=self._align(network, row, task, language[0], tokens))
                spoken[member] = result
        return [(task.index, spoken[member]) for member, task in enumerate(tasks)]

    def _languages(self, network: _Network, encoded: object, tasks: list[_Task]) -> list[tuple[str, float]]:
        if not network.is_multilingual:
            return [("en", 1.0)] * len(tasks)
        given = [task.job.language for task in tasks]
        if None not in given:
            return [(language or "en", 1.0) for language in given]
        found = [ranking[0] for ranking in network.detect_language(encoded)]
        return [
            (language, 1.0) if language else (token.strip("<|>"), probability)
            for language, (token, probability) in zip(given, found, strict=True)
        ]

    def _prompt(self, task: _Task, language: str) -> list[int]:
        tokenizer = self._tokenizer(language, task.job.task)
        context = " ".join(filter(None, (task.job.hotwords, task.job.prompt)))
        before = [tokenizer.sot_prev, *tokenizer.encode(" " + context)[-_MAX_PROMPT_TOKENS:]] if context else []
        return [*before, *tokenizer.sot_sequence]

    def _generate(
        self, network: _Network, encoded: object, tasks: list[_Task], prompts: list[list[int]]
    ) -> list[_Generation]:
        cap = max(decoding.token_cap(task.duration_s) for task in tasks)
        return network.generate(
            encoded,
            prompts,
            beam_size=tasks[0].beam,
            max_length=min(2 * cap + len(prompts[0]), _CONTEXT_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
        )

    def _spoken_tokens(self, task: _Task, language: str, generation: _Generation) -> list[int]:
        tokenizer = self._tokenizer(language, task.job.task)
        vocabulary = decoding.Vocabulary(tokenizer.eot, tokenizer.timestamp_begin)
        return list(decoding.spoken_tokens(generation.sequences_ids[0], vocabulary, task.duration_s))

    def _align(
        self, network: _Network, encoded: object, task: _Task, language: str, tokens: list[int]
    ) -> tuple[Word, ...]:
        """Finds the times of words, by the attention of the heads that follow the audio; a tenth more work."""
        tokenizer = self._tokenizer(language, task.job.task)
        frames = min(task.features.shape[1], task.frames)
        (alignment,) = network.align(encoded, list(tokenizer.sot_sequence), [tokens], frames)
        units, parts = tokenizer.split_tokens_on_unicode(tokens)
        return time_words(
            units,
            [len(part) for part in parts],
            alignment.alignments,
            alignment.text_token_probs,
            language="en" if task.job.task is Task.TRANSLATE else language,
        )

    def _read(self, task: _Task, language: tuple[str, float], tokens: list[int], generation: _Generation) -> Result:
        text = self._tokenizer(language[0], task.job.task).decode(tokens).strip()
        cap, count, score = decoding.token_cap(task.duration_s), len(generation.sequences_ids[0]), generation.scores[0]
        return Result(
            text=text,
            language=language[0],
            language_prob=language[1],
            no_speech_prob=generation.no_speech_prob,
            avg_logprob=score,
            doubt=decoding.judge(text, tokens=count, cap=cap, avg_logprob=score),
        )

    def _tokenizer(self, language: str, task: Task) -> Any:  # noqa: ANN401 -- the library has no types
        """Finds or makes the tokenizer; there are at most languages by tasks of them."""
        key = (language, task)
        if key not in self._tokenizers:
            model = self._model
            self._tokenizers[key] = Tokenizer(
                model.hf_tokenizer, model.model.is_multilingual, task=task.value, language=language
            )
        return self._tokenizers[key]


def _better(first: Result, second: Result | None) -> Result:
    """Chooses between two tries: the one that is not doubtful, else the likelier."""
    if second is None or (second.doubt is not Doubt.NONE and second.avg_logprob < first.avg_logprob):
        return first
    return second


def _fit(features: Pcm, frames: int) -> Pcm:
    """Cuts or pads features with zeros, which is mid-level noise to the model, to a number of frames."""
    kept = features[:, :frames]
    return np.ascontiguousarray(np.pad(kept, ((0, 0), (0, frames - kept.shape[1]))), np.float32)


def _same_length(prompts: list[list[int]]) -> list[list[int]]:
    """Groups the positions of prompts of equal length: a batch needs its start token in one place."""
    groups: dict[int, list[int]] = collections.defaultdict(list)
    for position, prompt in enumerate(prompts):
        groups[len(prompt)].append(position)
    return list(groups.values())


def _rows(encoded: object, rows: list[int]) -> object:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.asarray(encoded)[rows]))
