"""News and repetition in what the speech service says."""

import pytest

from usher.bot.audio.segments import LooseName, SegmentReader
from usher.protocol.segments import SpokenSegment
from usher.protocol.whisper import ProtocolViolation, Segment


def _named(number: int, text: str, *, revision: int = 0, completed: bool = False, end: str = "2.000") -> Segment:
    return Segment(start="1.000", end=end, text=text, completed=completed, id=number, revision=revision, language="en")


def _stock(start: float, end: float, text: str, *, completed: bool = False) -> Segment:
    return Segment(start=f"{start:.3f}", end=f"{end:.3f}", text=text, completed=completed)


@pytest.fixture
def reader() -> SegmentReader:
    return SegmentReader("session")


def _read(reader: SegmentReader, *segments: Segment) -> list[SpokenSegment]:
    return reader.read(list(segments), "Alice")


def test_repetition_is_no_news(reader: SegmentReader) -> None:
    said = _named(1, "hello")
    assert [news.text for news in _read(reader, said)] == ["hello"]
    assert _read(reader, said, said) == []


def test_an_utterance_keeps_its_name_from_first_partial_to_final(reader: SegmentReader) -> None:
    first = _read(reader, _named(1, "hello"))
    second = _read(reader, _named(1, "hello there", revision=1))
    final = _read(reader, _named(1, "Hello there.", revision=2, completed=True))
    news = [*first, *second, *final]
    assert {segment.segment_id for segment in news} == {"session:1"}
    assert [segment.revision for segment in news] == [0, 1, 2]
    assert [segment.completed for segment in news] == [False, False, True]
    assert (final[0].speaker, final[0].language) == ("Alice", "en")


def test_final_text_is_never_taken_back(reader: SegmentReader) -> None:
    _read(reader, _named(1, "Done.", revision=3, completed=True))
    assert _read(reader, _named(1, "Undone", revision=4), _named(1, "Undone.", revision=5, completed=True)) == []
    assert _read(reader, _named(1, "", revision=6)) == []


def test_of_a_stock_server_the_start_is_the_name(reader: SegmentReader) -> None:
    first, second = _read(reader, _stock(0.0, 1.5, " One.", completed=True), _stock(1.52, 2.0, " two"))
    (third,) = _read(reader, _stock(0.0, 1.5, " One.", completed=True), _stock(1.52, 2.6, " two three"))
    assert first.segment_id != second.segment_id == third.segment_id
    assert (second.revision, third.revision) == (0, 1)
    assert first.text == "One."


def test_open_text_of_a_stock_server_keeps_its_name_when_its_start_moves(reader: SegmentReader) -> None:
    (partial,) = _read(reader, _stock(1.0, 2.0, "hello"))
    final, rest = _read(reader, _stock(1.36, 2.4, "Hello.", completed=True), _stock(2.4, 3.0, "and"))
    assert final.segment_id == partial.segment_id
    assert final.revision > partial.revision
    assert rest.segment_id != partial.segment_id


def test_the_end_makes_the_last_partial_text_final(reader: SegmentReader) -> None:
    _read(reader, _stock(0.0, 1.0, "One.", completed=True), _stock(1.0, 2.0, "two"))
    last = reader.close()
    assert last is not None
    assert (last.text, last.completed, last.revision) == ("two", True, 1)
    assert reader.final_until_s == 2.0
    assert reader.close() is None


def test_there_is_nothing_to_finish_after_final_or_withdrawn_text(reader: SegmentReader) -> None:
    _read(reader, _named(1, "One.", completed=True))
    assert reader.close() is None
    _read(reader, _named(2, "noise"))
    _read(reader, _named(2, "", revision=1))
    assert reader.close() is None


def test_it_knows_how_far_the_text_is_final(reader: SegmentReader) -> None:
    _read(reader, _named(1, "One.", completed=True, end="2.000"), _named(2, "two", end="3.500"))
    assert reader.final_until_s == 2.0


def test_the_language_that_was_detected_counts_where_a_segment_names_none(reader: SegmentReader) -> None:
    reader.language = "de"
    assert _read(reader, _stock(0.0, 1.0, "Hallo"))[0].language == "de"
    reader.language = "a-language-that-is-none"
    assert _read(reader, _stock(5.0, 6.0, "Hallo"))[0].language is None


@pytest.mark.parametrize(
    "segment",
    [
        Segment(start="soon", end="2.0", text="x"),
        Segment(start="nan", end="2.0", text="x"),
        Segment(start="0.0", end="inf", text="x"),
        Segment(start="-5.0", end="2.0", text="x"),
        Segment(start="0.0", end="2.0", text="x", id=1, revision=2**31),
        Segment(start="0.0", end="2.0", text="x", id=-1, revision=0),
        Segment(start="0.0", end="2.0", text="x", id=10**200, revision=0),
    ],
)
def test_numbers_that_make_no_sense_break_the_protocol(reader: SegmentReader, segment: Segment) -> None:
    with pytest.raises(ProtocolViolation):
        _read(reader, segment)


def test_text_without_end_is_cut(reader: SegmentReader) -> None:
    assert len(_read(reader, _stock(0.0, 1.0, "x" * 50_000))[0].text) == 20_000


def test_a_session_of_days_remembers_a_bounded_part(reader: SegmentReader) -> None:
    for number in range(5000):
        assert _read(reader, _named(number, "x", completed=True))
    assert _read(reader, _named(4999, "x", completed=True)) == []


def test_what_is_heard_again_takes_the_name_of_what_a_broken_session_left_open(reader: SegmentReader) -> None:
    _read(reader, _named(0, "One.", completed=True), _named(1, "two", revision=4))
    assert reader.loose == LooseName("session:1", 4, withdrawn=False)
    later = SegmentReader("later", reader.loose)
    first, second = _read(later, _named(0, "two thr", revision=1), _named(1, "Four.", revision=1, completed=True))
    (final,) = _read(later, _named(0, "Two three.", revision=2, completed=True))
    assert {first.segment_id, final.segment_id} == {"session:1"}
    assert 4 < first.revision < final.revision
    assert second.segment_id == "later:1"
    assert later.loose is None


def test_a_name_that_was_left_is_handed_on_until_something_is_heard() -> None:
    loose = LooseName("session:1", 4, withdrawn=False)
    silent = SegmentReader("silent", loose)
    assert silent.loose == loose
    (partial,) = _read(SegmentReader("later", silent.loose), _stock(0.0, 1.0, "two"))
    assert (partial.segment_id, partial.revision) == ("session:1", 5)


def test_text_that_was_taken_back_makes_room_for_the_next(reader: SegmentReader) -> None:
    _read(reader, _named(1, "noise", revision=1))
    assert _read(reader, _named(1, "", revision=2, completed=True, end="3.000")) == []
    assert reader.loose == LooseName("session:1", 1, withdrawn=True)
    assert reader.final_until_s == 3.0
    news = _read(reader, _named(1, "", revision=2, completed=True, end="3.000"), _named(2, "Word.", completed=True))
    assert [(said.segment_id, said.text, said.revision) for said in news] == [("session:1", "Word.", 2)]


def test_no_two_texts_are_open_at_a_time(reader: SegmentReader) -> None:
    (first,) = _read(reader, _stock(0.0, 1.0, "phantom"))
    (second,) = _read(reader, _stock(6.0, 7.0, "word"))
    assert second.segment_id == first.segment_id
    assert second.revision > first.revision
