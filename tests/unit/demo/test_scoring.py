from datetime import UTC, datetime, timedelta

import pytest

from usher.demo.scoring import Said, score, word_errors, words

_BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def said(speaker: str | None, text: str, start_s: float, end_s: float) -> Said:
    return Said(speaker, text, _BEGIN + timedelta(seconds=start_s), _BEGIN + timedelta(seconds=end_s))


SCRIPT = [
    said("Alice", "Good morning, Bob.", 0, 2),
    said("Bob", "Good morning, Alice. It's ready.", 3, 6),
]


@pytest.mark.parametrize(
    ("expected", "heard", "errors"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c", 1),
        ("a b c", "c b a", 2),
        ("a b c d", "b c d e", 2),
    ],
)
def test_word_errors_is_the_least_number_of_edits(expected: str, heard: str, errors: int) -> None:
    assert word_errors(expected.split(), heard.split()) == errors
    assert word_errors(heard.split(), expected.split()) == errors


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words("Good morning, Bob: it\u2019s READY!") == ["good", "morning", "bob", "it's", "ready"]


def test_a_perfect_transcript() -> None:
    transcript = [
        said("Bob", "good morning alice", 3, 4.5),
        said("Alice", "Good morning Bob", 0.1, 2.1),
        said("Bob", "It\u2019s ready.", 4.5, 6.2),
    ]
    result = score(SCRIPT, transcript)
    assert result.word_error_rate == 0
    assert result.misattributed == 0
    assert result.segments == 3
    assert result.speakers == {"Alice", "Bob"}


def test_an_empty_transcript_misses_every_word() -> None:
    result = score(SCRIPT, [])
    assert result.word_error_rate == 1
    assert result.misattributed == 0
    assert result.segments == 0
    assert result.speakers == frozenset()


def test_nothing_said_and_nothing_heard_is_no_error() -> None:
    assert score([], []).word_error_rate == 0


def test_one_wrong_word_counts_by_the_words_of_the_script() -> None:
    result = score(SCRIPT, [said("Alice", "Good morning Rob", 0, 2), said("Bob", SCRIPT[1].text, 3, 6)])
    assert result.word_error_rate == pytest.approx(1 / 8)
    assert result.misattributed == 0


def test_right_words_of_the_wrong_speaker_are_errors_of_both() -> None:
    result = score(SCRIPT, [said("Bob", SCRIPT[0].text, 0, 2), said("Bob", SCRIPT[1].text, 3, 6)])
    assert result.misattributed == 1
    assert result.word_error_rate == pytest.approx(6 / 8)
    assert result.speakers == {"Bob"}


def test_a_segment_belongs_to_who_talked_for_most_of_it() -> None:
    overlapping = [said("Alice", "one two three", 1.5, 5.9)]
    assert score(SCRIPT, overlapping).misattributed == 1
    overlapping = [said("Bob", "one two three", 1.5, 5.9)]
    assert score(SCRIPT, overlapping).misattributed == 0


def test_a_segment_without_a_speaker_is_misattributed() -> None:
    result = score(SCRIPT, [said(None, SCRIPT[0].text, 0, 2), said("Bob", SCRIPT[1].text, 3, 6)])
    assert result.misattributed == 1
    assert result.speakers == {"?", "Bob"}
