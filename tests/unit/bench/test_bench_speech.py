"""What the speech benchmark makes of what it is told: delays, utterances, wrong words, and the curve of them."""

from pathlib import Path

import numpy as np
import pytest
from bench.speech.corpus import Part, Said
from bench.speech.curve import Curves, Point, Tally, load, save, sustained
from bench.speech.drawing import draw
from bench.speech.page import render
from bench.speech.scoring import Message, Score, align, score

PART = Part(
    np.zeros(10 * 16_000, np.float32),
    (Said("He might even have been made amiable.", 1.0, 3.0), Said("Thank you all for your patience.", 4.0, 6.0)),
)


def segment(start: float, end: float, text: str, *, completed: bool, name: int | None = None) -> dict[str, object]:
    told: dict[str, object] = {"start": f"{start:.3f}", "end": f"{end:.3f}", "text": text, "completed": completed}
    return told if name is None else {**told, "id": name}


FIRST = "he might even have been made amiable"
SECOND = "thank you all for your patience"


def test_delays_count_from_the_last_sound_to_the_first_message_with_the_last_words() -> None:
    messages: list[Message] = [
        (2.0, [segment(1.0, 1.8, "he might even", completed=False, name=0)]),
        (2.9, [segment(1.0, 2.8, "he might even have been", completed=False, name=0)]),
        (3.4, [segment(1.0, 3.0, FIRST, completed=False, name=0)]),
        (3.9, [segment(1.0, 3.0, FIRST, completed=True, name=0)]),
        (7.0, [segment(1.0, 3.0, FIRST, completed=True, name=0), segment(4.0, 6.0, SECOND, completed=True, name=1)]),
    ]
    made = score(PART, messages, 9.0)
    assert made.final_s == pytest.approx([0.9, 1.0])
    assert made.shown_s == pytest.approx([0.4, 1.0])
    assert made.interval_s == pytest.approx([0.9])
    assert (made.said, made.found, made.words, made.wrong) == (2, 2, 13, 0)


def test_segments_without_names_are_new_if_they_begin_after_the_last_one() -> None:
    both = [segment(1.0, 3.1, FIRST, completed=True), segment(3.9, 6.0, SECOND, completed=True)]
    messages: list[Message] = [(3.5, both[:1]), (3.8, both[:1]), (6.5, both), (7.5, both)]
    made = score(PART, messages, 9.0)
    assert made.final_s == pytest.approx([0.5, 0.5])
    assert made.wrong == 0


def test_what_is_never_completed_is_final_when_the_stream_is_over() -> None:
    messages: list[Message] = [
        (3.5, [segment(1.0, 3.1, FIRST, completed=True)]),
        (6.4, [segment(1.0, 3.1, FIRST, completed=True), segment(3.9, 6.0, SECOND, completed=False)]),
    ]
    made = score(PART, messages, 9.0)
    assert made.final_s == pytest.approx([0.5, 3.0])
    assert made.shown_s == pytest.approx([0.5, 0.4])


def test_a_lost_utterance_is_not_found_and_its_words_are_wrong() -> None:
    made = score(PART, [(3.5, [segment(1.0, 3.0, FIRST, completed=True, name=0)])], 9.0)
    assert (made.found, made.wrong, len(made.final_s)) == (1, 6, 1)
    assert score(PART, [], 9.0).wrong == 13


def test_a_wrong_last_word_does_not_lose_the_utterance() -> None:
    messages: list[Message] = [
        (3.5, [segment(1.0, 3.0, "he might even have been made a mabel", completed=True, name=0)])
    ]
    made = score(PART, messages, 9.0)
    assert made.found == 1
    assert made.final_s == pytest.approx([0.5])
    assert made.wrong == 7, "one word became two, six are missing, and seven edits are enough"


@pytest.mark.parametrize(
    ("heard", "pairs", "wrong"),
    [
        ("a b c", {0: 0, 1: 1, 2: 2}, 0),
        ("a x c", {0: 0, 2: 2}, 1),
        ("b c d", {1: 0, 2: 1}, 2),
        ("", {}, 3),
    ],
)
def test_alignment(heard: str, pairs: dict[int, int], wrong: int) -> None:
    assert align(["a", "b", "c"], heard.split()) == (pairs, wrong)


def _point(streams: int, *, shown_s: float = 1.0, lost: int = 0, refused: int = 0) -> Point:
    return Point(
        streams, 10, 10 - lost, (0.9, 1.2, 1.4), (0.5, shown_s), (1.0, 1.3), 0.03, 900, 0.12, 400.0, 60.0, refused
    )


def test_the_first_number_of_streams_that_is_too_many_ends_the_curve() -> None:
    assert sustained([_point(1), _point(4), _point(8, shown_s=2.1), _point(12)]) == 4
    assert sustained([_point(1), _point(4, lost=1)]) == 1
    assert sustained([_point(1, refused=1)]) == 0
    assert sustained([]) == 0


def test_blocks_with_as_many_streams_add_up() -> None:
    tally = Tally(2, Score(), cpu_s=3.0, audio_s=20.0, memory_mb=400.4)
    tally.score.add(Score(final_s=[0.5, 1.5], shown_s=[0.2, 0.4], interval_s=[1.0], said=3, found=2, words=20, wrong=1))
    tally.score.add(Score(final_s=[1.0], shown_s=[0.3], said=1, found=1, words=20, wrong=1))
    point = tally.point()
    assert (point.said, point.found, point.word_error_rate, point.cpu_s_per_audio_s) == (4, 3, 0.05, 0.15)
    assert point.final_s == (1.0, 1.5, 1.5)
    assert not point.keeps_up


def test_file_round_trip_and_page(tmp_path: Path) -> None:
    curves = Curves("abc1234", [_point(1), _point(12)], [_point(1, shown_s=3.0)])
    save(curves, tmp_path / "speech.json")
    assert load(tmp_path / "speech.json") == curves
    assert load(tmp_path / "nothing.json") is None
    page = render(curves)
    assert "keeps up with **12** live streams, the stock server with **0**" in page
    assert page.count("\n| 12 | 0.90 / 1.20 / 1.40 |") == 1
    assert draw(curves).count("<polyline") == 4
    assert "Not measured yet" in render(None)
