"""From the page's speaking signs to turns of speech: a sign comes late, and stays on for a while.

Pure: positions are numbers of samples on the one time line of the bot; nothing here knows a clock.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.clues import Signs, Span
from usher.bot.audio.sound import Sound
from usher.bot.audio.tape import QUIET

_LATEST_SIGN = int(0.6 * SAMPLE_RATE)
_HANDOVER = int(0.4 * SAMPLE_RATE)
_STEP = int(0.1 * SAMPLE_RATE)
_HISTORY = 4 * SAMPLE_RATE
_REAL_PAUSE = int(0.2 * SAMPLE_RATE)
_PAUSE = 0.5
_SOFT = 0.05
_MOST_KNOWN = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which somebody may be heard; `end` is None while there is no end in sight."""

    onset: int
    end: int | None
    person: str

    def lasts(self, position: int) -> bool:
        """Say whether it is not over at a position."""
        return self.end is None or self.end > position


class SignedTurns:
    """Corrects the signs by what is heard on a track: a voice begins and ends at a quiet moment.

    Args:
        signs: The page's signs.
    """

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._past: deque[Sound] = deque()
        self._onsets: dict[Span, int] = {}
        self._ends: dict[tuple[Span, int], int] = {}

    def add(self, sound: Sound) -> None:
        """Take the next frame of the track."""
        self._past.append(sound)
        while self._past[0].end < sound.end - _HISTORY:
            self._past.popleft()

    def at(self, sound: Sound) -> list[Turn]:
        """Return who may be heard in a frame, in the order in which they began to speak."""
        near = self._signs.between(sound.begin, sound.end + _LATEST_SIGN)
        turns = [Turn(self._onset(span), self._end(span), span.person) for span in near]
        return [turn for turn in sorted(turns, key=lambda turn: turn.onset) if turn.onset <= sound.middle]

    def _onset(self, span: Span) -> int:
        """Return where the voice began whose sign came at `span.on`: after the quietest moment before it."""
        known = self._onsets.get(span)
        if known is None:
            known = self._onsets[span] = self._find_onset(span)
            if len(self._onsets) > _MOST_KNOWN:
                self._onsets.pop(next(iter(self._onsets)))
        return known

    def _end(self, span: Span) -> int | None:
        """Return where the voice ended whose sign went at `span.off`: where it fell silent, or some time before."""
        if span.off is None or span.off > self._past[-1].end:
            return None
        known = self._ends.get((span, span.off))
        if known is None:
            known = self._ends[span, span.off] = self._find_end(span, span.off)
            if len(self._ends) > _MOST_KNOWN:
                self._ends.pop(next(iter(self._ends)))
        return known

    def _find_end(self, span: Span, off: int) -> int:
        before = list(self._stretch(off - _HISTORY // 2, off))
        least = max(QUIET, _SOFT * max((sound.loudness for sound in before), default=0.0))
        loud = [sound.end for sound in before if sound.loudness > least]
        if not loud or off - loud[-1] < _REAL_PAUSE:
            return max(span.on, off - self._signs.stay)
        self._signs.note_stay(off - loud[-1])
        return loud[-1]

    def _find_onset(self, span: Span) -> int:
        before = list(self._stretch(span.on - _LATEST_SIGN, span.on))
        if not before:
            return span.on - self._signs.lag
        usual = sorted(sound.loudness for sound in before)[len(before) // 2]
        loudest = max(sound.loudness for sound in before)
        quietest = min(sound.loudness for sound in before)
        if quietest >= _PAUSE * max(usual, loudest / 2):
            return span.on - self._signs.lag
        pause = max(sound.begin for sound in before if sound.loudness <= max(2 * quietest, QUIET))
        if pause + _STEP < span.on:
            self._signs.note_lag(span.on - pause - _STEP)
        return pause

    def _stretch(self, begin: int, end: int) -> Iterator[Sound]:
        return (sound for sound in self._past if begin <= sound.middle < end)


def dominant(turns: Sequence[Turn], position: int, *, newest: bool = False) -> str:
    """Return who is heard at a position, of turns in the order of their beginning.

    The first goes on speaking until the end of the turn, unless that is about where the next one began. Where signs
    stay on for longer than can be waited for, the newest tells.
    """
    lasting = [turn for turn in turns if turn.lasts(position)] or turns[-1:]
    if newest:
        return lasting[-1].person
    first, *others = lasting
    for other in others:
        if not first.lasts(other.onset + _HANDOVER):
            first = other
    return first.person
