"""The page of the docs with the curves: tables and a drawing, made of the file of results."""

from collections.abc import Sequence
from pathlib import Path

from bench.speech.curve import LAG_S, Curves, Point, load, sustained
from bench.speech.drawing import draw

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "speech-benchmark.md"

_HEAD = """\
# The speech service, measured

<!-- Written by `make bench ONLY=B13` from bench/speech.json. Change bench/speech/page.py instead. -->

Usher's speech service beside the stock WhisperLive server (0.10.0) at its best settings: batches, two threads, texts
final after two repetitions. Both have the same model (Whisper base, int8) and hear the same speech, in turns, on one
machine with two cores and no GPU. [How the service hears](../explanation/speech.md) says what makes the difference.
"""

_COLUMNS = (
    "streams",
    "final after p50 / p90 / p95, s",
    "shown after p50 / p90, s",
    "partial every p50 / p90, s",
    "found",
    "wrong words",
    "CPU s per audio s",
    "memory, MB",
)

_METHOD = """
## What the columns say

* **final after**: from the last sound of an utterance until its last words came in a completed segment.
* **shown after**: until they came in any segment, completed or not.
* **partial every**: between two partial texts while somebody speaks.
* **found**: utterances of which at least half of the words came, of all that were said.
* **wrong words**: word error rate: words missing, wrong or added, by words that were said.
* **CPU**: of the server's processes, for each second of audio of each stream, silence included.

## Method

* Ten minutes of speech with a second of silence after each utterance: recorded people, the staged meeting of
  `usher demo`, and sentences in five synthetic voices (flite and espeak-ng). The speech is divided into twelve parts;
  each stream plays one.
* The load generator is a process of its own without a model. It sends frames of 256 ms when their last sample would
  have been spoken; streams begin 0.37 s apart. Which segments are new is told as the stock client tells it.
* The stock server hears all parts one after the other with one stream, and then two and four streams at a time.
  Between these blocks Usher's server has its own, with more and more streams, until it no longer keeps up.
* The stock server gets six seconds of silence at the end of a stream, which it needs to finish; what it has shown by
  then and not completed counts as final when the stream is over. Usher's gets two, and flushes.
"""


def render(curves: Curves | None) -> str:
    """Return the page as Markdown."""
    if curves is None:
        return f"{_HEAD}\nNot measured yet.\n{_METHOD}"
    said = (
        f"\nUsher keeps up with **{sustained(curves.usher)}** live streams, the stock server with "
        f"**{sustained(curves.stock)}**: nine in ten utterances are shown whole within {LAG_S:g} s of their last "
        f"sound, and none is lost. Measured on commit {curves.commit}.\n\n"
        "![Delay of final texts by the number of streams](speech-benchmark.svg)\n"
    )
    tables = _table("Usher", curves.usher) + _table("Stock WhisperLive", curves.stock)
    return _HEAD + said + tables + _METHOD


def write_page(curves: Curves | None) -> None:
    """Write the page, and the drawing if there is something to draw."""
    PAGE.write_text(render(curves), encoding="utf-8")
    if curves is not None:
        PAGE.with_suffix(".svg").write_text(draw(curves), encoding="utf-8")


def _table(title: str, points: Sequence[Point]) -> str:
    if not points:
        return f"\n## {title}\n\nNot installed where this was measured.\n"
    head = f"\n## {title}\n\n| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    return head + "".join(f"| {' | '.join(_row(point))} |\n" for point in points)


def _row(point: Point) -> tuple[str, ...]:
    return (
        f"{point.streams}",
        _figures(point.final_s),
        _figures(point.shown_s),
        _figures(point.interval_s),
        f"{point.found} of {point.said}" + (f", {point.refused} streams refused" if point.refused else ""),
        f"{point.word_error_rate:.1%}",
        f"{point.cpu_s_per_audio_s:.3f}",
        f"{point.memory_mb:.0f}",
    )


def _figures(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    write_page(load())
