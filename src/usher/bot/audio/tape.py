"""What was heard of a speaker, kept until the speech service has made final text of it."""

import array
import sys
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from functools import partial

import structlog

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.frames import SAMPLE_BYTES, Frame, count
from usher.bot.audio.reels import REEL, Reel, Reels

log = structlog.get_logger(__name__)

QUIET = 0.002
"""Amplitude up to which nothing at all is to be heard."""

_MOST_SAMPLES = 60 * SAMPLE_RATE
_MOST_WHILE_WINDING = 90 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class _Wound:
    """A stretch of the tape that is on disk.

    Attributes:
        first: Number of its first sample on the reel.
    """

    position: int
    samples: int
    reel: Reel
    first: int

    @property
    def end(self) -> int:
        return self.position + self.samples

    def cut(self, before: int) -> "_Wound":
        gone = before - self.position
        return _Wound(before, self.samples - gone, self.reel, self.first + gone)


class Tape:
    """Frames of one track without gaps: missing samples become silence, doubled ones are dropped, both are counted.

    The last minute is in memory. What is older, where the speech service is away or slow, is on reels; where there is
    no room for it, the oldest audio goes, and is counted.

    Args:
        reels: Where older audio goes; None for nowhere.

    Attributes:
        end: Position after the newest sample.
        missing: Samples that never came.
        dropped: Samples that had to go unheard.
        sent_until: Position up to which the speech service has had the audio at least once.
    """

    def __init__(self, reels: Reels | None = None) -> None:
        self._reels = reels
        self._wound: deque[_Wound] = deque()
        self._frames: list[Frame] = []
        self._samples = 0
        self._is_winding = False
        self._wind_from = 0
        self.end = 0
        self.missing = 0
        self.dropped = 0
        self.sent_until = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample on the tape."""
        if self._wound:
            return self._wound[0].position
        return self._frames[0].position if self._frames else self.end

    @property
    def kept(self) -> int:
        """Samples on the tape."""
        return self._samples + sum(piece.samples for piece in self._wound)

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        if not self.kept and self.end == 0:
            self.end = frame.position
        gap = frame.position - self.end
        if gap < 0:
            return
        if gap:
            self.missing += gap
            silence = min(gap, _MOST_SAMPLES)
            self._append(Frame(frame.position - silence, bytes(silence * SAMPLE_BYTES)))
        self._append(frame)

    async def read(self, position: int, most: int) -> Frame | None:
        """Return what is on the tape from a position on, or from the first one after it that is there.

        Args:
            position: Where to begin.
            most: Samples at most.

        Returns:
            Samples without a gap between them; None at the end of the tape.
        """
        while (piece := next((piece for piece in self._wound if piece.end > position), None)) is not None:
            begin = max(position, piece.position)
            samples = min(most, piece.end - begin)
            try:
                pcm = await piece.reel.read(piece.first + begin - piece.position, samples)
            except OSError as error:
                log.warning("audio_on_disk_unreadable", error=type(error).__name__)
                self._lose(piece.reel)
                piece.reel.free()
            else:
                return Frame(begin, pcm)
        return self._remembered(position, most)

    def forget(self, before: int) -> None:
        """Let go of what was heard before that position."""
        while self._wound and self._wound[0].position < before:
            piece = self._wound.popleft()
            if piece.end > before:
                self._wound.appendleft(piece.cut(before))
            else:
                piece.reel.free()
        gone = bisect_right(self._frames, before, key=_end)
        self._remove(gone)
        if self._frames and self._frames[0].position < before:
            first = self._frames[0]
            cut = before - first.position
            self._frames[0] = Frame(before, first.pcm[cut * SAMPLE_BYTES :])
            self._samples -= cut

    def clear(self) -> None:
        """Let go of everything."""
        self.forget(self.end)

    def _remembered(self, position: int, most: int) -> Frame | None:
        index = bisect_right(self._frames, position, key=_end)
        if index == len(self._frames):
            return None
        return self._join(index, max(position, self._frames[index].position), most)

    def _join(self, index: int, begin: int, most: int) -> Frame:
        """Return what is in memory from a position in a frame on, up to the next gap."""
        first = self._frames[index]
        parts, end = [first.pcm[(begin - first.position) * SAMPLE_BYTES :]], _end(first)
        for frame in self._frames[index + 1 :]:
            if frame.position != end or end - begin >= most:
                break
            parts.append(frame.pcm)
            end = _end(frame)
        return Frame(begin, b"".join(parts)[: most * SAMPLE_BYTES])

    def _append(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._samples += count(frame)
        self.end = _end(frame)
        self._make_room()

    def _make_room(self) -> None:
        """Wind the oldest frames on a reel while there are too many; one reel at a time."""
        # Where the disk took none, it is not asked again for each frame.
        may_wind = not self._is_winding and self.end >= self._wind_from
        if self._reels is not None and may_wind and self._samples > _MOST_SAMPLES:
            self._is_winding = True
            oldest = self._join(0, self._frames[0].position, REEL)
            self._reels.wind(oldest.pcm, partial(self._note_wound, oldest.position, _end(oldest)), self._lose)
        self._drop(_MOST_WHILE_WINDING if self._is_winding else _MOST_SAMPLES)

    def _note_wound(self, begin: int, end: int, reel: Reel | None) -> None:
        self._is_winding = False
        start = self._frames[0].position if self._frames else self.end
        if reel is None:
            self._wind_from = self.end + REEL
        elif start < end:
            self._wound.append(_Wound(start, end - start, reel, start - begin))
            self._cut_frames(end)
        else:
            reel.free()
        self._make_room()

    def _cut_frames(self, before: int) -> None:
        wound, self._wound = self._wound, deque()
        self.forget(before)
        self._wound = wound

    def _lose(self, reel: Reel) -> None:
        """Take that a reel is gone."""
        for piece in [piece for piece in self._wound if piece.reel is reel]:
            self._wound.remove(piece)
            self._count_dropped(piece.position, piece.end)

    def _drop(self, most: int) -> None:
        gone, samples = 0, self._samples
        while samples > most:
            frame = self._frames[gone]
            self._count_dropped(frame.position, _end(frame))
            samples -= count(frame)
            gone += 1
        self._remove(gone)

    def _remove(self, frames: int) -> None:
        self._samples -= sum(map(count, self._frames[:frames]))
        del self._frames[:frames]

    def _count_dropped(self, begin: int, end: int) -> None:
        self.dropped += max(0, end - max(begin, self.sent_until))


def _end(frame: Frame) -> int:
    return frame.position + count(frame)


def loudness(frame: Frame) -> float:
    """Return the largest amplitude in a frame, 0 to 1."""
    samples = array.array("f", frame.pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(samples, default=0.0)
