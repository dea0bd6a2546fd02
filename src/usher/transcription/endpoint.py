"""Cuts a live stream into utterances. Pure: samples in, clips out; no clock, no threads."""

import collections
import itertools
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from usher.transcription.config import EndpointRules
from usher.transcription.pcm import Pcm, samples
from usher.transcription.voice import WINDOW_SAMPLES, VoiceDetector


class Stage(Enum):
    """Why a clip is handed out."""

    GROWN = auto()
    """There is enough new speech for another partial text."""
    PAUSED = auto()
    """The speaker paused; if no more speech comes, the final clip is this one, sample for sample."""
    ENDED = auto()
    """The utterance is over. Each utterance ends exactly once."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The audio of an utterance so far. Positions are samples since the stream began.

    Attributes:
        utterance: Number of the utterance in its stream, from 0.
        stage: Why it is handed out.
        begin: Position of the first sample of `audio`.
        start: Position where the speech starts.
        end: Position where the speech ends, so far.
        voiced: Number of samples that were taken for speech.
        audio: float32 mono 16 kHz, shape (samples,).
    """

    utterance: int
    stage: Stage
    begin: int
    start: int
    end: int
    voiced: int
    audio: Pcm

    @property
    def stop(self) -> int:
        """Position after the last sample of `audio`."""
        return self.begin + len(self.audio)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    audio: Pcm
    probability: float
    voiced: bool


@dataclass(slots=True, eq=False)
class _Speech:
    """An utterance that is not over."""

    begin: int
    windows: list[_Window] = field(default_factory=list)
    voiced: int = 0
    silent: int = 0
    shown: int = 0

    def add(self, window: _Window) -> None:
        self.windows.append(window)
        self.voiced += window.voiced
        self.silent = 0 if window.voiced else self.silent + 1

    def clip(self, utterance: int, stage: Stage, count: int) -> Clip:
        windows = self.windows[:count]
        voiced = [index for index, window in enumerate(windows) if window.voiced]
        return Clip(
            utterance=utterance,
            stage=stage,
            begin=self.begin,
            start=self.begin + voiced[0] * WINDOW_SAMPLES,
            end=self.begin + (voiced[-1] + 1) * WINDOW_SAMPLES,
            voiced=len(voiced) * WINDOW_SAMPLES,
            audio=np.concatenate([window.audio for window in windows]),
        )


