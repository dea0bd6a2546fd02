"""What a bot leaves behind: what is in it, what is cut, and the file."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.bot_process import TOKEN, configuration

from usher.bot.last_words import compose
from usher.bot.last_words_file import LastWordsFile
from usher.bot.unconfirmed import Item
from usher.protocol.bot import BotConfiguration
from usher.protocol.last_words import MOST_BYTES, LastWords, unseal
from usher.protocol.segments import SpokenSegment

_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_EXITED: dict[str, Any] = {"kind": "exited", "seq": 2, "exit_code": 1, "reason": "crashed", "detail": "why"}


def _told() -> BotConfiguration:
    return configuration(
        manager_url="http://127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        transcription_url="ws://127.0.0.1:1",
        meeting_url="http://127.0.0.1:1/room/standup",
        chromium=None,
    )


def _item(name: str, text: str = "text", *, session: str = "s", completed: bool = True) -> Item:
    segment = SpokenSegment(segment_id=name, revision=1, start_s=0.0, end_s=1.0, text=text, completed=completed)
    return Item(session, _START, segment)


def _read(document: bytes) -> LastWords:
    words = unseal(document, TOKEN)
    assert words is not None
    return words


def _names(words: LastWords) -> list[str]:
    return [segment.segment_id for entry in words.entries for segment in entry.segments]


def test_it_says_whose_words_these_are_and_all_of_them() -> None:
    told = _told()
    items = [_item("a"), _item("b", session="t"), _item("c")]
    words = _read(compose(told, [{"kind": "started", "seq": 1}, _EXITED], items))
    assert words.connection_id == told.connection_id
    assert [report.model_dump(mode="json") for report in words.reports] == [{"kind": "started", "seq": 1}, _EXITED]
    assert [(entry.meeting_id, entry.session_uid, entry.session_start) for entry in words.entries] == [
        (7, "s", _START),
        (7, "t", _START),
    ]
    assert _names(words) == ["a", "c", "b"]


def test_final_text_comes_first() -> None:
    items = [_item("partial", completed=False), _item("final")]
    assert _names(_read(compose(_told(), [], items))) == ["final", "partial"]


def test_what_is_too_long_is_cut_from_the_end_and_reports_stay() -> None:
    text = "\N{SNOWMAN}" * 5000
    items = [_item(f"{number}:partial", text, completed=False) for number in range(40)]
    items += [_item(f"{number}:final", text, session=str(number)) for number in range(60)]
    document = compose(_told(), [_EXITED], items)
    words = _read(document)
    assert MOST_BYTES - 90_000 < len(document) <= MOST_BYTES
    assert len(words.reports) == 1
    names = _names(words)
    assert names[:60] == [f"{number}:final" for number in range(60)]
    assert names[60:] == [f"{number}:partial" for number in range(len(names) - 60)]
    assert 60 < len(names) < 100


def test_thousands_of_segments_fit_into_entries_that_are_read() -> None:
    items = [_item(str(number), session=str(number % 3)) for number in range(5000)]
    words = _read(compose(_told(), [], items))
    assert len(_names(words)) == 5000
    assert max(len(entry.segments) for entry in words.entries) <= 100


def test_more_sessions_than_are_read_are_cut() -> None:
    items = [_item(str(number), session=str(number)) for number in range(1000)]
    assert _names(_read(compose(_told(), [], items))) == [str(number) for number in range(200)]


@pytest.mark.parametrize("most_bytes", [400, 1000, 4096])
def test_a_launcher_that_keeps_little_gets_the_end_of_the_visit_first(most_bytes: int) -> None:
    reports = [{"kind": "started", "seq": seq} for seq in range(1, 100)]
    reports.append({"kind": "exited", "seq": 100, "exit_code": 1, "reason": "crashed", "detail": "\N{SNOWMAN}" * 4000})
    document = compose(_told(), reports, [_item(str(number)) for number in range(50)], most_bytes)
    assert len(document) <= most_bytes
    (said,) = _read(document).reports
    assert said.model_dump(mode="json") == _EXITED | {"seq": 100, "detail": ""}


def test_a_launcher_that_keeps_little_gets_text_too_where_there_is_room() -> None:
    document = compose(_told(), [_EXITED], [_item(str(number), "word " * 10) for number in range(50)], 4096)
    words = _read(document)
    assert 2000 < len(document) <= 4096
    assert len(words.reports) == 1
    assert len(_names(words)) > 5


def test_the_file_is_private_and_holds_the_newest_words(tmp_path: Path) -> None:
    path = tmp_path / "last_words"
    file = LastWordsFile(path)
    for document in (b"one", b"two"):
        file.keep(document)
        assert path.read_bytes() == document
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_goes_when_all_is_said(tmp_path: Path) -> None:
    path = tmp_path / "last_words"
    file = LastWordsFile(path)
    file.keep(None)
    file.keep(b"one")
    file.keep(None)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "last_words"
    (tmp_path / ".last_words.new").write_bytes(b"torn")
    LastWordsFile(path).keep(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_the_launchers_stays_and_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    inode = path.stat().st_ino
    file = LastWordsFile(path, 4096)
    for document in (b"longer than the next", b"two", None, b"three"):
        file.keep(document)
        assert path.read_bytes() == (document or b"")
    assert path.stat().st_ino == inode
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    LastWordsFile(tmp_path / "file" / "last_words").keep(b"one")
    LastWordsFile(tmp_path / "nowhere" / "last_words").keep(b"one")
    LastWordsFile(None).keep(b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
