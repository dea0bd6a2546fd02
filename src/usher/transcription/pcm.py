"""Raw audio frames to samples."""

import numpy as np
import numpy.typing as npt

from usher.protocol.whisper import SAMPLE_RATE_HZ, AudioFormat, ProtocolViolation

Pcm = npt.NDArray[np.float32]
"""Mono 16 kHz samples in [-1, 1], shape (samples,)."""

_DTYPES: dict[AudioFormat, np.dtype[np.generic]] = {
    AudioFormat.FLOAT32: np.dtype("<f4"),
    AudioFormat.INT16: np.dtype("<i2"),
    AudioFormat.UINT8: np.dtype("u1"),
}


def decode_frame(frame: bytes, audio_format: AudioFormat) -> Pcm:
    """Turns one binary frame into samples.

    Values that are not numbers become silence: one of them would poison the voice detector's state for good.

    Args:
        frame: Little-endian mono 16 kHz samples.
        audio_format: How the samples are encoded.

    Returns:
        float32 samples in [-1, 1], shape (samples,).

    Raises:
        ProtocolViolation: The length is not a whole number of samples.
    """
    dtype = _DTYPES[audio_format]
    if len(frame) % dtype.itemsize:
        raise ProtocolViolation(
            f"a frame of {len(frame)} bytes is not a whole number of {audio_format.value} samples "
            f"of {dtype.itemsize} bytes"
        )
    samples = np.frombuffer(frame, dtype).astype(np.float32)
    match audio_format:
        case AudioFormat.INT16:
            return samples / np.float32(32768)
        case AudioFormat.UINT8:
            return (samples - np.float32(128)) / np.float32(128)
        case AudioFormat.FLOAT32:
            return np.clip(np.nan_to_num(samples, copy=False, posinf=0.0, neginf=0.0), -1.0, 1.0)


def seconds(samples: int) -> float:
    """Length of a number of samples in seconds."""
    return samples / SAMPLE_RATE_HZ


def samples(duration_s: float) -> int:
    """Number of samples in a duration."""
    return round(duration_s * SAMPLE_RATE_HZ)
