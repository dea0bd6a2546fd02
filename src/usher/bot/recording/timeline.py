"""When sound was heard, in samples from the start of the recording: for each lane, and for all of them together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.recording.opus import Samples

_WINDOW_S = 5.0
_TOLERATED = SAMPLE_RATE // 100
_ONE_RUN = SAMPLE_RATE
_BLOCK = SAMPLE_RATE // 10
_SLACK = 2 * SAMPLE_RATE
_MOST_AHEAD = 60 * SAMPLE_RATE


class Placement:
    """Where the frames of one lane belong on the recording's timeline.

    Positions tell how frames follow one another, to the sample; moments tell when, but come late where the machine is
    busy. So a run of frames is laid end to end, and moved only if for seconds every frame was later than it was laid,
    or one was earlier: by more than 10 ms.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._next = 0
        self._least_late: int | None = None
        self._window_s = 0.0

    def place(self, position: int, count: int, heard: int, now_s: float) -> int:
        """Return the place of a frame.

        Args:
            position: Number of its first sample, as its source counts.
            count: How many samples it has.
            heard: When its first sample was heard, in samples from the start of the recording.
            now_s: Seconds of a monotonic clock.
        """
        self._correct(now_s)
        late = 0 if self._offset is None else heard - (self._offset + position)
        if self._offset is None or (position != self._next and abs(late) >= _ONE_RUN):
            self._offset, late = heard - position, 0
            self._least_late, self._window_s = None, now_s
        self._next = position + count
        self._least_late = late if self._least_late is None else min(self._least_late, late)
        return self._offset + position

    def _correct(self, now_s: float) -> None:
        """Move the run, once in a while, by what even its most punctual frame was late."""
        if self._offset is None or self._least_late is None or now_s < self._window_s + _WINDOW_S:
            return
        if abs(self._least_late) > _TOLERATED:
            self._offset += self._least_late
        self._least_late, self._window_s = None, now_s


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples and their place on the timeline."""

    place: int
    samples: Samples


class Mix:
    """The sum of all lanes. What comes later than `advance` has gone, or a minute ahead, is not in it, and counted.

    Attributes:
        missed: Samples that are not in it.
    """

    def __init__(self) -> None:
        self._begin = 0
        self._sum: Samples = np.zeros(0, dtype=np.float32)
        self.missed = 0

    def add(self, sound: Sound) -> None:
        """Add sound of one lane."""
        if not len(self._sum):
            self._begin = max(self._begin, (sound.place - _SLACK) // _BLOCK * _BLOCK)
        late = min(max(0, self._begin - sound.place), len(sound.samples))
        begin, samples = sound.place + late - self._begin, sound.samples[late:]
        end = begin + len(samples)
        if late == len(sound.samples) or end > _MOST_AHEAD:
            self.missed += len(sound.samples)
            return
        self.missed += late
        if end > len(self._sum):
            self._sum = np.concatenate((self._sum, np.zeros(end - len(self._sum), dtype=np.float32)))
        self._sum[begin:end] += samples

    @property
    def pending(self) -> int:
        """How many samples wait to be taken out."""
        return len(self._sum)

    def advance(self, until: int) -> Iterator[Sound]:
        """Take out what was heard before `until`; silence is left out."""
        passed = max(0, until - self._begin) // _BLOCK * _BLOCK
        if passed > len(self._sum):
            self._sum = np.concatenate((self._sum, np.zeros(-len(self._sum) % _BLOCK, dtype=np.float32)))
        ready = min(passed, len(self._sum) // _BLOCK * _BLOCK)
        for offset in range(0, ready, _BLOCK):
            block = self._sum[offset : offset + _BLOCK]
            if block.any():
                yield Sound(self._begin + offset, np.clip(block, -1.0, 1.0))
        self._sum = self._sum[ready:].copy()
        self._begin += ready if len(self._sum) else passed
