"""Frames to samples."""

import numpy as np
import pytest

from usher.protocol.whisper import AudioFormat, ProtocolViolation
from usher.transcription.pcm import decode_frame

WAVE = np.array([-1.0, -0.5, 0.0, 0.5], np.float32)


@pytest.mark.parametrize(
    ("frame", "audio_format"),
    [
        (WAVE.astype("<f4").tobytes(), AudioFormat.FLOAT32),
        ((WAVE * 32768).astype("<i2").tobytes(), AudioFormat.INT16),
        ((WAVE * 128 + 128).astype("u1").tobytes(), AudioFormat.UINT8),
    ],
)
def test_every_format_gives_the_same_samples(frame: bytes, audio_format: AudioFormat) -> None:
    samples = decode_frame(frame, audio_format)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, WAVE)


@pytest.mark.parametrize(
    ("size", "audio_format"),
    [(1, AudioFormat.FLOAT32), (2, AudioFormat.FLOAT32), (7, AudioFormat.FLOAT32), (3, AudioFormat.INT16)],
)
def test_a_part_of_a_sample_is_refused(size: int, audio_format: AudioFormat) -> None:
    with pytest.raises(
        ProtocolViolation, match=f"a frame of {size} bytes is not a whole number of {audio_format.value}"
    ):
        decode_frame(bytes(size), audio_format)


def test_values_that_are_no_numbers_become_silence_and_loud_ones_are_clipped() -> None:
    frame = np.array([np.nan, np.inf, -np.inf, 3.0, -3.0], "<f4").tobytes()
    np.testing.assert_array_equal(decode_frame(frame, AudioFormat.FLOAT32), np.array([0, 0, 0, 1, -1], np.float32))


def test_an_empty_frame_is_no_samples() -> None:
    assert len(decode_frame(b"", AudioFormat.FLOAT32)) == 0
