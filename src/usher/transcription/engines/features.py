"""Log-mel features of Whisper without BLAS.

The matrix product of the usual implementation wakes numpy's BLAS threads, which then spin for a while after every call:
a third of the processor time of a live stream. The mel filters are nearly empty, so their product is a few short sums.

Source: openai/whisper, `audio.py`: 25 ms Hann windows every 10 ms, reflected edges, power, mel, log10 clipped to 8
below the maximum, then (x + 4) / 4.
"""

import numpy as np
import numpy.typing as npt

from usher.transcription.pcm import Pcm

_FFT_SAMPLES = 400
_HOP_SAMPLES = 160
_FLOOR = 1e-10
_RANGE = 8.0


class LogMel:
    """Turns samples into features."""

    def __init__(self, filters: npt.NDArray[np.float32]) -> None:
        """Prepares the filters.

        Args:
            filters: Mel filter bank, shape (mels, 201).
        """
        self._window = np.hanning(_FFT_SAMPLES + 1)[:-1].astype(np.float32)
        self._bands = [_nonzero(row) for row in filters]

    def __call__(self, pcm: Pcm) -> npt.NDArray[np.float32]:
        """Computes the features of one audio.

        Args:
            pcm: float32 mono 16 kHz, shape (samples,), at least 25 ms.

        Returns:
            float32 features, shape (mels, frames), 100 frames a second.
        """
        padded = np.pad(np.pad(pcm, (0, _HOP_SAMPLES)), _FFT_SAMPLES // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::_HOP_SAMPLES][:-1]
        power = np.square(np.abs(np.fft.rfft(frames * self._window))).astype(np.float32).T
        mel = np.stack(
            [(weights[:, None] * power[first : first + len(weights)]).sum(0) for first, weights in self._bands]
        )
        log = np.log10(np.maximum(mel, _FLOOR))
        scaled: npt.NDArray[np.float32] = (np.maximum(log, log.max() - _RANGE) + 4.0) / 4.0
        return scaled


def _nonzero(row: npt.NDArray[np.float32]) -> tuple[int, npt.NDArray[np.float32]]:
    """Finds where a filter begins, and its weights from there to where it ends."""
    bins = np.flatnonzero(row)
    if not len(bins):
        return 0, row[:1]
    return int(bins[0]), row[bins[0] : bins[-1] + 1]
