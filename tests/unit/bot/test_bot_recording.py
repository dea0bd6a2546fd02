"""The recorder's desk: what was heard is what a decoder plays, at the time at which it was heard."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.support.recordings import Played, frames, play, tone

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.receiver import Frame
from usher.bot.recording.desk import Description, Desk, Heard, News
from usher.bot.recording.media import Chunk
from usher.protocol.recordings import MIXED, MOST_CHUNK_BYTES, FileDescription, FileState

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ANN_HZ, BOB_HZ = 440, 880
TONES = (ANN_HZ, BOB_HZ)


class Studio:
    """A desk, a clock, and what came out of it."""

    def __init__(self) -> None:
        self.desk = Desk(START)
        self.chunks: dict[str, list[Chunk]] = defaultdict(list)
        self.said: dict[str, list[FileDescription]] = defaultdict(list)
        self.now_s = 1000.0
        self.order: list[News] = []

    def hear(self, lane: str, frame: Frame, at_s: float, *, name: str | None = None, late_s: float = 0.0) -> None:
        """A frame that began at `at_s` is handed over when it has ended."""
        self.now_s = max(self.now_s, 1000.0 + at_s + 0.1 + late_s)
        self.desk.hear(Heard(lane, name or lane, frame, START + timedelta(seconds=at_s + late_s), self.now_s))

    def pass_time(self, until_s: float) -> None:
        """Let the desk work until then, twice a second."""
        while self.now_s < 1000.0 + until_s:
            self.now_s = min(1000.0 + until_s, self.now_s + 0.5)
            self.take(self.desk.advance(self.now_s))

    def take(self, news: Iterable[News]) -> None:
        for one in news:
            self.order.append(one)
            if isinstance(one, Chunk):
                self.chunks[one.name].append(one)
            else:
                self.said[one.name].append(one.said)

    def close(self) -> None:
        self.take(self.desk.close(self.now_s))

    def file(self, name: str, chunks: int | None = None) -> Played:
        """Play the first chunks of a file, or all of them."""
        some = self.chunks[name][:chunks]
        return play(some[0].head + b"".join(chunk.clusters for chunk in some))


def play_in(studio: Studio, parts: dict[str, list[tuple[float, Any]]], until_s: float) -> None:
    """Let several people be heard: each has pieces of sound with the second at which they begin."""
    events = []
    for lane, pieces in parts.items():
        for begin_s, samples in pieces:
            events += [(f.position / SAMPLE_RATE, lane, f) for f in frames(samples, round(begin_s * SAMPLE_RATE))]
    for at_s, lane, frame in sorted(events, key=lambda event: event[0]):
        studio.hear(lane, frame, at_s)
        studio.take(studio.desk.advance(studio.now_s))
    studio.pass_time(until_s)


def test_each_speaker_has_a_file_and_all_are_in_the_mix_at_the_right_times() -> None:
    studio = Studio()
    parts = {
        "Ann": [(0.0, tone(ANN_HZ, 2.0)), (7.25, tone(ANN_HZ, 1.5))],
        "Bob": [(3.013, tone(BOB_HZ, 1.0)), (7.75, tone(BOB_HZ, 2.0))],
    }
    play_in(studio, parts, 12.0)
    studio.close()
    ann, bob, mixed = studio.file("speaker-1"), studio.file("speaker-2"), studio.file(MIXED)
    assert_stretches(ann.loud(), [(0.0, 2.0), (7.25, 8.75)])
    assert_stretches(bob.loud(), [(3.013, 4.013), (7.75, 9.75)])
    assert_stretches(mixed.loud(), [(0.0, 2.0), (3.013, 4.013), (7.25, 9.75)])
    assert ann.pitches(7.3, 8.7, TONES) == {ANN_HZ}
    assert bob.pitches(7.8, 8.7, TONES) == {BOB_HZ}
    assert [mixed.pitches(*span, TONES) for span in ((0.2, 1.8), (3.1, 3.9), (7.8, 8.7), (8.8, 9.7))] == [
        {ANN_HZ},
        {BOB_HZ},
        {ANN_HZ, BOB_HZ},
        {BOB_HZ},
    ]
    for played in (ann, bob, mixed):
        assert max(abs(stamp - heard) for stamp, heard in played.stamps) < 0.02, "timestamps and sound agree"


def test_what_is_described() -> None:
    studio = Studio()
    for frame in frames(tone(ANN_HZ, 1.0)):
        studio.hear("a", frame, frame.position / SAMPLE_RATE, name="Ann")
    for frame in frames(tone(ANN_HZ, 1.0), SAMPLE_RATE):
        studio.hear("a", frame, frame.position / SAMPLE_RATE, name="Ann Lee")
    studio.desk.end("a", studio.now_s)
    studio.pass_time(4.0)
    studio.close()
    kinds = [(one.name, type(one)) for one in studio.order]
    assert kinds.index((MIXED, Description)) < kinds.index((MIXED, Chunk))
    assert kinds.index(("speaker-1", Description)) < kinds.index(("speaker-1", Chunk))
    assert [said.speaker for said in studio.said["speaker-1"]] == ["Ann", "Ann Lee", "Ann Lee"]
    assert studio.said["speaker-1"][-1].state is FileState.FINISHED
    assert isinstance(studio.order[-1], Description)
    assert (studio.order[-1].name, studio.order[-1].said.state) == (MIXED, FileState.FINISHED)
    assert {said.started_at for said in studio.said[MIXED] + studio.said["speaker-1"]} == {START}


def test_the_chunks_up_to_any_number_make_a_file_and_lag_less_than_ten_seconds() -> None:
    studio = Studio()
    longest_s = {MIXED: 0.0, "speaker-1": 0.0}
    for frame in frames(tone(ANN_HZ, 40.0)):
        at_s = frame.position / SAMPLE_RATE
        studio.hear("Ann", frame, at_s)
        if frame.position % (SAMPLE_RATE // 2) == 0:
            studio.take(studio.desk.advance(studio.now_s))
        for name, chunks in studio.chunks.items():
            kept_s = chunks[-1].until_ms / 1000 if chunks else 0.0
            longest_s[name] = max(longest_s[name], at_s + 0.1 - kept_s)
    assert longest_s["speaker-1"] < 6.0
    assert longest_s[MIXED] < 9.0
    for name in longest_s:
        assert len(studio.chunks[name]) >= 6
        for count, chunk in enumerate(studio.chunks[name], 1):
            assert_stretches(studio.file(name, count).loud(), [(0.0, chunk.until_ms / 1000)], until=0.08)


def test_a_speaker_who_comes_late_is_on_time() -> None:
    studio = Studio()
    play_in(studio, {"Ann": [(0.0, tone(ANN_HZ, 0.5))], "Bob": [(600.0, tone(BOB_HZ, 0.5))]}, 610.0)
    studio.close()
    assert_stretches(studio.file("speaker-2").loud(), [(600.0, 600.5)])
    assert sum(len(chunk.clusters) for chunk in studio.chunks["speaker-2"]) < 400_000, "silence is small"
    assert all(len(c.head) + len(c.clusters) <= MOST_CHUNK_BYTES for c in studio.chunks["speaker-2"])
    assert [c.from_ms for c in studio.chunks["speaker-2"][1:]] == [c.until_ms for c in studio.chunks["speaker-2"][:-1]]


def test_who_is_silent_has_no_file_and_costs_nothing() -> None:
    studio = Studio()
    play_in(studio, {"Ann": [(0.0, tone(ANN_HZ, 1.0))], "Bob": [(0.0, np.zeros(20 * SAMPLE_RATE))]}, 30.0)
    assert set(studio.chunks) == {MIXED, "speaker-1"}
    assert len(studio.chunks["speaker-1"]) == 1, "a minute of silence after it is no chunk"


def test_the_last_word_before_a_silence_does_not_wait_for_more_sound() -> None:
    studio = Studio()
    play_in(studio, {"Ann": [(0.0, tone(ANN_HZ, 0.51))]}, 9.0)
    assert_stretches(studio.file("speaker-1").loud(), [(0.0, 0.51)])
    assert_stretches(studio.file(MIXED).loud(), [(0.0, 0.51)])


def test_frames_that_come_late_for_a_moment_leave_no_hole() -> None:
    studio = Studio()
    for number, frame in enumerate(frames(tone(ANN_HZ, 20.0))):
        late_s = 0.3 if number % 50 == 7 else 0.0
        studio.hear("Ann", frame, frame.position / SAMPLE_RATE, late_s=late_s)
    studio.close()
    assert_stretches(studio.file("speaker-1").loud(), [(0.0, 20.0)])


def test_a_first_frame_that_was_late_is_put_right_within_seconds() -> None:
    studio = Studio()
    for number, frame in enumerate(frames(tone(ANN_HZ, 20.0))):
        studio.hear("Ann", frame, frame.position / SAMPLE_RATE, late_s=0.0 if number else 0.25)
    studio.close()
    begin, end = studio.file("speaker-1").loud()[-1]
    assert end == pytest.approx(20.0, abs=0.02)
    assert begin == pytest.approx(0.25, abs=0.02)


def test_a_clock_that_drifts_is_followed() -> None:
    studio = Studio()
    for frame in frames(tone(ANN_HZ, 100.0)):
        studio.hear("Ann", frame, frame.position / SAMPLE_RATE * 1.0005)
    studio.close()
    assert studio.file("speaker-1").loud()[-1][1] == pytest.approx(100.05, abs=0.02)


def test_a_speaker_with_a_microphone_and_a_shared_screen_has_both_in_one_file() -> None:
    studio = Studio()
    for voice, screen in zip(frames(tone(ANN_HZ, 4.0, 0.2)), frames(tone(BOB_HZ, 4.0, 0.2)), strict=True):
        at_s = voice.position / SAMPLE_RATE
        studio.hear("Ann", voice, at_s)
        studio.hear("Ann", screen, at_s, late_s=0.05)
        studio.take(studio.desk.advance(studio.now_s))
    studio.close()
    for name in ("speaker-1", MIXED):
        assert_stretches(studio.file(name).loud(), [(0.0, 4.0)])
        assert studio.file(name).pitches(0.5, 3.5, TONES) == set(TONES)


def test_a_track_that_is_told_of_later_than_another_is_in_the_mix_after_a_silence() -> None:
    studio = Studio()
    for begin_s in (0.0, 20.0):
        for frame in frames(tone(ANN_HZ, 2.0, 0.2), round(begin_s * SAMPLE_RATE)):
            studio.hear("Ann", frame, frame.position / SAMPLE_RATE)
        for frame in frames(tone(BOB_HZ, 2.0, 0.2), round((begin_s - 0.5) * SAMPLE_RATE) if begin_s else 0):
            studio.hear("Bob", frame, frame.position / SAMPLE_RATE)
        studio.pass_time(begin_s + 10.0)
    studio.close()
    assert_stretches(studio.file(MIXED).loud(), [(0.0, 2.0), (19.5, 22.0)])
    assert studio.said[MIXED][-1].lost_ms == 0


def test_missing_samples_are_a_gap_and_doubled_ones_are_dropped() -> None:
    studio = Studio()
    sound = frames(tone(ANN_HZ, 3.0))
    for frame in (*sound[:10], *sound[8:10], *sound[14:]):
        studio.hear("Ann", frame, frame.position / SAMPLE_RATE)
    studio.close()
    assert_stretches(studio.file("speaker-1").loud(), [(0.0, 1.0), (1.4, 3.0)])


def test_what_waited_in_the_page_while_it_was_cut_off_is_where_it_was_said() -> None:
    studio = Studio()
    sound = frames(tone(ANN_HZ, 40.0))
    for number, frame in enumerate(sound):
        at_s = frame.position / SAMPLE_RATE
        late_s = max(0.0, 25.0 + (at_s - 10.0) / 100 - at_s) if 10.0 <= at_s < 25.0 else 0.0
        studio.hear("Ann", frame, at_s, late_s=late_s)
        if number % 5 == 0:
            studio.take(studio.desk.advance(studio.now_s))
    studio.close()
    assert_stretches(studio.file("speaker-1").loud(), [(0.0, 40.0)])
    assert studio.said[MIXED][-1].lost_ms > 10_000, "the mix did not wait for it, and says so"


def test_a_page_that_counts_from_zero_again_goes_on_in_the_same_file() -> None:
    studio = Studio()
    play_in(studio, {"Ann": [(0.0, tone(ANN_HZ, 1.0))]}, 3.0)
    for frame in frames(tone(BOB_HZ, 1.0)):
        studio.hear("Ann", frame, 5.0 + frame.position / SAMPLE_RATE)
    studio.close()
    assert_stretches(studio.file("speaker-1").loud(), [(0.0, 1.0), (5.0, 6.0)])


def test_sound_from_before_the_start_and_no_sound_at_all_do_no_harm() -> None:
    studio = Studio()
    bad = np.full(1600, np.nan, dtype=np.float32)
    studio.hear("Ann", frames(bad)[0], 0.0)
    for frame in frames(tone(ANN_HZ, 1.0), 1600):
        studio.hear("Bob", frame, (frame.position - 1600) / SAMPLE_RATE - 0.5)
    studio.hear("Eve", Frame(0, b""), 0.5)
    studio.close()
    assert_stretches(studio.file("speaker-2").loud(), [(0.0, 0.5)])


def assert_stretches(heard: list[tuple[float, float]], wanted: list[tuple[float, float]], until: float = 0.02) -> None:
    """Check times within 20 ms."""
    assert len(heard) == len(wanted), heard
    for (begin, end), (wanted_begin, wanted_end) in zip(heard, wanted, strict=True):
        assert begin == pytest.approx(wanted_begin, abs=0.02)
        assert end == pytest.approx(wanted_end, abs=until)
