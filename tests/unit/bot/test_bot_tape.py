"""The tape: no gaps, no doubles, bounded, and honest about what went unheard."""

import pytest
from tests.support.bot_speech_server import tone

from usher.bot.audio.receiver import Frame
from usher.bot.audio.tape import QUIET, Tape, loudness

_FRAME = 1600
_MINUTE = 60 * 16_000


def _frame(number: int, value: float = 1.0) -> Frame:
    return Frame(number * _FRAME, tone(value, 0.1))


def _fill(tape: Tape, frames: int, first: int = 0) -> None:
    for number in range(first, first + frames):
        tape.add(_frame(number))


def test_frames_come_back_in_order_from_any_position() -> None:
    tape = Tape()
    _fill(tape, 5)
    assert [frame.position for frame in tape.after(2 * _FRAME)] == [2 * _FRAME, 3 * _FRAME, 4 * _FRAME]
    assert (tape.start, tape.end, tape.missing, tape.dropped) == (0, 5 * _FRAME, 0, 0)


def test_what_is_missing_becomes_silence_and_is_counted() -> None:
    tape = Tape()
    tape.add(_frame(0))
    tape.add(_frame(3))
    silence = tape.after(_FRAME)[0]
    assert tape.missing == 2 * _FRAME
    assert silence.pcm == bytes(2 * _FRAME * 4)
    assert tape.end == 4 * _FRAME


def test_a_long_hole_does_not_fill_the_memory() -> None:
    tape = Tape()
    tape.add(_frame(0))
    tape.add(_frame(100_000))
    assert tape.missing == 99_999 * _FRAME
    assert sum(len(frame.pcm) for frame in tape.after(0)) <= _MINUTE * 4
    assert tape.end == 100_001 * _FRAME


def test_doubles_are_dropped() -> None:
    tape = Tape()
    _fill(tape, 3)
    tape.add(_frame(1, value=9.0))
    assert len(tape.after(0)) == 3
    assert tape.end == 3 * _FRAME


def test_a_tape_may_begin_in_the_middle_of_a_track() -> None:
    tape = Tape()
    tape.add(_frame(50))
    assert (tape.start, tape.end, tape.missing) == (50 * _FRAME, 51 * _FRAME, 0)


def test_it_keeps_a_minute_and_counts_what_nobody_heard() -> None:
    tape = Tape()
    _fill(tape, 610)
    assert tape.start == 10 * _FRAME
    assert tape.dropped == 10 * _FRAME


def test_what_was_sent_is_not_counted_as_dropped() -> None:
    tape = Tape()
    _fill(tape, 600)
    tape.sent_until = 4 * _FRAME
    _fill(tape, 10, first=600)
    assert tape.dropped == 6 * _FRAME


def test_whole_frames_before_a_position_are_forgotten() -> None:
    tape = Tape()
    _fill(tape, 5)
    tape.forget(2 * _FRAME + 1)
    assert tape.start == 2 * _FRAME
    tape.forget(100 * _FRAME)
    assert tape.start == tape.end == 5 * _FRAME
    _fill(tape, 1, first=5)
    assert (tape.start, tape.missing) == (5 * _FRAME, 0)


def test_loudness_is_the_largest_amplitude() -> None:
    assert loudness(Frame(0, bytes(6400))) == 0.0 < QUIET
    assert loudness(_frame(0, value=10.0)) == pytest.approx(0.01)
    assert loudness(Frame(0, b"")) == 0.0
