"""Whatever is said comes out of a file as it went in; the readers here take nothing that the formats forbid."""

import html
import itertools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from usher.domain.subtitles import as_srt, as_text, as_vtt
from usher.domain.transcript import Segment

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
ODD = [
    "-->",
    "<b>",
    "&amp;",
    "<v Eve>",
    "\n\n",
    "7",
    "00:00:01,000 --> 00:00:02,000",
    "\x00",
    "\u2028",
    "WEBVTT",
    "漢字" * 60,
]
WORDS = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"]), max_size=90))
TEXTS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)


@dataclass(frozen=True)
class Cue:
    """A cue as a player sees it: times in milliseconds."""

    begin: int
    end: int
    speaker: str
    lines: tuple[str, ...]


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    start_ms = draw(st.integers(-5_000, 500 * 3600 * 1000))
    end_ms = start_ms + draw(st.integers(0, 100_000))
    return said(draw(TEXTS), draw(st.one_of(st.none(), WORDS)), start_ms, end_ms)


def said(text: str, speaker: str | None = None, start_ms: int = 0, end_ms: int = 1000, name: str = "s") -> Segment:
    start, end = (ORIGIN + timedelta(milliseconds=ms) for ms in (start_ms, end_ms))
    return Segment(name, 0, "u", start_ms / 1000, end_ms / 1000, start, end, text, speaker, "en", completed=True)


HEARD = st.lists(segments(), max_size=6).map(lambda found: sorted(found, key=lambda one: one.absolute_start))


def squeezed(text: str) -> str:
    """Return the text without blanks and control characters, which lines are broken at."""
    return "".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def read_vtt(text: str) -> list[Cue]:
    """Read WebVTT as its specification has it, and take nothing else."""
    header, *blocks = text.removesuffix("\n").split("\n\n")
    assert header.strip("\n") == "WEBVTT"
    return [_vtt_cue(block) for block in blocks]


def _vtt_cue(block: str) -> Cue:
    times, *lines = block.split("\n")
    payload = "\n".join(lines)
    assert "-->" not in payload
    assert all(lines)
    voice = re.match(r"<v ([^<>\n]+)>", payload)
    bare = payload[voice.end() :] if voice else payload
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", bare)
    speaker = html.unescape(voice[1]) if voice else ""
    return Cue(*_times(times, "."), speaker, tuple(map(html.unescape, bare.split("\n"))))


def read_srt(text: str) -> list[Cue]:
    """Read SubRip: numbers from one on, times, lines, an empty line."""
    blocks = text.removesuffix("\n").split("\n\n") if text else []
    cues = []
    for expected, block in enumerate(blocks, 1):
        number, times, *lines = block.split("\n")
        assert number == str(expected)
        assert lines
        assert all(lines)
        assert not any("-->" in line for line in lines)
        cues.append(Cue(*_times(times, ","), "", tuple(lines)))
    return cues


def _times(line: str, point: str) -> tuple[int, int]:
    moment = rf"(\d\d+):([0-5]\d):([0-5]\d)\{point}(\d\d\d)"
    found = re.fullmatch(f"{moment} --> {moment}", line)
    assert found, line
    hours, minutes, seconds, ms = (list(map(int, found.groups()))[place::4] for place in range(4))
    begin, end = (((hours[n] * 60 + minutes[n]) * 60 + seconds[n]) * 1000 + ms[n] for n in (0, 1))
    assert begin < end
    return begin, end


def check(cues: list[Cue]) -> None:
    assert [cue.begin for cue in cues] == sorted(cue.begin for cue in cues)
    for cue in cues:
        assert len(cue.lines) <= 2
        assert all(len(line) <= 42 for line in cue.lines)


@given(HEARD)
def test_any_files_are_well_formed(heard: list[Segment]) -> None:
    for cues in (read_vtt(as_vtt(heard, ORIGIN)), read_srt(as_srt(heard, ORIGIN))):
        check(cues)
    assert as_text(heard, ORIGIN).count("\n") == sum(bool(squeezed(segment.text)) for segment in heard)


@given(segments())
@example(said("a --> b <i>c</i> & d", "Ann <&> Bob --> Eve"))
@example(said("\n\n7\n00:00:01,000 --> 00:00:02,000\nforged", "1"))
@example(said("", None))
def test_what_is_said_comes_out_as_it_went_in(segment: Segment) -> None:
    vtt, srt = read_vtt(as_vtt([segment], ORIGIN)), read_srt(as_srt([segment], ORIGIN))
    text, speaker = squeezed(segment.text), squeezed(segment.speaker or "")
    assert squeezed("".join(line for cue in vtt for line in cue.lines)) == text
    assert {squeezed(cue.speaker) for cue in vtt} == ({speaker} if text else set())
    attributed = text and (f"{speaker}:{text}" if speaker else text)
    told = squeezed("".join(line for cue in srt for line in cue.lines))
    assert told.replace("→", "-->") == attributed.replace("→", "-->")
    line = as_text([segment], ORIGIN)
    assert squeezed(line.partition("]")[2]) == attributed
    begin = max(0, (segment.absolute_start - ORIGIN) // timedelta(milliseconds=1))
    end = max(0, (segment.absolute_end - ORIGIN) // timedelta(milliseconds=1))
    for cues in (vtt, srt):
        assert not cues or cues[0].begin == begin
        assert not cues or cues[-1].end == max(end, begin + len(cues))
        assert all(one.end == next_one.begin for one, next_one in itertools.pairwise(cues))


def test_a_short_conversation() -> None:
    heard = [
        said("Shall we begin?", "Ann", 1500, 2750, "a"),
        said("Yes & no: 1 < 2.", None, 3_601_000, 3_602_000, "b"),
    ]
    assert as_text(heard, ORIGIN) == "[00:00:01] Ann: Shall we begin?\n[01:00:01] Yes & no: 1 < 2.\n"
    assert as_srt(heard, ORIGIN) == (
        "1\n00:00:01,500 --> 00:00:02,750\nAnn: Shall we begin?\n\n2\n01:00:01,000 --> 01:00:02,000\nYes & no: 1 < 2.\n"
    )
    assert as_vtt(heard, ORIGIN) == (
        "WEBVTT\n\n00:00:01.500 --> 00:00:02.750\n<v Ann>Shall we begin?\n\n"
        "01:00:01.000 --> 01:00:02.000\nYes &amp; no: 1 &lt; 2.\n"
    )
    assert (as_text([], ORIGIN), as_srt([], ORIGIN), as_vtt([], ORIGIN)) == ("", "", "WEBVTT\n")


def test_a_long_text_is_cut_into_cues_that_share_its_time() -> None:
    cues = read_vtt(as_vtt([said("word " * 60, "Ann", 10_000, 40_000)], ORIGIN))
    assert len(cues) == 4
    assert (cues[0].begin, cues[-1].end) == (10_000, 40_000)
    assert all(5_000 <= cue.end - cue.begin <= 9_000 for cue in cues)
