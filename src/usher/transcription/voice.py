"""Port to voice detection, and the simplest detector."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from usher.transcription.pcm import Pcm

WINDOW_SAMPLES = 512
"""Samples a detector judges at once: 32 ms."""


class VoiceDetector(Protocol):
    """Judges the windows of one stream, in order; keeps what it needs to remember between calls."""

    def judge(self, windows: Pcm) -> npt.NDArray[np.float32]:
        """Says how likely each window is speech.

        Args:
            windows: float32 mono 16 kHz, shape (n, WINDOW_SAMPLES), the next n windows of the stream.

        Returns:
            Speech probabilities in [0, 1], shape (n,).
        """
        ...


class LoudnessDetector:
    """Takes everything loud enough for speech: no model, no memory."""

    def __init__(self, *, loudness: float = 0.01) -> None:
        """Sets the level.

        Args:
            loudness: Root mean square amplitude from which a window counts as speech, 0 to 1.
        """
        self._loudness = loudness

    def judge(self, windows: Pcm) -> npt.NDArray[np.float32]:
        """See `VoiceDetector.judge`; the probabilities are 0 or 1."""
        level = np.sqrt(np.mean(np.square(windows), axis=1))
        return np.asarray(level >= self._loudness, np.float32)