class Endpointer:
    """Finds the utterances of one stream.

    Every window of speech is in exactly one ended clip, and clips never overlap. Only utterances with less speech than
    `min_speech_s` are dropped: they are noise.
    """

    def __init__(self, detector: VoiceDetector, rules: EndpointRules) -> None:
        self._detector = detector
        self._rules = rules
        self._pre_roll_windows = _windows(rules.pre_roll_s)
        self._pause_windows = _windows(rules.pause_s)
        self._silence_windows = max(_windows(rules.silence_s), self._pause_windows + 1)
        self._short_silence_windows = max(_windows(rules.short_silence_s), self._silence_windows)
        self._short_samples = samples(rules.short_s)
        self._min_windows = _windows(rules.min_speech_s)
        self._max_windows = _windows(rules.max_utterance_s)
        self._search_windows = _windows(rules.cut_search_s)
        self._partial_windows = _windows(rules.partial_every_s)
        self._rest: Pcm = np.zeros(0, np.float32)
        self._position = 0
        self._numbers = itertools.count()
        self._number = next(self._numbers)
        self._before: collections.deque[_Window] = collections.deque(maxlen=self._pre_roll_windows)
        self._speech: _Speech | None = None

    def feed(self, pcm: Pcm) -> list[Clip]:
        """Takes the next samples of the stream.

        Args:
            pcm: float32 mono 16 kHz, shape (samples,), of any length.

        Returns:
            What there is to transcribe now, in order.
        """
        audio = np.concatenate([self._rest, pcm])
        whole = len(audio) // WINDOW_SAMPLES
        self._rest = audio[whole * WINDOW_SAMPLES :]
        if not whole:
            return []
        windows = audio[: whole * WINDOW_SAMPLES].reshape(whole, WINDOW_SAMPLES)
        clips: list[Clip] = []
        for window, probability in zip(windows, self._detector.judge(windows), strict=True):
            clips += self._step(window, float(probability))
        return clips

    def cut(self) -> list[Clip]:
        """Ends the open utterance here, in the middle of speech; what follows is the next utterance.

        An utterance that has too little speech to stand alone is not cut: its audio opens the next one.
        """
        speech = self._speech
        if speech is None or speech.voiced < self._min_windows:
            return []
        return [self._end(speech, len(speech.windows))]

    def flush(self) -> list[Clip]:
        """Ends the stream: judges what is left over, padded with silence, and ends the open utterance."""
        clips = self.feed(np.zeros(-len(self._rest) % WINDOW_SAMPLES, np.float32))
        if self._speech is not None:
            clips += self._close(self._speech)
        return clips

    def _step(self, audio: Pcm, probability: float) -> list[Clip]:
        limit = self._rules.threshold if self._speech is None else self._rules.threshold - self._rules.release
        window = _Window(audio, probability, probability >= limit)
        self._position += WINDOW_SAMPLES
        if self._speech is None:
            if not window.voiced:
                self._before.append(window)
                return []
            self._speech = self._open()
        self._speech.add(window)
        return self._look(self._speech)

    def _open(self) -> _Speech:
        speech = _Speech(self._position - (len(self._before) + 1) * WINDOW_SAMPLES)
        for window in self._before:
            speech.add(_Window(window.audio, window.probability, voiced=False))
        self._before.clear()
        return speech

    def _look(self, speech: _Speech) -> list[Clip]:
        if speech.silent >= self._ending_silence(speech):
            return self._close(speech)
        if len(speech.windows) >= self._max_windows:
            return [self._end(speech, self._quietest(speech))]
        if speech.voiced < self._min_windows or not self._rules.partial_every_s:
            return []
        if speech.silent == self._pause_windows:
            speech.shown = speech.voiced
            return [speech.clip(self._number, Stage.PAUSED, len(speech.windows))]
        if speech.voiced - speech.shown >= self._partial_windows:
            speech.shown = speech.voiced
            return [speech.clip(self._number, Stage.GROWN, len(speech.windows))]
        return []

    def _ending_silence(self, speech: _Speech) -> int:
        """Number of silent windows that end an utterance: of one that may be noise, as of a long one, the fewest."""
        is_short = self._min_windows <= speech.voiced and speech.voiced * WINDOW_SAMPLES < self._short_samples
        return self._short_silence_windows if is_short else self._silence_windows

    def _close(self, speech: _Speech) -> list[Clip]:
        """Ends an utterance after its speaker fell silent; all but `pause_s` of the silence is left out."""
        if speech.voiced < self._min_windows:
            self._speech = None
            self._before.extend(speech.windows)
            return []
        keep = len(speech.windows) - max(0, speech.silent - self._pause_windows)
        clip = self._end(speech, keep)
        self._before.extend(self._speech.windows if self._speech else [])
        self._speech = None
        return [clip]

    def _end(self, speech: _Speech, count: int) -> Clip:
        """Ends an utterance after `count` windows; the others open the next one."""
        clip = speech.clip(self._number, Stage.ENDED, count)
        self._number = next(self._numbers)
        self._speech = None
        if len(speech.windows) > count:
            self._speech = _Speech(clip.stop)
            for window in speech.windows[count:]:
                self._speech.add(window)
        return clip

    def _quietest(self, speech: _Speech) -> int:
        """Finds where an utterance that is too long is cut: before its least speech-like late window."""
        first_voiced = next(index for index, window in enumerate(speech.windows) if window.voiced)
        late = range(max(first_voiced + 1, len(speech.windows) - self._search_windows), len(speech.windows))
        return min(late, key=lambda index: speech.windows[index].probability)


def _windows(duration_s: float) -> int:
    return max(1, round(samples(duration_s) / WINDOW_SAMPLES))
