"""Sound to Opus packets. Silence, of which a meeting is full, costs next to nothing."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from usher.bot.audio.clock import SAMPLE_RATE

Samples = NDArray[np.float32]
"""Mono, 16 kHz, shape (samples,)."""

PACKET_MS = 60
PACKET_SAMPLES = SAMPLE_RATE * PACKET_MS // 1000

_BITS_PER_S = 24_000
_OPTIONS = {"application": "voip", "frame_duration": str(PACKET_MS), "compression_level": "3", "dtx": "0"}
_SETTLED = 5
_BEAT = Fraction(1, SAMPLE_RATE)


class OpusEncoder:
    """Encodes packets of 60 ms, one after the other.

    After some silent packets the decoder is at rest, and each further one is the same as the one before: it is repeated
    without the encoder.

    Attributes:
        head: Identification header, `OpusHead`.
            Source: RFC 7845, section 5.1.
    """

    def __init__(self) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "flt"
        codec.bit_rate, codec.time_base, codec.options = _BITS_PER_S, _BEAT, _OPTIONS
        codec.open()
        self._codec = codec
        self._encoded = 0
        self._silent = 0
        self._rest = b""
        self.head = bytes(codec.extradata)

    def encode(self, samples: Samples) -> bytes:
        """Return the next packet, of exactly `PACKET_SAMPLES` samples."""
        if samples.any():
            self._silent = 0
            return self._encode(samples)
        if self._silent < _SETTLED:
            self._silent += 1
            self._rest = self._encode(samples)
        return self._rest

    def _encode(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE, _BEAT, self._encoded
        self._encoded += len(samples)
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
