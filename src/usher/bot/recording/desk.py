"""The mixing desk: takes frames of all lanes, gives out what there is to upload. No I/O; for one thread at a time."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import structlog

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.receiver import Frame
from usher.bot.recording.media import Chunk, MediaWriter
from usher.bot.recording.opus import Samples
from usher.bot.recording.timeline import Mix, Placement, Sound
from usher.protocol.recordings import MIXED, MOST_FILES, FileDescription, FileState, speaker_file

log = structlog.get_logger(__name__)

_HOLD_S = 2.0
_TOGETHER = SAMPLE_RATE // 2
_MOST_PENDING = 10 * SAMPLE_RATE
_QUIET_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of a lane.

    Attributes:
        lane: Whose; equal for frames of one speaker, whatever track they come by.
        name: What the speaker is called now.
        at: When its first sample was heard.
        now_s: When it was handed over, in seconds of a monotonic clock.
    """

    lane: Hashable
    name: str | None
    frame: Frame
    at: datetime
    now_s: float


@dataclass(frozen=True, slots=True)
class Description:
    """A file, as it is to be described now."""

    name: str
    said: FileDescription


News = Description | Chunk


class _Strip:
    """A file, and what was said of it last."""

    def __init__(self, name: str, said: FileDescription) -> None:
        self.name = name
        self.said = said
        self.mix = Mix()
        self._writer = MediaWriter(name)
        self._written_s = 0.0

    def write_until(self, until: int, now_s: float) -> None:
        """Write what was heard before a place on the timeline."""
        for sound in self.mix.advance(until):
            self._writer.write(sound, now_s)
            self._written_s = now_s

    def seal(self, now_s: float, *, whole: bool = False) -> list[Chunk]:
        """Return the chunks that are due."""
        return self._writer.seal(now_s, quiet=now_s - self._written_s >= _QUIET_S, whole=whole)

    def describe(self, **changes: object) -> Description:
        self.said = self.said.model_copy(update=changes)
        return Description(self.name, self.said)


class _Lane(_Strip):
    """A speaker's file. It waits for nobody else, so nothing comes too late for it, whatever was cut off meanwhile.

    A speaker may be heard by two tracks at once, a microphone and a shared screen: their frames come half a second
    apart at most.
    """

    def __init__(self, name: str, said: FileDescription) -> None:
        super().__init__(name, said)
        self.placement = Placement()
        self._end = 0
        self._heard_s = 0.0

    def hear(self, place: int, samples: Samples, now_s: float) -> None:
        """Take samples that have a place on the timeline."""
        self._end, self._heard_s = max(self._end, place + len(samples)), now_s
        if samples.any():
            self.mix.add(Sound(place, samples))
        if self.mix.pending > _MOST_PENDING:
            self.catch_up(now_s)

    def catch_up(self, now_s: float, *, whole: bool = False) -> None:
        """Write what was heard, but for the last half second while more is coming."""
        quiet = whole or now_s - self._heard_s >= _QUIET_S
        self.write_until(self._end + SAMPLE_RATE if quiet else self._end - _TOGETHER, now_s)


class Desk:
    """All files of one recording.

    Args:
        start: When the recording starts: no sound before it is kept.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._lanes: dict[Hashable, _Lane] = {}
        self._files = 1
        self._mixed = _Strip(MIXED, FileDescription(started_at=start))
        self._news: list[News] = [self._mixed.describe()]
        self._lead_s: float | None = None

    def hear(self, heard: Heard) -> None:
        """Take a frame of a lane. A lane has a file from its first sound on."""
        samples = np.frombuffer(heard.frame.pcm, dtype="<f4")
        came_s = (heard.at - self._start).total_seconds()
        lead_s = came_s + len(samples) / SAMPLE_RATE - heard.now_s
        self._lead_s = lead_s if self._lead_s is None else max(self._lead_s, lead_s)
        lane = self._lanes.get(heard.lane) or (self._open(heard) if samples.any() else None)
        if lane is None:
            return
        place = lane.placement.place(heard.frame.position, len(samples), round(came_s * SAMPLE_RATE), heard.now_s)
        if heard.name and heard.name != lane.said.speaker:
            self._news.append(lane.describe(speaker=heard.name))
        before = max(0, -place)
        place, samples = place + before, _finite(samples[before:])
        lane.hear(place, samples, heard.now_s)
        if samples.any():
            self._mixed.mix.add(Sound(place, samples))

    def end(self, lane: Hashable, now_s: float) -> None:
        """Finish the file of a lane that is over."""
        over = self._lanes.pop(lane, None)
        if over is not None:
            over.catch_up(now_s, whole=True)
            self._finish(over, now_s)

    def advance(self, now_s: float) -> list[News]:
        """Mix what was heard until two seconds ago, and return what is to be uploaded by now, in order."""
        for lane in self._lanes.values():
            lane.catch_up(now_s)
            self._news += lane.seal(now_s)
        if self._lead_s is not None:
            self._mixed.write_until(int((now_s + self._lead_s - _HOLD_S) * SAMPLE_RATE), now_s)
        self._news += self._mixed.seal(now_s)
        return self._take()

    def close(self, now_s: float) -> list[News]:
        """Finish every file, the mix last, and return what is to be uploaded."""
        for lane in list(self._lanes):
            self.end(lane, now_s)
        if self._lead_s is not None:
            self._mixed.write_until(int((now_s + self._lead_s + _HOLD_S) * SAMPLE_RATE), now_s)
        self._finish(self._mixed, now_s)
        return self._take()

    def _finish(self, strip: _Strip, now_s: float) -> None:
        lost_ms = strip.mix.missed * 1000 // SAMPLE_RATE
        self._news += strip.seal(now_s, whole=True)
        self._news.append(strip.describe(state=FileState.FINISHED, lost_ms=lost_ms))

    def _open(self, heard: Heard) -> _Lane | None:
        """Begin the file of a lane; None if there are as many as a recording has at most."""
        if self._files == MOST_FILES:
            log.warning("speaker_not_recorded", files=self._files)
            return None
        said = FileDescription(speaker=heard.name, started_at=self._start)
        lane = self._lanes[heard.lane] = _Lane(speaker_file(self._files), said)
        self._files += 1
        self._news.append(lane.describe())
        return lane

    def _take(self) -> list[News]:
        news, self._news = self._news, []
        return news


def _finite(samples: Samples) -> Samples:
    """Return samples that can be added and encoded: pages may send anything."""
    return np.clip(np.nan_to_num(samples), -1.0, 1.0)
