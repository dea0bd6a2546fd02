"""Recordings: what is in a file, by a decoder that has nothing to do with how it was written; sounds to record."""

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.receiver import Frame

Signal = "np.ndarray[Any, np.dtype[np.float32]]"

_DECODED_RATE = 48_000
_LOUD = 0.05
_STEP_S = 0.005


@dataclass(frozen=True, slots=True)
class Played:
    """What a player hears.

    Attributes:
        samples: Everything, laid end to end as most players do, 48 kHz.
        stamps: Seconds at which each decoded frame begins by its timestamp, and by what was played before it.
    """

    samples: "np.ndarray[Any, np.dtype[np.float32]]"
    stamps: list[tuple[float, float]]

    def loud(self) -> list[tuple[float, float]]:
        """Return the stretches with sound, in seconds."""
        return loud_stretches(self.samples, _DECODED_RATE)

    def pitches(self, begin_s: float, end_s: float, candidates: tuple[int, ...]) -> set[int]:
        """Return which tones are heard in a stretch."""
        part = self.samples[int(begin_s * _DECODED_RATE) : int(end_s * _DECODED_RATE)]
        return pitches(part, _DECODED_RATE, candidates)


def play(content: bytes) -> Played:
    """Decode a file."""
    parts: list[Any] = []
    stamps: list[tuple[float, float]] = []
    played = 0
    with av.open(io.BytesIO(content), "r") as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()[0]
            assert frame.time is not None
            stamps.append((float(frame.time), played / _DECODED_RATE))
            played += len(samples)
            parts.append(samples)
    return Played(np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32), stamps)


def loud_stretches(samples: Any, rate: int) -> list[tuple[float, float]]:  # noqa: ANN401 - an array
    """Return the stretches with sound, in seconds, to 5 ms; pauses shorter than 50 ms are none."""
    step = int(rate * _STEP_S)
    blocks = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1) > _LOUD
    stretches: list[tuple[float, float]] = []
    for index in np.flatnonzero(blocks):
        at = float(index) * _STEP_S
        if stretches and at - stretches[-1][1] < 0.05:
            stretches[-1] = (stretches[-1][0], at + _STEP_S)
        else:
            stretches.append((at, at + _STEP_S))
    return stretches


def pitches(samples: Any, rate: int, candidates: tuple[int, ...]) -> set[int]:  # noqa: ANN401 - an array
    """Return those tones that are heard."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples)
    return {hz for hz in candidates if power[_around(hz, len(samples), rate)].max() > 0.01}


def _around(hz: int, count: int, rate: int) -> slice:
    bin_ = round(hz * count / rate)
    return slice(max(0, bin_ - 3), bin_ + 4)


def tone(hz: int, seconds: float, volume: float = 0.3) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return a tone, 16 kHz."""
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (volume * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def frames(samples: Any, position: int = 0, size: int = SAMPLE_RATE // 10) -> list[Frame]:  # noqa: ANN401 - an array
    """Cut samples into frames of 100 ms as the page sends them."""
    return [
        Frame(position + begin, samples[begin : begin + size].astype("<f4").tobytes())
        for begin in range(0, len(samples), size)
    ]
