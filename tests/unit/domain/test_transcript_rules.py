"""Transcripts by example."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from usher.domain.transcript import Segment, Totals, newest, total

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
HELLO = Segment(
    "s1", 1, "u", 0.0, 1.0, START, START + timedelta(seconds=1), "Hello", speaker="Ann", language="en", completed=False
)


def test_a_later_partial_text_replaces_an_earlier_one() -> None:
    longer = replace(HELLO, revision=2, text="Hello there")
    assert newest([longer, HELLO]) == [longer]


def test_a_final_text_stays_even_if_a_partial_one_of_a_higher_revision_comes_late() -> None:
    final = replace(HELLO, revision=2, text="Hello there.", completed=True)
    assert newest([final, replace(HELLO, revision=9, text="Hello the")]) == [final]


def test_a_corrected_final_text_replaces_the_final_text_before() -> None:
    final = replace(HELLO, revision=2, text="Hello Bear.", completed=True)
    corrected = replace(final, revision=3, text="Hello there.")
    assert newest([final, corrected]) == [corrected]


def test_segments_that_begin_together_stand_by_id() -> None:
    assert [s.segment_id for s in newest([replace(HELLO, segment_id="b"), replace(HELLO, segment_id="a")])] == [
        "a",
        "b",
    ]


def test_the_sum_of_a_meeting() -> None:
    final = replace(HELLO, completed=True, text="Hello there, Ben.", end_s=2.25)
    answer = replace(
        final,
        segment_id="s2",
        text="Guten Tag!",
        speaker="Ben",
        language="de",
        absolute_start=START + timedelta(seconds=3),
    )
    unknown = replace(answer, segment_id="s3", speaker=None, language=None, text="Hm.")
    unfinished = replace(HELLO, segment_id="s4", text="And then")
    assert total([unknown, answer, unfinished, final]) == Totals(3, 6, ("Ann", "Ben"), ("en", "de"), 6.75)


def test_the_sum_of_silence() -> None:
    assert total([]) == Totals(0, 0, (), (), 0)
