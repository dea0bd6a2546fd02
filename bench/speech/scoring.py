"""What a stream was told against what was said in it: delays, utterances found, wrong words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.support.wer import words

from bench.speech.corpus import Part, Said

Segment = Mapping[str, Any]
Message = tuple[float, Sequence[Segment]]

_NEAR_S = 1.0
"""How far a segment's own times may be from the truth."""


@dataclass(slots=True)
class Score:
    """Of one stream, or of many together.

    Attributes:
        final_s: Of each utterance that was found: from its last sound until its last words came in a completed text.
        shown_s: The same until they came in any text.
        interval_s: Between two partial texts of one utterance while it was being said.
        said: Utterances.
        found: Of them, those of which at least half of the words came in a completed text.
        words: Words that were said.
        wrong: Words that were not heard, heard wrongly, or added.
    """

    final_s: list[float] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)
    interval_s: list[float] = field(default_factory=list)
    said: int = 0
    found: int = 0
    words: int = 0
    wrong: int = 0

    def add(self, other: "Score") -> None:
        """Take another stream's score in."""
        self.final_s += other.final_s
        self.shown_s += other.shown_s
        self.interval_s += other.interval_s
        self.said += other.said
        self.found += other.found
        self.words += other.words
        self.wrong += other.wrong


def score(part: Part, messages: Sequence[Message], ended_s: float) -> Score:
    """Compare.

    Args:
        part: What was said.
        messages: What was told, with the stream seconds at which it came.
        ended_s: When the stream was over: a partial text that was never completed counts from then on.
    """
    heard = _final_words(messages, ended_s)
    reference = [(word, number) for number, said in enumerate(part.said) for word in words(said.text)]
    pairs, wrong = align([word for word, _ in reference], [word for word, _ in heard])
    total = Score(said=len(part.said), words=len(reference), wrong=wrong)
    for number, said in enumerate(part.said):
        mine = [index for index, (_, of) in enumerate(reference) if of == number]
        equal = [pairs[index] for index in mine if index in pairs]
        total.interval_s += _intervals(said, messages)
        if not mine or 2 * len(equal) < len(mine):
            continue
        last = equal[-1]
        final_at = heard[last][1]
        tail = [word for word, _ in heard[max(0, last - 1) : last + 1]]
        total.found += 1
        total.final_s.append(final_at - said.end_s)
        total.shown_s.append(min(final_at, _shown_at(said, tail, messages)) - said.end_s)
    return total


def align(reference: Sequence[str], heard: Sequence[str]) -> tuple[dict[int, int], int]:
    """Return which heard word is which reference word, for those that are equal, and the least number of edits."""
    rows = [list(range(len(heard) + 1))]
    for i, word in enumerate(reference, 1):
        above, row = rows[-1], [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
        rows.append(row)
    pairs: dict[int, int] = {}
    i, j = len(reference), len(heard)
    while i and j:
        equal = reference[i - 1] == heard[j - 1]
        if rows[i][j] == rows[i - 1][j - 1] + (not equal):
            i, j = i - 1, j - 1
            if equal:
                pairs[i] = j
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs, rows[-1][-1]


def _final_words(messages: Sequence[Message], ended_s: float) -> list[tuple[str, float]]:
    """Return the words of completed segments with the time at which each came, each segment once.

    A stock server does not name its segments; its own client takes one for new that begins after the last one's end.
    What it shows at the end and never completes, a client has to take for final.
    """
    found: list[tuple[str, float]] = []
    known: set[int] = set()
    until_s = 0.0
    for at, segments in messages:
        for segment in segments:
            name, start_s = segment.get("id"), float(segment["start"])
            if not segment["completed"] or (name in known if name is not None else start_s < until_s):
                continue
            if name is not None:
                known.add(name)
            until_s = max(until_s, float(segment["end"]))
            found += [(word, at) for word in words(segment["text"])]
    last = messages[-1][1][-1] if messages and messages[-1][1] else None
    if last is not None and not last["completed"]:
        found += [(word, ended_s) for word in words(last["text"])]
    return found


def _shown_at(said: Said, tail: Sequence[str], messages: Sequence[Message]) -> float:
    """Return when the last words of an utterance first came in a text that is of about the same time."""
    for at, segments in messages:
        near = [one for one in segments if abs(float(one["end"]) - said.end_s) <= _NEAR_S and at >= said.start_s]
        if any(_contains(words(one["text"]), tail) for one in near):
            return at
    return float("inf")


def _contains(text: Sequence[str], tail: Sequence[str]) -> bool:
    size = len(tail)
    return any(list(text[first : first + size]) == list(tail) for first in range(len(text) - size + 1))


def _intervals(said: Said, messages: Sequence[Message]) -> list[float]:
    times = [
        at
        for at, segments in messages
        if said.start_s <= at <= said.end_s and segments and not segments[-1]["completed"]
    ]
    return [after - before for before, after in pairwise(times)]
