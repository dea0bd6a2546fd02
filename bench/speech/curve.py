"""Figures by the number of live streams, and the file that keeps them."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.speech.scoring import Score

RESULTS = Path(__file__).parent.parent / "speech.json"

LAG_S = 2.0
"""A server keeps up with so many streams if nine in ten utterances are shown whole that soon, and none is lost."""


@dataclass(frozen=True, slots=True)
class Point:
    """One server with a number of live streams.

    Attributes:
        streams: How many.
        said: Utterances.
        found: Of them, those whose text came.
        final_s: p50, p90 and p95 from the last sound of an utterance until its text was final.
        shown_s: p50 and p90 until all of it was shown.
        interval_s: p50 and p90 between two partial texts while somebody speaks.
        word_error_rate: Of the completed texts.
        words: In so many words.
        cpu_s_per_audio_s: CPU seconds of the server's processes for each second of audio of a stream.
        memory_mb: Of the server's processes at the end.
        audio_s: Audio of all streams together.
        refused: Streams that were told to wait, or broke.
    """

    streams: int
    said: int
    found: int
    final_s: tuple[float, float, float]
    shown_s: tuple[float, float]
    interval_s: tuple[float, float]
    word_error_rate: float
    words: int
    cpu_s_per_audio_s: float
    memory_mb: float
    audio_s: float
    refused: int

    @property
    def keeps_up(self) -> bool:
        """Whether nothing lags by more than `LAG_S`."""
        return self.refused == 0 and self.found == self.said and self.shown_s[1] <= LAG_S


@dataclass(frozen=True, slots=True)
class Curves:
    """What was measured in one run.

    Attributes:
        commit: On which commit.
        usher: By streams.
        stock: By streams; empty where the stock server is not installed.
    """

    commit: str
    usher: Sequence[Point]
    stock: Sequence[Point]


@dataclass(slots=True)
class Tally:
    """What blocks with the same number of streams add up to."""

    streams: int
    score: Score
    cpu_s: float = 0.0
    audio_s: float = 0.0
    memory_mb: float = 0.0
    refused: int = 0

    def point(self) -> Point:
        """Return the figures."""
        score = self.score
        return Point(
            streams=self.streams,
            said=score.said,
            found=score.found,
            final_s=(_at(score.final_s, 0.5), _at(score.final_s, 0.9), _at(score.final_s, 0.95)),
            shown_s=(_at(score.shown_s, 0.5), _at(score.shown_s, 0.9)),
            interval_s=(_at(score.interval_s, 0.5), _at(score.interval_s, 0.9)),
            word_error_rate=round(score.wrong / max(1, score.words), 4),
            words=score.words,
            cpu_s_per_audio_s=round(self.cpu_s / max(1.0, self.audio_s), 4),
            memory_mb=round(self.memory_mb),
            audio_s=round(self.audio_s),
            refused=self.refused,
        )


def sustained(points: Sequence[Point]) -> int:
    """Return the largest number of streams up to which a server keeps up with every number that was tried."""
    kept = 0
    for point in sorted(points, key=lambda one: one.streams):
        if not point.keeps_up:
            break
        kept = point.streams
    return kept


def load(path: Path = RESULTS) -> Curves | None:
    """Return what was measured last; None if nothing was yet."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Curves(data["commit"], *([_point(one) for one in data[side]] for side in ("usher", "stock")))


def save(curves: Curves, path: Path = RESULTS) -> None:
    """Write the file, a point to a line."""
    sides = {side: [asdict(point) for point in points] for side, points in _sides(curves)}
    body = ",\n".join(
        f'  "{side}": [\n' + ",\n".join(f"    {json.dumps(one)}" for one in points) + "\n  ]"
        for side, points in sides.items()
    )
    path.write_text(f'{{\n  "commit": {json.dumps(curves.commit)},\n{body}\n}}\n', encoding="utf-8")


def _sides(curves: Curves) -> list[tuple[str, Sequence[Point]]]:
    return [("usher", curves.usher), ("stock", curves.stock)]


def _point(data: dict[str, object]) -> Point:
    return Point(**{name: tuple(one) if isinstance(one, list) else one for name, one in data.items()})  # type: ignore[arg-type]  # written by `save`


def _at(values: Sequence[float], share: float) -> float:
    """Return a percentile; without any value, nothing came, which is later than anything."""
    if not values:
        return 999.0
    return round(sorted(values)[math.ceil(share * len(values)) - 1], 3)
