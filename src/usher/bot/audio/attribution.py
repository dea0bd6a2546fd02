"""Whose voice a frame of a track is.

A track that belongs to one person is that person's. On others, contributing sources tell it exactly; else the page's
speaking signs, which come late and stay on for a while, are moved to the quietest moment before they came. Frames are
held back until no clue can come any more that changes the answer.

Pure: positions are numbers of samples on the one time line of the bot; nothing here knows a clock.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.clues import Clues, Signs, Span
from usher.bot.audio.sound import Sound
from usher.bot.audio.turns import SignedTurns, Turn, dominant

_SHARED_HOLD = int(0.3 * SAMPLE_RATE)
_MIXED_HOLD = SAMPLE_RATE
_SOURCES_WINDOW = int(0.1 * SAMPLE_RATE)
_LONGEST_HANDOVER = int(0.4 * SAMPLE_RATE)
_LONGEST_STAY = int(0.8 * SAMPLE_RATE)
_CARRY = SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Attributed:
    """A frame and whose it is.

    Attributes:
        person: Id of the person; None where nobody is known, or the track itself says it.
    """

    sound: Sound
    person: str | None


class Attribution:
    """Tells of one track whose each frame is. Every frame comes out once, in order.

    Args:
        track: Our number of it.
        track_id: The page's own name of it.
        clues: What is known of the meeting.
        patient: Hold frames back for as long as any clue may take.
    """

    def __init__(self, track: int, track_id: str, clues: Clues, *, patient: bool = False) -> None:
        self._patient = patient
        self._track = track
        self._track_id = track_id
        self._clues = clues
        self._held: deque[Sound] = deque()
        self._signed = SignedTurns(clues.signs)
        self._sourced = Signs()
        self._newest: Sequence[int] = ()
        self._crowded_since: int | None = None
        self._is_mix = False
        self._last: tuple[str, int] | None = None
        self.end = 0

    @property
    def settled_until(self) -> int:
        """Position up to which all frames have come out."""
        return self._held[0].begin if self._held else self.end

    def sources(self, position: int, heard: Sequence[int]) -> None:
        """Take note that these sources are in the track since the 100 ms before `position`."""
        self._sourced.note([str(source) for source in heard], max(0, position - _SOURCES_WINDOW))
        self._newest = heard
        if len(heard) < 2:
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = position

    def add(self, sound: Sound) -> list[Attributed]:
        """Take the next frame, and return the frames that can be told now."""
        self._held.append(sound)
        self._signed.add(sound)
        self.end = sound.end
        return self._release(self._hold())

    def flush(self) -> list[Attributed]:
        """Return the frames that are still held back: no clue comes any more."""
        return self._release(0)

    def _release(self, hold: int) -> list[Attributed]:
        told = []
        while self._held and self._held[0].end + hold <= self.end:
            sound = self._held.popleft()
            told.append(Attributed(sound, self._person(sound)))
        return told

    def _hold(self) -> int:
        """Return for how long a frame has to wait for what tells whose it is."""
        if self._patient:
            return _MIXED_HOLD
        if self._track_id in self._clues.voices:
            return 0
        # Where one speaker follows another, both are there for a moment.
        self._is_mix |= self._crowded_since is not None and self.end - self._crowded_since > _LONGEST_HANDOVER
        if self._newest and not self._is_mix and all(map(self._clues.person_of, self._newest)):
            return _SHARED_HOLD
        if self._clues.signs.known or self._is_mix:
            return _MIXED_HOLD
        return _SHARED_HOLD if self._sourced.known or self._clues.knows_sources else 0

    def _person(self, sound: Sound) -> str | None:
        if self._track_id in self._clues.voices:
            return None
        person = self._by_sources(sound) or self._by_signs(sound)
        if person is not None:
            self._last = (person, sound.end)
            if sound.is_loud:
                self._clues.claim(self._track, person, sound.begin, sound.end)
            return person
        # Nobody is named: the end of a word, or a pause of the sign. Silence needs no name.
        if not sound.is_loud or self._last is None or sound.begin - self._last[1] >= _CARRY:
            return None
        return self._last[0]

    def _by_sources(self, sound: Sound) -> str | None:
        known = [(span, self._clues.person_of(int(span.person))) for span in self._heard_sources(sound)]
        turns = [Turn(span.on, span.off, person) for span, person in known if person is not None]
        return dominant(turns, sound.middle) if turns else None

    def _heard_sources(self, sound: Sound) -> list[Span]:
        spans = self._sourced.between(sound.middle, sound.middle + 1)
        return [span for span in spans if span.off is None or span.off > sound.middle]

    def _by_signs(self, sound: Sound) -> str | None:
        turns = self._turns(sound)
        if not turns:
            return None
        sources = self._heard_sources(sound)
        if len(sources) == 1 and len(turns) == 1 and sound.is_loud:
            self._clues.vote(int(sources[0].person), turns[0].person)
        return dominant(turns, sound.middle, newest=self._clues.signs.stay > _LONGEST_STAY)

    def _turns(self, sound: Sound) -> list[Turn]:
        """Return who may be heard in a frame by the signs, without those who are heard by something better."""
        elsewhere = self._clues.people_with_sources() if self._heard_sources(sound) else frozenset()
        return [
            turn
            for turn in self._signed.at(sound)
            if turn.person not in elsewhere and not self._clues.is_claimed(turn.person, self._track, sound.middle)
        ]
