"""A transcript does not depend on the order in which its segments arrive, nor on how often."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from usher.domain.transcript import Segment, newest, supersedes, total

START = datetime(2026, 1, 1, tzinfo=UTC)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    """A segment of a truthful bot: what it says follows from its id, revision and completeness."""
    number, revision, completed = draw(st.integers(0, 4)), draw(st.integers(0, 3)), draw(st.booleans())
    start_s = float((number * 7 + revision) % 11)
    end_s = start_s + 1.5 + revision
    return Segment(
        segment_id=f"s{number}",
        revision=revision,
        session_uid="u",
        start_s=start_s,
        end_s=end_s,
        absolute_start=START + timedelta(seconds=start_s),
        absolute_end=START + timedelta(seconds=end_s),
        text=f"word {number} " * (revision + 1) + ("done" if completed else ""),
        speaker=("Ann", "Ben", None)[(number + revision) % 3],
        language=("en", None, "de")[number % 3],
        completed=completed,
    )


HEARD = st.lists(segments(), max_size=12)


@given(HEARD, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(heard: list[Segment], random: Random) -> None:
    shuffled = [*heard]
    random.shuffle(shuffled)
    assert newest(shuffled) == newest(heard)
    assert total(shuffled) == total(heard)


@given(HEARD, HEARD)
def test_what_was_heard_before_may_come_again(heard: list[Segment], more: list[Segment]) -> None:
    assert newest([*heard, *heard]) == newest(heard)
    assert newest(newest(heard)) == newest(heard)
    assert newest([*newest(heard), *more]) == newest([*heard, *more])


@given(HEARD)
def test_one_segment_stays_of_each_id_and_it_is_the_newest(heard: list[Segment]) -> None:
    kept = newest(heard)
    assert {segment.segment_id for segment in kept} == {segment.segment_id for segment in heard}
    assert len({segment.segment_id for segment in kept}) == len(kept)
    for segment in kept:
        assert segment in heard
        assert not any(supersedes(other, segment) for other in heard if other.segment_id == segment.segment_id)


@given(HEARD)
def test_segments_stand_in_the_order_in_which_they_were_said(heard: list[Segment]) -> None:
    starts = [segment.absolute_start for segment in newest(heard)]
    assert starts == sorted(starts)


@given(segments(), segments(), segments())
def test_superseding_is_a_strict_order_and_a_final_text_is_never_taken_back(a: Segment, b: Segment, c: Segment) -> None:
    assert not supersedes(a, a)
    assert not (supersedes(a, b) and supersedes(b, a))
    assert not (supersedes(a, b) and supersedes(b, c)) or supersedes(a, c)
    assert not (b.completed and not a.completed and supersedes(a, b))


@given(HEARD)
def test_totals_count_final_segments_only(heard: list[Segment]) -> None:
    final = [segment for segment in newest(heard) if segment.completed]
    sums = total(heard)
    assert sums.segments == len(final)
    assert sums.words == sum(len(segment.text.split()) for segment in final)
    assert sums.speech_s == sum(segment.end_s - segment.start_s for segment in final)
    assert set(sums.speakers) == {segment.speaker for segment in final if segment.speaker}
    assert set(sums.languages) == {segment.language for segment in final if segment.language}
    assert len(set(sums.speakers)) == len(sums.speakers)
