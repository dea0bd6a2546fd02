"""The tape: no gaps, no doubles, bounded, on disk where it has to be, and honest about what went unheard."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.bot_speech_server import tone
from tests.support.eventually import eventually
from tests.support.small_disk import small_disk

from usher.bot.audio.receiver import Frame
from usher.bot.audio.reels import REEL, Reels
from usher.bot.audio.tape import QUIET, Tape, loudness

_FRAME = 1600
_SECOND = 16_000
_MINUTE = 60 * _SECOND
_PATIENCE_S = 30.0


def _frame(number: int, value: float = 1.0) -> Frame:
    return Frame(number * _FRAME, tone(value, 0.1))


def _fill(tape: Tape, frames: int, first: int = 0) -> None:
    for number in range(first, first + frames):
        tape.add(_frame(number))


def _counted(number: int) -> Frame:
    """A frame each sample of which tells its position, as exactly as 16 bits do."""
    samples = np.arange(number * _FRAME, (number + 1) * _FRAME) % 65_535 - 32_767
    return Frame(number * _FRAME, (samples / np.float32(32_767.0)).astype("<f4").tobytes())


def _expected(begin: int, end: int) -> bytes:
    samples = np.arange(begin, end) % 65_535 - 32_767
    return (samples / np.float32(32_767.0)).astype("<f4").tobytes()


async def _read_all(tape: Tape, position: int, most: int) -> list[Frame]:
    frames = []
    while (frame := await tape.read(position, most)) is not None:
        frames.append(frame)
        position = frame.position + len(frame.pcm) // 4
    return frames


@pytest.fixture
def reels() -> Iterator[Reels]:
    opened = Reels(60 * 60.0)
    yield opened
    opened.close()


async def _all_wound(tape: Tape) -> None:
    await eventually(lambda: not tape._is_winding, timeout_s=_PATIENCE_S)  # noqa: SLF001 - the disk tells nobody else


async def test_it_is_read_from_any_position_on_as_far_as_asked() -> None:
    tape = Tape()
    for number in range(5):
        tape.add(_counted(number))
    frame = await tape.read(2 * _FRAME + 7, 2 * _FRAME)
    assert frame == Frame(2 * _FRAME + 7, _expected(2 * _FRAME + 7, 4 * _FRAME + 7))
    assert await tape.read(5 * _FRAME, _FRAME) is None
    assert (tape.start, tape.end, tape.missing, tape.dropped) == (0, 5 * _FRAME, 0, 0)


async def test_what_is_missing_becomes_silence_and_is_counted() -> None:
    tape = Tape()
    tape.add(_frame(0))
    tape.add(_frame(3))
    silence = await tape.read(_FRAME, 2 * _FRAME)
    assert tape.missing == 2 * _FRAME
    assert silence == Frame(_FRAME, bytes(2 * _FRAME * 4))
    assert tape.end == 4 * _FRAME


async def test_a_long_hole_does_not_fill_the_memory() -> None:
    tape = Tape()
    tape.add(_frame(0))
    tape.add(_frame(100_000))
    assert tape.missing == 99_999 * _FRAME
    assert tape.kept <= _MINUTE
    assert tape.end == 100_001 * _FRAME


async def test_doubles_are_dropped() -> None:
    tape = Tape()
    _fill(tape, 3)
    tape.add(_frame(1, value=9.0))
    assert tape.kept == tape.end == 3 * _FRAME


def test_a_tape_may_begin_in_the_middle_of_a_track() -> None:
    tape = Tape()
    tape.add(_frame(50))
    assert (tape.start, tape.end, tape.missing) == (50 * _FRAME, 51 * _FRAME, 0)


def test_without_a_disk_it_keeps_a_minute_and_counts_what_nobody_heard() -> None:
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


async def test_what_is_before_a_position_is_forgotten_to_the_sample() -> None:
    tape = Tape()
    for number in range(5):
        tape.add(_counted(number))
    tape.forget(2 * _FRAME + 1)
    assert (tape.start, tape.kept) == (2 * _FRAME + 1, 3 * _FRAME - 1)
    assert await tape.read(0, _FRAME) == Frame(2 * _FRAME + 1, _expected(2 * _FRAME + 1, 3 * _FRAME + 1))
    tape.forget(100 * _FRAME)
    assert tape.start == tape.end == 5 * _FRAME
    _fill(tape, 1, first=5)
    assert (tape.start, tape.missing) == (5 * _FRAME, 0)


async def test_ten_minutes_go_to_disk_and_come_back_to_the_sample(reels: Reels) -> None:
    tape = Tape(reels)
    for number in range(6000):
        tape.add(_counted(number))
        if not number % 50:
            await _all_wound(tape)
    assert tape.kept == 6000 * _FRAME
    assert (tape.start, tape.dropped) == (0, 0)
    assert tape._samples <= _MINUTE + REEL  # noqa: SLF001 - what is in memory
    tape.forget(12_345)
    frames = await _read_all(tape, 0, 4 * _SECOND)
    assert frames[0].position == 12_345
    assert max(len(frame.pcm) for frame in frames) == 4 * _SECOND * 4
    assert b"".join(frame.pcm for frame in frames) == _expected(12_345, 6000 * _FRAME)
    tape.forget(6000 * _FRAME)
    assert tape.kept == 0


async def test_nothing_is_written_while_the_service_keeps_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reels: Reels
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    written: list[int] = []
    monkeypatch.setattr(os, "pwrite", lambda *_: written.append(1))
    tape = Tape(reels)
    for number in range(3000):
        tape.add(_frame(number))
        tape.forget((number - 590) * _FRAME)
    await asyncio.sleep(0.1)
    assert written == []
    assert tape.dropped == 0


async def test_the_file_has_no_name_and_is_empty_when_all_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reels: Reels
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tape = Tape(reels)
    _fill(tape, 700)
    await eventually(lambda: bool(tape._wound), timeout_s=_PATIENCE_S)  # noqa: SLF001 - the disk tells nobody else
    assert _names(tmp_path) == []
    (open_file,) = _open_files(tmp_path)
    assert open_file.stat().st_size == REEL * 2
    tape.forget(tape.end)
    await eventually(lambda: open_file.stat().st_size == 0, timeout_s=_PATIENCE_S)
    reels.close()
    await eventually(lambda: not _open_files(tmp_path), timeout_s=_PATIENCE_S)


async def test_when_the_file_is_full_the_oldest_of_all_tapes_goes_and_is_counted() -> None:
    reels = Reels(30.0)
    silent, talkative = Tape(reels), Tape(reels)
    _fill(silent, 610)
    await _all_wound(silent)
    assert silent.kept == 610 * _FRAME
    for number in range(1100):
        talkative.add(_frame(number))
        await _all_wound(talkative)
    assert silent.dropped == REEL
    assert silent.start == REEL
    assert (talkative.start, talkative.dropped) == (2 * REEL, 2 * REEL)
    assert talkative.kept == 1100 * _FRAME - 2 * REEL
    reels.close()


async def test_audio_that_has_no_room_on_a_disk_is_bounded_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reels = Reels(3600.0)
    with small_disk(tmp_path) as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        tape = Tape(reels)
        for number in range(3000):
            tape.add(_frame(number))
            await _all_wound(tape)
        # One MiB holds three reels of ten seconds; the rest is the last minute.
        assert tape._samples <= _MINUTE  # noqa: SLF001 - what is in memory
        assert tape.dropped == 3000 * _FRAME - tape.kept
        assert 3 * REEL <= tape.kept <= 3 * REEL + _MINUTE
        frames = await _read_all(tape, 0, REEL)
        assert sum(len(frame.pcm) for frame in frames) == tape.kept * 4
        tape.forget(tape.end)
        reels.close()
        await eventually(lambda: not _open_files(folder), timeout_s=_PATIENCE_S)


async def test_a_disk_that_gives_nothing_back_costs_what_was_on_it(
    reels: Reels, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(reels)
    _fill(tape, 610)
    await _all_wound(tape)
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    frame = await tape.read(0, REEL)
    assert frame is not None
    assert frame.position == REEL
    assert (tape.start, tape.dropped) == (REEL, REEL)


async def test_what_is_forgotten_while_it_is_written_does_not_come_back(reels: Reels) -> None:
    tape = Tape(reels)
    _fill(tape, 601)
    tape.forget(REEL // 2 + 5)
    await _all_wound(tape)
    assert tape.start == REEL // 2 + 5
    assert tape.kept == tape.end - tape.start
    _fill(tape, 200, first=601)
    tape.forget(tape.end)
    await _all_wound(tape)
    assert (tape.kept, tape.dropped) == (0, 0)


def test_loudness_is_the_largest_amplitude() -> None:
    assert loudness(Frame(0, bytes(6400))) == 0.0 < QUIET
    assert loudness(_frame(0, value=10.0)) == pytest.approx(0.01)
    assert loudness(Frame(0, b"")) == 0.0


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _open_files(folder: Path) -> list[Path]:
    """Return this process's open files of a folder, deleted ones included."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(entry)
    return found
