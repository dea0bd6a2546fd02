"""The last minute of a track, kept until the speech service has made final text of it."""

import array
import sys
from collections import deque

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.frames import SAMPLE_BYTES, Frame, count

QUIET = 0.002
"""Amplitude up to which nothing at all is to be heard."""

_MOST_SAMPLES = 60 * SAMPLE_RATE


class Tape:
    """Frames of one track without gaps: missing samples become silence, doubled ones are dropped, both are counted.

    Bounded to a minute: where the speech service is away for longer, the oldest audio goes, and is counted.

    Attributes:
        missing: Samples that never came.
        dropped: Samples that had to go unheard.
        sent_until: Position up to which the speech service has had the audio at least once.
    """

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._samples = 0
        self.end = 0
        self.missing = 0
        self.dropped = 0
        self.sent_until = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample on the tape."""
        return self._frames[0].position if self._frames else self.end

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        if not self._frames and self.end == 0:
            self.end = frame.position
        gap = frame.position - self.end
        if gap < 0:
            return
        if gap:
            self.missing += gap
            self._append(Frame(self.end, bytes(min(gap, _MOST_SAMPLES) * SAMPLE_BYTES)))
            self.end = frame.position
        self._append(frame)

    def after(self, position: int) -> list[Frame]:
        """Return the frames from `position` on."""
        return [frame for frame in self._frames if frame.position >= position]

    def forget(self, before: int) -> None:
        """Let go of whole frames that end before that position."""
        while self._frames and self._frames[0].position + count(self._frames[0]) <= before:
            self._samples -= count(self._frames.popleft())

    def _append(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._samples += count(frame)
        self.end = frame.position + count(frame)
        while self._samples > _MOST_SAMPLES:
            gone = self._frames.popleft()
            self._samples -= count(gone)
            if gone.position >= self.sent_until:
                self.dropped += count(gone)


def loudness(frame: Frame) -> float:
    """Return the largest amplitude in a frame, 0 to 1."""
    samples = array.array("f", frame.pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(samples, default=0.0)
