"""One file of a recording: sound in, chunks of WebM out."""

from dataclasses import dataclass

import numpy as np

from usher.bot.recording import webm
from usher.bot.recording.opus import PACKET_MS, PACKET_SAMPLES, OpusEncoder, Samples
from usher.bot.recording.timeline import Sound
from usher.protocol.recordings import MOST_CHUNK_BYTES

_CHUNK_S = 5.0
_SILENCE: Samples = np.zeros(PACKET_SAMPLES, dtype=np.float32)
_NOTHING: Samples = _SILENCE[:0]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file that ends with a whole cluster.

    Attributes:
        head: What a file begins with; belongs before the first chunk.
        from_ms: Where its sound begins, from the start of the recording.
        until_ms: Where its sound ends.
    """

    name: str
    head: bytes
    from_ms: int
    until_ms: int
    clusters: bytes


class MediaWriter:
    """Writes one file. Silence is written when sound comes after it, so that a silent speaker costs nothing.

    Attributes:
        name: Of the file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._encoder = OpusEncoder()
        self._partial: Samples = _NOTHING
        self._packets: list[bytes] = []
        self._written = 0
        self._head = webm.head(self._encoder.head)
        self._clusters = bytearray()
        self._emitted = 0
        self._opened_s: float | None = None
        self._full: list[Chunk] = []

    def write(self, sound: Sound, now_s: float) -> None:
        """Append sound; what was written up to its place is followed by silence, what overlaps it is dropped.

        Args:
            sound: Comes in order.
            now_s: Seconds of a monotonic clock.
        """
        overlap = max(0, self._end - sound.place)
        samples = sound.samples[overlap:]
        if not len(samples):
            return
        if self._opened_s is None:
            self._opened_s = now_s
        self._pass_silence(sound.place)
        self._append(samples)

    def seal(self, now_s: float, *, quiet: bool, whole: bool = False) -> list[Chunk]:
        """Return the chunks that are due: full ones, and one that was begun five seconds ago.

        Args:
            now_s: Seconds of a monotonic clock.
            quiet: No sound is coming in: what is shorter than a packet need not wait for more.
            whole: Everything is due: the file ends, or its speaker has gone.
        """
        if self._opened_s is not None and (whole or now_s - self._opened_s >= _CHUNK_S):
            if (quiet or whole) and len(self._partial):
                self._pass_silence(self._end + PACKET_SAMPLES - len(self._partial))
            self._close_chunk()
            self._opened_s = now_s if len(self._partial) else None
        full, self._full = self._full, []
        return full

    @property
    def _end(self) -> int:
        """Where on the timeline the next sample goes."""
        return self._written * PACKET_SAMPLES + len(self._partial)

    def _pass_silence(self, until: int) -> None:
        rest = min(until - self._end, PACKET_SAMPLES - len(self._partial))
        if len(self._partial) and rest > 0:
            self._append(_SILENCE[:rest])
        for _ in range((until - self._end) // PACKET_SAMPLES):
            self._add(self._encoder.encode(_SILENCE))
        if until > self._end:
            self._append(_SILENCE[: until - self._end])

    def _append(self, samples: Samples) -> None:
        joined = np.concatenate((self._partial, samples)) if len(self._partial) else samples
        whole = len(joined) // PACKET_SAMPLES * PACKET_SAMPLES
        for begin in range(0, whole, PACKET_SAMPLES):
            self._add(self._encoder.encode(joined[begin : begin + PACKET_SAMPLES]))
        self._partial = joined[whole:].copy()

    def _add(self, packet: bytes) -> None:
        self._packets.append(packet)
        self._written += 1
        if len(self._packets) == webm.CLUSTER_PACKETS:
            self._close_cluster()

    def _close_cluster(self) -> None:
        """Move the packets to the chunk; a chunk that would be too long is closed without them."""
        if not self._packets:
            return
        closed = webm.cluster(self._written - len(self._packets), self._packets)
        if len(self._head) + len(self._clusters) + len(closed) > MOST_CHUNK_BYTES:
            self._emit(self._written - len(self._packets))
        self._clusters += closed
        self._packets = []

    def _close_chunk(self) -> None:
        self._close_cluster()
        if self._clusters:
            self._emit(self._written)

    def _emit(self, packets: int) -> None:
        span = (self._emitted * PACKET_MS, packets * PACKET_MS)
        self._full.append(Chunk(self.name, self._head, *span, bytes(self._clusters)))
        self._emitted = packets
        self._clusters.clear()
