"""Conversations on one track with known truth: loudness like that of speech, and signs as pages show them."""

import array
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from usher.bot.audio.attribution import Attributed, Attribution
from usher.bot.audio.clues import Clues
from usher.bot.audio.receiver import Frame
from usher.bot.audio.sound import Sound

FRAME = 1600
_RATE = 16_000
_LEAST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody says; positions in samples."""

    person: str
    begin: int
    end: int


def conversation(chance: random.Random, people: Sequence[str], turns: int, gap_s: tuple[float, float]) -> list[Spoken]:
    """Return turns of one to five seconds; a gap below zero is an overlap."""
    said: list[Spoken] = []
    at = 2.0
    for _ in range(turns):
        others = [person for person in people if not said or person != said[-1].person]
        length = chance.uniform(1.0, 5.0)
        said.append(Spoken(chance.choice(others), int(at * _RATE), int((at + length) * _RATE)))
        at = max(at, at + length + chance.uniform(*gap_s))
    return said


def who_speaks(said: Sequence[Spoken], begin: int, end: int) -> set[str]:
    """Return who speaks in at least a quarter of a stretch."""
    least = (end - begin) * _LEAST_SHARE
    return {spoken.person for spoken in said if min(end, spoken.end) - max(begin, spoken.begin) >= least}


def sound(chance: random.Random, said: Sequence[Spoken], position: int) -> Sound:
    """Return a frame of the track: loud while somebody speaks, with the dips of words and syllables."""
    speaking = who_speaks(said, position, position + FRAME)
    loudness = (0.1 + 0.3 * chance.random()) * (1 if chance.random() > 0.1 else 0.2) if speaking else 0.001
    return Sound(Frame(position, array.array("f", [loudness]).tobytes() * FRAME), loudness)


def attribute(
    chance: random.Random,
    said: Sequence[Spoken],
    *,
    late_s: tuple[float, float] = (0.1, 0.5),
    held_s: tuple[float, float] = (0.3, 0.8),
    looks: int = FRAME,
) -> list[Attributed]:
    """Attribute a mixed track by signs that come late, stay on, and are looked at every `looks` samples."""
    clues = Clues()
    attribution = Attribution(1, "track", clues)
    shown = [
        (
            spoken.person,
            spoken.begin + chance.uniform(*late_s) * _RATE,
            spoken.end + chance.uniform(*held_s) * _RATE,
        )
        for spoken in said
    ]
    told: list[Attributed] = []
    clues.signs.note([], 0)
    for position in range(0, math.ceil(said[-1].end / FRAME + 30) * FRAME, FRAME):
        for look in range(position, position + FRAME, looks):
            clues.signs.note({person for person, on, off in shown if on <= look < off}, look)
        told += attribution.add(sound(chance, said, position))
    return told + attribution.flush()


def accuracy(said: Sequence[Spoken], told: Sequence[Attributed]) -> float:
    """Return the share of frames with speech that went to somebody who spoke in them."""
    spoken = [(who_speaks(said, one.sound.begin, one.sound.end), one.person) for one in told]
    judged = [person in speaking for speaking, person in spoken if speaking]
    return sum(judged) / len(judged)
