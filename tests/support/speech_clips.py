"""Recorded speech for tests: samples and the words spoken."""

import json
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

SPEECH = Path(__file__).parent / "speech"
RATE_HZ = 16_000

Pcm = npt.NDArray[np.float32]


def transcripts() -> dict[str, str]:
    """File name to words, of all clips."""
    found: dict[str, str] = json.loads((SPEECH / "transcripts.json").read_text())
    return found


def clip(name: str) -> Pcm:
    """Samples of a clip: float32 mono 16 kHz."""
    with wave.open(str(SPEECH / name)) as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (RATE_HZ, 1, 2)
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
    return samples.astype(np.float32) / np.float32(32768)


def silence(duration_s: float) -> Pcm:
    """Room noise far below speech."""
    return np.random.default_rng(1).normal(0, 0.0005, round(duration_s * RATE_HZ)).astype(np.float32)


def frames(pcm: Pcm, *, size: int = 4096) -> list[bytes]:
    """Samples as binary frames of the stock client's size."""
    return [pcm[first : first + size].astype("<f4").tobytes() for first in range(0, len(pcm), size)]
