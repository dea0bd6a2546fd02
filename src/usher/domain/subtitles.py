"""A transcript as text, SRT or WebVTT."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from usher.domain.transcript import Segment

_LINE_CHARACTERS = 42
_LINES = 2
_MILLISECOND = timedelta(milliseconds=1)
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class _Cue:
    """What is shown from one moment to another, in milliseconds from the beginning."""

    begin_ms: int
    end_ms: int
    speaker: str
    lines: Sequence[str]


def as_text(segments: Iterable[Segment], origin: datetime) -> str:
    """Return one line for each segment: when, from `origin` on, who, and what."""
    return "".join(_text_line(segment, origin) for segment in segments if _plain(segment.text))


def as_srt(segments: Iterable[Segment], origin: datetime) -> str:
    """Return SubRip subtitles; who speaks stands before the text.

    The format has no way to write `-->` in a text: an arrow stands for it.
    """
    blocks = []
    for number, cue in enumerate(_cues(segments, origin, named=True), 1):
        times = f"{_clock(cue.begin_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        blocks.append("\n".join((str(number), times, *(line.replace("-->", "→") for line in cue.lines), "")))
    return "\n".join(blocks)


def as_vtt(segments: Iterable[Segment], origin: datetime) -> str:
    """Return WebVTT subtitles; who speaks is told by the voice of each cue.

    Source: W3C, WebVTT: cues are in the order of their beginnings; `&`, `<` and `>` are escaped, in names too.
    """
    blocks = ["WEBVTT\n"]
    for cue in _cues(segments, origin, named=False):
        voice = f"<v {cue.speaker.translate(_VTT_ESCAPES)}>" if cue.speaker else ""
        times = f"{_clock(cue.begin_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        said = "\n".join(cue.lines).translate(_VTT_ESCAPES)
        blocks.append(f"{times}\n{voice}{said}\n")
    return "\n".join(blocks)


def _text_line(segment: Segment, origin: datetime) -> str:
    seconds = _milliseconds(segment.absolute_start, origin) // 1000
    when = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"[{when}] {_attributed(segment)}\n"


def _cues(segments: Iterable[Segment], origin: datetime, *, named: bool) -> list[_Cue]:
    """Return the cues of all segments in the order of their beginnings: people talk at the same time."""
    cues = [cue for segment in segments for cue in _cues_of(segment, origin, named=named)]
    return sorted(cues, key=lambda cue: (cue.begin_ms, cue.end_ms))


def _cues_of(segment: Segment, origin: datetime, *, named: bool) -> Iterator[_Cue]:
    """Cut a segment into cues of two lines at most, each as long as its share of the text."""
    text = _plain(segment.text)
    if not text:
        return
    lines = textwrap.wrap(_attributed(segment) if named else text, _LINE_CHARACTERS, break_on_hyphens=False)
    parts = [lines[first : first + _LINES] for first in range(0, len(lines), _LINES)]
    lengths = [sum(map(len, part)) for part in parts]
    begin_ms = _milliseconds(segment.absolute_start, origin)
    span_ms = max(_milliseconds(segment.absolute_end, origin) - begin_ms, len(parts))
    spare_ms, begin = span_ms - len(parts), begin_ms  # each part has a millisecond in any case
    for number, (part, said) in enumerate(zip(parts, accumulate(lengths), strict=True), 1):
        end = begin_ms + number + spare_ms * said // sum(lengths)
        yield _Cue(begin, end, _plain(segment.speaker or ""), part)
        begin = end


def _attributed(segment: Segment) -> str:
    """Return who says what, on one line."""
    speaker = _plain(segment.speaker or "")
    return f"{speaker}: {_plain(segment.text)}" if speaker else _plain(segment.text)


def _milliseconds(moment: datetime, origin: datetime) -> int:
    """Return the time since `origin`; what was said before it was said at it."""
    return max(0, (moment - origin) // _MILLISECOND)


def _clock(ms: int, point: str) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _plain(text: str) -> str:
    """Return the text on one line: blanks for control characters and line ends, one blank between words."""
    return " ".join("".join(" " if _is_control(character) else character for character in text).split())


def _is_control(character: str) -> bool:
    """Say whether it is a control character: C0, DEL or C1."""
    return character < " " or "\x7f" <= character <= "\x9f"
