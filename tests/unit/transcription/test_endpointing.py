"""Cutting a stream into utterances, with a detector that takes what is loud for speech."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.transcription.config import EndpointRules
from usher.transcription.endpoint import Clip, Endpointer, Stage
from usher.transcription.pcm import Pcm
from usher.transcription.voice import WINDOW_SAMPLES, LoudnessDetector

RULES = EndpointRules(max_utterance_s=4.0, cut_search_s=1.0)


def loud(windows: int) -> Pcm:
    return np.full(windows * WINDOW_SAMPLES, 0.5, np.float32)


def quiet(windows: int) -> Pcm:
    return np.zeros(windows * WINDOW_SAMPLES, np.float32)


def endpointer(rules: EndpointRules = RULES) -> Endpointer:
    return Endpointer(LoudnessDetector(), rules)


def ended(clips: list[Clip]) -> list[Clip]:
    return [clip for clip in clips if clip.stage is Stage.ENDED]


def test_silence_gives_nothing() -> None:
    cutter = endpointer()
    assert cutter.feed(quiet(1000)) == []
    assert cutter.flush() == []


def test_an_utterance_ends_after_its_silence_and_keeps_pre_roll_and_a_little_tail() -> None:
    clips = endpointer().feed(np.concatenate([quiet(50), loud(20), quiet(30)]))
    (clip,) = ended(clips)
    assert clip.start == 50 * WINDOW_SAMPLES
    assert clip.end == 70 * WINDOW_SAMPLES
    assert clip.begin == (50 - 9) * WINDOW_SAMPLES
    assert clip.stop == (70 + 8) * WINDOW_SAMPLES


def test_a_pause_gives_the_audio_the_end_will_have() -> None:
    clips = endpointer().feed(np.concatenate([loud(20), quiet(30)]))
    paused, last = clips
    assert (paused.stage, last.stage) == (Stage.PAUSED, Stage.ENDED)
    assert (paused.utterance, paused.stop) == (last.utterance, last.stop)
    np.testing.assert_array_equal(paused.audio, last.audio)


def test_growth_is_shown_once_per_second_of_new_speech() -> None:
    clips = endpointer(EndpointRules()).feed(loud(31 * 5))
    assert [clip.stage for clip in clips] == [Stage.GROWN] * 5
    assert {clip.utterance for clip in clips} == {0}


def test_a_click_is_no_utterance_and_takes_no_number() -> None:
    cutter = endpointer()
    assert cutter.feed(np.concatenate([loud(2), quiet(60)])) == []
    (clip,) = ended(cutter.feed(np.concatenate([loud(10), quiet(60)])))
    assert clip.utterance == 0


def test_a_long_utterance_is_cut_at_its_quietest_late_window_and_loses_nothing() -> None:
    class Dip:
        """Sure of speech, but less so in one window."""

        seen = 0

        def judge(self, windows: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
            numbers = np.arange(self.seen, self.seen + len(windows))
            self.seen += len(windows)
            return np.where(numbers == 110, 0.4, 0.9).astype(np.float32)

    cutter = Endpointer(Dip(), RULES)
    clips = ended(cutter.feed(loud(130)) + cutter.flush())
    assert [clip.begin for clip in clips] == [0, 110 * WINDOW_SAMPLES]
    assert [clip.stop for clip in clips] == [110 * WINDOW_SAMPLES, 130 * WINDOW_SAMPLES]


def test_cut_ends_the_utterance_here_and_the_next_begins_here() -> None:
    cutter = endpointer()
    cutter.feed(loud(20))
    (first,) = cutter.cut()
    (second,) = ended(cutter.feed(loud(20)) + cutter.flush())
    assert first.stop == second.begin == 20 * WINDOW_SAMPLES


def test_flush_keeps_the_last_part_of_a_window() -> None:
    cutter = endpointer()
    cutter.feed(np.concatenate([loud(20), loud(1)[:100]]))
    (clip,) = cutter.flush()
    assert clip.stop == 21 * WINDOW_SAMPLES


@settings(max_examples=150, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 160), st.integers(1, 40)), min_size=1, max_size=8),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    cut_after=st.one_of(st.none(), st.integers(0, 30)),
)
def test_all_speech_is_in_exactly_one_ended_clip(
    runs: list[tuple[int, int]], sizes: list[int], cut_after: int | None
) -> None:
    """Whatever the frame sizes and wherever it is cut: no clip overlaps another, and no loud window is left out."""
    pcm = np.concatenate([part for speech, pause in runs for part in (loud(speech), quiet(pause))])
    cutter, clips, position, fed = endpointer(), list[Clip](), 0, 0
    while position < len(pcm):
        size = sizes[fed % len(sizes)]
        clips += cutter.feed(pcm[position : position + size])
        position, fed = position + size, fed + 1
        if fed == cut_after:
            clips += cutter.cut()
    clips += cutter.flush()
    whole = ended(clips)
    assert [clip.utterance for clip in whole] == list(range(len(whole)))
    assert all(before.stop <= after.begin for before, after in itertools.pairwise(whole))
    assert all(len(clip.audio) <= 4.1 * 16_000 for clip in whole)
    covered = np.zeros(len(pcm) + WINDOW_SAMPLES, bool)
    for clip in whole:
        covered[clip.begin : clip.stop] = True
        heard = np.concatenate([pcm, quiet(1)])[clip.begin : clip.stop]
        np.testing.assert_array_equal(clip.audio[: len(heard)], heard)
    lost = np.flatnonzero((pcm > 0) & ~covered[: len(pcm)])
    noise = 2 * WINDOW_SAMPLES
    for piece in np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1):
        assert len(piece) <= noise


@pytest.mark.parametrize("bad", [{"max_utterance_s": 29.0}, {"max_utterance_s": 1.0}, {"release": 0.6}])
def test_rules_that_cannot_work_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        EndpointRules(**bad)


def test_a_short_utterance_waits_longer_for_its_speaker_to_go_on() -> None:
    rules = EndpointRules(silence_s=0.6, short_s=1.0, short_silence_s=0.9)
    short, long = 20, 40
    sounds = [quiet(5), loud(short), quiet(24), loud(short), quiet(20), loud(long), quiet(20), loud(short), quiet(29)]
    clips = ended(endpointer(rules).feed(np.concatenate(sounds)))
    assert [clip.voiced // WINDOW_SAMPLES for clip in clips] == [2 * short, long, short]
    assert clips[0].end == (5 + short + 24 + short) * WINDOW_SAMPLES


def test_noise_too_short_for_speech_does_not_wait() -> None:
    rules = EndpointRules(min_speech_s=0.2, silence_s=0.6, short_silence_s=0.9)
    (clip,) = ended(endpointer(rules).feed(np.concatenate([loud(2), quiet(22), loud(20), quiet(40)])))
    assert clip.start == 24 * WINDOW_SAMPLES


@pytest.mark.parametrize("partial_every_s", [0.0, 1.0])
def test_only_who_wants_partial_texts_gets_them(partial_every_s: float) -> None:
    clips = endpointer(EndpointRules(partial_every_s=partial_every_s)).feed(np.concatenate([loud(100), quiet(40)]))
    assert [clip.stage for clip in ended(clips)] == [Stage.ENDED]
    assert (len(clips) > 1) == (partial_every_s > 0)
