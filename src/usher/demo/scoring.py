"""How well a transcript matches what was said: word error rate and speaker attribution."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_WORD = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True, slots=True)
class Said:
    """Something that somebody said, by the script or by the transcript."""

    speaker: str | None
    text: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Score:
    """Transcript against script.

    Attributes:
        word_error_rate: Wrong, missing and added words of all speakers, by the number of words in the script.
        misattributed: Segments whose speaker is not who was talking then.
        speakers: Names in the transcript.
    """

    word_error_rate: float
    misattributed: int
    segments: int
    speakers: frozenset[str]


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case, without punctuation."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def word_errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of substitutions, deletions and insertions between two word lists."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(expected, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def score(script: Sequence[Said], transcript: Sequence[Said]) -> Score:
    """Compare what a transcript says with what the script says, speaker by speaker."""
    names = {line.speaker for line in script} | {segment.speaker for segment in transcript}
    errors = sum(word_errors(_words_of(script, name), _words_of(transcript, name)) for name in names)
    return Score(
        word_error_rate=errors / max(1, sum(len(words(line.text)) for line in script)),
        misattributed=sum(segment.speaker != _talking(script, segment) for segment in transcript),
        segments=len(transcript),
        speakers=frozenset(segment.speaker or "?" for segment in transcript),
    )


def _words_of(said: Sequence[Said], speaker: str | None) -> list[str]:
    return [word for one in sorted(said, key=lambda s: s.start) if one.speaker == speaker for word in words(one.text)]


def _talking(script: Sequence[Said], segment: Said) -> str | None:
    """Return who was talking for most of the segment's time."""

    def overlap_s(line: Said) -> float:
        return (min(line.end, segment.end) - max(line.start, segment.start)).total_seconds()

    return max(script, key=overlap_s).speaker
