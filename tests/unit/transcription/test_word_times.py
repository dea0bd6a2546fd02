"""From tokens and their alignment to words with times, and to their place in the stream."""

import itertools
import random

import pytest

from usher.transcription.engine import Word
from usher.transcription.engines.word_times import group_words, match_words, time_words
from usher.transcription.timing import fit_words, shift_words


def texts(words: tuple[Word, ...]) -> list[str]:
    return [word.text for word in words]


@pytest.mark.parametrize(
    ("units", "language", "words"),
    [
        ([" Ask", " not", ",", " my", " ill", "-", "disposed", " friend", "."], "en", [1, 2, 1, 3, 2]),
        ([" \u201c", "No", "!", "\u201d", " he", " said"], "en", [4, 1, 1]),
        (["今", "日", "は", "。", "雨"], "ja", [1, 1, 2, 1]),
        ([], "en", []),
    ],
)
def test_pieces_without_a_space_join_the_word_before(units: list[str], language: str, words: list[int]) -> None:
    groups = group_words(units, language)
    assert [len(group) for group in groups] == words
    assert list(itertools.chain.from_iterable(groups)) == list(range(len(units)))


def test_a_word_has_the_time_of_its_letters_and_the_mean_of_its_probabilities() -> None:
    words = time_words(
        [" Amer", "icans", ",", " ask"],
        [1, 2, 1, 1],
        [(0, 10), (0, 12), (1, 20), (2, 30), (3, 40), (3, 90), (4, 100), (4, 110), (5, 120)],
        [0.5, 0.7, 0.9, 0.1, 0.8],
        language="en",
    )
    assert texts(words) == ["Americans,", " ask"]
    assert [(word.start_s, word.end_s) for word in words] == [pytest.approx((0.2, 0.8)), pytest.approx((2.0, 2.4))]
    assert [word.probability for word in words] == [pytest.approx(0.7), pytest.approx(0.8)]


def test_an_alignment_that_stops_early_gives_the_rest_its_last_time() -> None:
    words = time_words([" a", " b"], [1, 1], [(0, 5), (1, 7)], [0.5, 0.5], language="en")
    assert [(word.start_s, word.end_s) for word in words] == [pytest.approx((0.1, 0.14)), pytest.approx((0.14, 0.14))]
    assert time_words([], [], [], [], language="en") == ()


def heard(*names: str) -> list[Word]:
    return [Word(name, index / 10, index / 10 + 0.1, 0.5) for index, name in enumerate(names)]


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("Ask not, friend.", ["Ask", "not", "friend"], ["Ask", " not,", " friend."]),
        ("Ask not, friend.", [" Ask", " not,", " friend."], ["Ask", " not,", " friend."]),
        ("ill-disposed man", ["ill", "disposed", "man"], ["ill-", "disposed", " man"]),
        ("(No) \u201cYes\u201d", ["No", "Yes"], ["(No)", " \u201cYes\u201d"]),
        ("今日は。", ["今日", "は"], ["今日", "は。"]),
        ("one", ["one", ""], ["one"]),
    ],
)
def test_bare_words_find_what_stands_between_them(text: str, names: list[str], words: list[str]) -> None:
    assert texts(match_words(text, heard(*names))) == words
    assert "".join(words) == text


@pytest.mark.parametrize("names", [["ask"], ["not"], ["Ask", "friend"], [], ["Ask", "not", "friend", "Ask", "x"]])
def test_words_that_are_not_those_of_the_text_are_no_words(names: list[str]) -> None:
    words = match_words("Ask not, friend.", heard(*names))
    assert words == () or "".join(texts(words)) == "Ask not, friend."
    assert not (words and len(names) < 3)


def test_words_are_put_into_the_speech_one_after_the_other() -> None:
    words = fit_words(
        [Word("a", 0.0, 1.2, 1.0), Word(" b", 1.1, 1.1, 1.0), Word(" c", 1.1, 9.0, 1.0)], start_s=1.0, end_s=2.0
    )
    assert texts(words) == ["a", " b", " c"]
    assert [(word.start_s, word.end_s) for word in words] == [
        pytest.approx((1.0, 1.2)),
        pytest.approx((1.2, 1.22)),
        pytest.approx((1.22, 2.0)),
    ]


def test_whatever_the_alignment_says_words_increase_and_stay_inside() -> None:
    draw = random.Random(4)  # noqa: S311 -- no secret
    for _ in range(500):
        words = [Word("x", draw.uniform(-2, 9), draw.uniform(-2, 9), 0.5) for _ in range(draw.randint(1, 12))]
        start_s = draw.uniform(0, 3)
        end_s = start_s + draw.choice([0.03, 0.5, 5.0])
        placed = fit_words(words, start_s=start_s, end_s=end_s)
        times = [time for word in placed for time in (word.start_s, word.end_s)]
        assert times == pytest.approx(sorted(times), abs=1e-9)
        assert times[0] >= start_s
        assert times[-1] <= end_s
        assert all(word.end_s > word.start_s for word in placed)


def test_moving_words_keeps_everything_else() -> None:
    assert shift_words([Word("a", 1.0, 2.0, 0.3)], 10.0) == (Word("a", 11.0, 12.0, 0.3),)
