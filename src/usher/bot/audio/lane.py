"""One speaker's way to the speech service: what they say, and no more silence between than ends an utterance."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from usher.bot.audio.clock import SAMPLE_RATE, Moments
from usher.bot.audio.frames import SAMPLE_BYTES, Frame
from usher.bot.audio.listener import Listener
from usher.bot.audio.sound import Sound

_LEAD_FRAMES = 9
_LEAD = SAMPLE_RATE
_TRAIL = int(1.5 * SAMPLE_RATE)
_OVERLAP = int(0.2 * SAMPLE_RATE)
_MOST_JUMPS = 4000


class LaneMoments:
    """When the samples of a lane were heard; a lane leaves time out."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._positions: deque[int] = deque(maxlen=_MOST_JUMPS)
        self._elsewhere: deque[int] = deque(maxlen=_MOST_JUMPS)

    def jump(self, position: int, elsewhere: int) -> None:
        """Take note that the sample at `position` of the lane is that at `elsewhere` of the bot's time line."""
        self._positions.append(position)
        self._elsewhere.append(elsewhere)

    def at(self, position: int) -> datetime:
        """Return when a sample was heard; where a stretch ends and the next begins, when the first one ended."""
        index = max(0, bisect_right(self._positions, max(0, position - 1)) - 1)
        if not self._positions:
            return self._moments.at(position)
        since = position - self._positions[index]
        return self._moments.at(self._elsewhere[index]) + timedelta(seconds=since / SAMPLE_RATE)


class Lane:
    """A speaker's sound on the way to a listener, which is opened with the first sound.

    Quiet frames before a sound are sent with it, up to a second; after it, sound or silence is sent for a second and a
    half, so that the speech service ends the utterance; then nothing until there is sound again.

    Args:
        moments: When samples of the bot's time line were heard.
        open_listener: Opens the listener, given when samples of the lane were heard.

    Attributes:
        listener: None before the first sound.
        end: Position on the bot's time line up to which the lane is filled.
    """

    def __init__(self, moments: Moments, open_listener: Callable[[Moments], Listener]) -> None:
        self._bot_moments = moments
        self._moments = LaneMoments(moments)
        self._open_listener = open_listener
        self._lead: deque[Sound] = deque(maxlen=_LEAD_FRAMES)
        self._loud_until = 0
        self._written = 0
        self.listener: Listener | None = None
        self.end = 0

    def is_free(self, begin: int) -> bool:
        """Say whether sound that begins there can be heard here: what is heard already does not overlap it."""
        return begin >= self.end - _OVERLAP

    def hear(self, sound: Sound) -> None:
        """Take the next frame of the speaker."""
        if not sound.is_loud and (self.listener is None or sound.begin >= self._loud_until + _TRAIL):
            self._lead.append(sound)
            return
        if sound.is_loud:
            for quiet in self._lead:
                if quiet.begin >= max(self.end, sound.begin - _LEAD):
                    self._write(quiet)
            self._lead.clear()
        self._write(sound)
        if sound.is_loud:
            self._loud_until = sound.end

    def pass_time(self, until: int) -> None:
        """Notice that the speaker is silent up to there, while others may speak."""
        silence = min(until, self._loud_until + _TRAIL) - self.end
        if self.listener is not None and silence > 0:
            self._put(self.listener, bytes(silence * SAMPLE_BYTES), silence)

    def detach(self) -> Listener | None:
        """Let go of the listener, if there is one; the next sound opens another."""
        listener, self.listener = self.listener, None
        return listener

    def _write(self, sound: Sound) -> None:
        if self.listener is None:
            self._moments = LaneMoments(self._bot_moments)
            self._moments.jump(0, sound.begin)
            self._written, self.end = 0, sound.begin
            self.listener = self._open_listener(self._moments)
        self.pass_time(sound.begin)
        if sound.begin != self.end:
            self._moments.jump(self._written, sound.begin)
            self.end = sound.begin
        self._put(self.listener, sound.frame.pcm, sound.end - sound.begin)

    def _put(self, listener: Listener, pcm: bytes, samples: int) -> None:
        listener.tape.add(Frame(self._written, pcm))
        listener.wake()
        self._written += samples
        self.end += samples
