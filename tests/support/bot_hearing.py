"""What a bot heard of people who are tones, against what they said: coverage and whose it was taken for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tests.support.bot_speech_server import Stream
from tests.support.bot_talk import Turn

from usher.protocol.segments import SegmentEntry
from usher.protocol.whisper import SAMPLE_RATE_HZ

_BLOCK = 800
_HEARD = 0.05


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of what was said was heard as whose.

    Attributes:
        said_s: Seconds in which anybody spoke, each person's own; where a track is mixed, those of all together.
        right_s: Of them, heard under the right name.
        wrong_s: Heard under the name of somebody who did not speak then.
        nameless_s: Heard under no name.
    """

    said_s: float
    right_s: float
    wrong_s: float
    nameless_s: float

    @property
    def accuracy(self) -> float:
        """Share of the speech that came which is right; what a busy machine loses before the bot is not in it."""
        return self.right_s / (self.right_s + self.wrong_s + self.nameless_s)

    @property
    def share(self) -> float:
        """Share of what was said that came."""
        return (self.right_s + self.wrong_s + self.nameless_s) / self.said_s


def speakers(entries: Iterable[SegmentEntry]) -> Mapping[str, set[str | None]]:
    """Return under which names segments of each session came."""
    names: dict[str, set[str | None]] = defaultdict(set)
    for entry in entries:
        names[entry.session_uid] |= {segment.speaker for segment in entry.segments}
    return names


def heard(
    streams: Sequence[Stream],
    entries: Iterable[SegmentEntry],
    voices: Mapping[str, int],
    turns: Sequence[Turn],
    *,
    mixed: bool = False,
) -> Heard:
    """Compare the sound of each stream with the voice of the person under whose name its text came."""
    names = speakers(entries)
    right = wrong = nameless = 0
    for stream in streams:
        blocks = tones(np.asarray(stream.pcm, dtype=np.float32), voices.values())
        called = names.get(stream.uid, set()) - {None}
        mine = [index for index, name in enumerate(voices) if name in called]
        sounding = blocks.any(axis=1)
        if not mine:
            nameless += int(sounding.sum())
            continue
        own = blocks[:, mine].any(axis=1)
        right += int(own.sum())
        wrong += int((sounding & ~own).sum())
    block_s = _BLOCK / SAMPLE_RATE_HZ
    said_s = _together(turns) if mixed else sum(end - begin for _, begin, end in turns)
    return Heard(said_s, right * block_s, wrong * block_s, nameless * block_s)


def tones(pcm: npt.NDArray[np.float32], voices_hz: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Return which voices sound in each 50 ms: shape (blocks, voices)."""
    blocks = pcm[: len(pcm) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    time = np.arange(_BLOCK) / SAMPLE_RATE_HZ
    waves = np.exp(-2j * np.pi * np.outer(time, np.asarray(list(voices_hz)))) * np.hanning(_BLOCK)[:, None]
    return np.asarray(2 * np.abs(blocks @ waves) / np.hanning(_BLOCK).sum() > _HEARD)


def _together(turns: Sequence[Turn]) -> float:
    """Return the seconds in which anybody speaks."""
    total, until = 0.0, 0.0
    for _, begin, end in sorted(turns, key=lambda turn: turn[1]):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
