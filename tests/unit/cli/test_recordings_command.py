"""`usher recordings`, over real HTTP to the API."""

from datetime import UTC, datetime
from pathlib import Path

from tests.support.recordings import play
from tests.unit.api.test_recordings import sound
from tests.unit.cli.test_seen import Terminal, terminal

from usher.protocol.recordings import MIXED, FileDescription

__all__ = ["terminal"]

_SAID = FileDescription(started_at=datetime(2026, 5, 4, 12, 0, tzinfo=UTC))


async def recorded(terminal: Terminal) -> None:
    """Record five seconds of a person, while the bot is still there."""
    world = terminal.api.world
    bot = await world.bot_of((await world.active()).meeting_id)
    await world.recordings.describe(bot, MIXED, _SAID)
    await world.recordings.describe(bot, "speaker-1", _SAID.model_copy(update={"speaker": "Ann\x1b[31m"}))
    for number, content in enumerate(sound(5.0)):
        await world.recordings.take(bot, MIXED, number, 5000, content)


async def test_files_are_listed_and_saved(terminal: Terminal, tmp_path: Path) -> None:
    await recorded(terminal)
    code, output = await terminal.run("recordings", "room/weekly-sync", "--save", str(tmp_path / "saved"))
    assert code == 0, output
    assert "in_progress" in output
    assert "mixed" in output
    assert "Ann" in output
    assert "\x1b" not in output
    (saved,) = (tmp_path / "saved").iterdir()
    assert saved.name.endswith("-mixed.webm")
    assert play(saved.read_bytes()).loud()


async def test_a_meeting_that_was_not_recorded_has_none(terminal: Terminal) -> None:
    await terminal.api.world.active()
    code, output = await terminal.run("recordings", "room/weekly-sync", "--json")
    assert (code, output.split()) == (0, ["{", '"recordings":', "[]", "}"])


async def test_joining_with_the_wish_to_record(terminal: Terminal) -> None:
    code, output = await terminal.run("join", "http://usher.test/room/loud", "--record")
    meetings = [m for m in terminal.api.world.store._tables.meetings.values() if m.recording_enabled]  # noqa: SLF001 - no request lists them all
    assert (code, len(meetings)) == (0, 1), output
