"""The guards around short encoder windows."""

import pytest

from usher.transcription.engine import Doubt
from usher.transcription.engines.decoding import (
    Vocabulary,
    group_by_window,
    judge,
    retry_frames,
    spoken_tokens,
    token_cap,
    window_frames,
)

VOCABULARY = Vocabulary(end_of_text=1000, first_timestamp=2000)


def at(time_s: float) -> int:
    return 2000 + round(time_s / 0.02)


@pytest.mark.parametrize(
    ("duration_s", "frames"), [(0.1, 200), (2.0, 350), (2.01, 400), (10.0, 1150), (28.4, 3000), (30.0, 3000)]
)
def test_the_window_is_the_audio_and_some_silence(duration_s: float, frames: int) -> None:
    assert window_frames(duration_s) == frames


def test_text_that_starts_after_the_audio_is_dropped() -> None:
    tokens = [at(0.0), 5, 6, at(2.0), at(2.0), 7, at(3.4), 1000]
    assert spoken_tokens(tokens, VOCABULARY, 2.1) == (5, 6)
    assert spoken_tokens(tokens, VOCABULARY, 3.0) == (5, 6, 7)


def test_text_without_timestamps_is_kept() -> None:
    assert spoken_tokens([5, 6, 1000], VOCABULARY, 1.0) == (5, 6)


@pytest.mark.parametrize(
    ("text", "tokens", "avg_logprob", "doubt"),
    [
        ("the quick brown fox jumps over the lazy dog", 10, -0.3, Doubt.NONE),
        ("so so so so so so so so so so so so so so so so so", 17, -0.3, Doubt.LOOPING),
        ("the quick brown fox", 26, -0.3, Doubt.LOOPING),
        ("the quick brown fox", 5, -1.0, Doubt.GUESSED),
    ],
)
def test_loops_capped_and_guessed_texts_are_doubtful(text: str, tokens: int, avg_logprob: float, doubt: Doubt) -> None:
    assert judge(text, tokens=tokens, cap=token_cap(2.0), avg_logprob=avg_logprob) is doubt


def test_only_equal_beams_and_like_windows_share_a_batch() -> None:
    items = [(1, 350), (5, 350), (1, 500), (1, 550), (1, 600), (5, 3000)]
    assert group_by_window(items, lambda item: item) == [
        [(1, 350), (1, 500), (1, 550)],
        [(1, 600)],
        [(5, 350)],
        [(5, 3000)],
    ]
    assert group_by_window([], lambda item: item) == []


def test_only_a_loop_is_worth_the_full_window() -> None:
    assert retry_frames(2.0, Doubt.LOOPING) == 3000
    assert window_frames(2.0) < retry_frames(2.0, Doubt.GUESSED) <= 1000
