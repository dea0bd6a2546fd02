"""What is remembered of segments that were sent, and when they are sent again."""

from datetime import UTC, datetime

from usher.bot.unconfirmed import Item, Unconfirmed
from usher.protocol.reports import MOST_MARKS, SegmentMark
from usher.protocol.segments import SpokenSegment

_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_LATE_S = 1000.0


def _item(segment_id: str, revision: int = 1, *, completed: bool = True, resent: int = 0) -> Item:
    segment = SpokenSegment(
        segment_id=segment_id, revision=revision, start_s=0.0, end_s=1.0, text="text", completed=completed
    )
    return Item("s", _START, segment, resent)


def _mark(segment_id: str, revision: int = 1) -> SegmentMark:
    return SegmentMark(segment_id=segment_id, revision=revision)


def _left(unconfirmed: Unconfirmed) -> list[tuple[str, int]]:
    return [(item.segment.segment_id, item.segment.revision) for item in unconfirmed]


def _answers_until_again(unconfirmed: Unconfirmed) -> tuple[int, list[Item]]:
    """Answer that nothing is stored until something has to be sent again, or is given up."""
    answers = 0
    again: list[Item] = []
    while len(unconfirmed) and not again:
        again = unconfirmed.settle(unconfirmed.marks(_LATE_S), [], _LATE_S)
        answers += 1
    return answers, again


def test_only_final_text_is_remembered() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item("a"), _item("b", completed=False)], 0.0)
    assert _left(unconfirmed) == [("a", 1)]


def test_the_oldest_are_asked_about_first_and_not_more_than_a_heartbeat_holds() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item(str(number)) for number in range(300)], 0.0)
    unconfirmed.note([_item("0", 2)], 1.0)
    asked = unconfirmed.marks(_LATE_S)
    assert [mark.segment_id for mark in asked] == [str(number) for number in range(1, MOST_MARKS + 1)]


def test_what_the_manager_had_no_time_to_store_is_asked_about_only_at_the_end() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item("a")], 10.0)
    assert unconfirmed.marks(11.9) == []
    assert unconfirmed.marks(12.0) == [_mark("a")]
    assert unconfirmed.marks(10.0, settled=False) == [_mark("a")]


def test_the_same_or_a_newer_revision_is_safe_and_an_older_one_is_not() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item("same", 3), _item("newer", 3), _item("older", 3)], 0.0)
    stored = [_mark("same", 3), _mark("newer", 4), _mark("older", 2)]
    assert unconfirmed.settle(unconfirmed.marks(_LATE_S), stored, _LATE_S) == []
    assert _left(unconfirmed) == [("older", 3)]


def test_an_answer_about_an_older_revision_says_nothing_about_the_one_sent_since() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item("a", 1)], 0.0)
    asked = unconfirmed.marks(_LATE_S)
    unconfirmed.note([_item("a", 2)], 1.0)
    for _ in range(10):
        assert unconfirmed.settle(asked, asked, _LATE_S) == []
    assert _left(unconfirmed) == [("a", 2)]


def test_what_is_missing_in_two_answers_is_sent_again_and_then_less_and_less_often() -> None:
    unconfirmed = Unconfirmed()
    item = _item("a")
    patience = []
    for _ in range(5):
        unconfirmed.note([item], 0.0)
        answers, (item,) = _answers_until_again(unconfirmed)
        patience.append(answers)
    assert patience == [2, 4, 8, 16, 32]
    assert item == _item("a", resent=5)
    unconfirmed.note([item], 0.0)
    assert _answers_until_again(unconfirmed) == (64, [])
    assert (len(unconfirmed), unconfirmed.lost) == (0, 1)
    assert _left(unconfirmed) == [("a", 1)]


def test_questions_that_came_too_early_do_not_count() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item("a")], 10.0)
    for _ in range(10):
        assert unconfirmed.settle(unconfirmed.marks(11.0, settled=False), [], 11.0) == []
    assert len(unconfirmed) == 1


def test_what_is_remembered_is_bounded() -> None:
    unconfirmed = Unconfirmed()
    unconfirmed.note([_item(str(number)) for number in range(5003)], 0.0)
    assert (len(unconfirmed), unconfirmed.forgotten, unconfirmed.lost) == (5000, 3, 0)
    assert _left(unconfirmed)[0] == ("3", 1)
