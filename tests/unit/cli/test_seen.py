"""`usher chat`, `say` and `evidence`, over real HTTP to the API."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.bot_manager_server import serving
from tests.support.eventually import eventually
from tests.unit.api.test_rest import Api, open_api

from usher.api.app import create_app
from usher.ports import Meeting
from usher.protocol.chat import SeenLine
from usher.protocol.evidence import Evidence

_JPEG = b"\xff\xd8\xff\x00"
_ROOM = "room/weekly-sync"


@dataclass
class Terminal:
    """A shell with Usher's command line, and the manager behind it."""

    api: Api

    async def run(self, *words: str) -> tuple[int, str]:
        """Run one command; return its exit code, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "usher.cli.main", *words), env=dict(os.environ), stdout=PIPE, stderr=STDOUT
        )
        async with asyncio.timeout(60.0):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


@pytest.fixture
async def terminal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    async with open_api() as api, serving(create_app(api.context)) as url:
        monkeypatch.setenv("USHER_CLIENT__URL", url)
        monkeypatch.setenv("USHER_CLIENT__API_KEY", api.key)
        yield Terminal(api)


async def _answer(terminal: Terminal, meeting: Meeting, outcome: str, detail: str = "") -> None:
    """Be the bot: wait for the command, and say what came of it."""
    world = terminal.api.world
    seq = meeting.command_seq + 1

    def is_told() -> bool:
        return bool(world.store._tables.sent_to(meeting.connection_id))  # noqa: SLF001 - no bot listens here

    await eventually(is_told, timeout_s=20.0)
    await world.reports.acknowledge(await world.bot_of(meeting.meeting_id), seq, outcome=outcome, detail=detail)


async def test_say_waits_for_what_came_of_it(terminal: Terminal) -> None:
    meeting = await terminal.api.world.active()
    answered, _ = await asyncio.gather(terminal.run("say", _ROOM, "hello"), _answer(terminal, meeting, "applied"))
    assert answered == (0, "written\n")


async def test_say_fails_with_the_reason(terminal: Terminal) -> None:
    meeting = await terminal.api.world.active()
    refusing = _answer(terminal, meeting, "refused", "the host has\x1b[31m closed the chat")
    (code, output), _ = await asyncio.gather(terminal.run("say", _ROOM, "hello"), refusing)
    assert code == 1
    assert "not written (refused): the host has [31m closed the chat" in output


async def test_chat_is_printed_without_what_could_steer_the_terminal(terminal: Terminal) -> None:
    meeting = await terminal.api.world.active()
    lines = [
        SeenLine(line_id="1", sender="Ann", text="hello [bold]all[/bold]\x1b[2J", ago_s=0),
        SeenLine(line_id="2", sender="", text="Zoë", ago_s=0),
    ]
    await terminal.api.world.store.save_chat(meeting.connection_id, lines)
    code, output = await terminal.run("chat", _ROOM)
    assert code == 0
    first, second = output.strip().splitlines()
    assert first.endswith("Ann: hello [bold]all[/bold] [2J")
    assert second.endswith("?: Zoë")
    assert '"sender":' in (await terminal.run("chat", _ROOM, "--json"))[1]


async def test_evidence_is_listed_and_saved(terminal: Terminal, tmp_path: Path) -> None:
    meeting = await terminal.api.world.active()
    store = terminal.api.world.store
    full = Evidence(step="give_name", reason="join_failed", title="[red]Meet\x1b", screenshot=_JPEG, tree="- heading\n")
    await store.exhibit(meeting.connection_id, full)
    await store.exhibit(meeting.connection_id, Evidence(step="look"))
    code, output = await terminal.run("evidence", _ROOM, "--save", str(tmp_path / "new"))
    assert code == 0, output
    for shown in ("give_name", "join_failed", "[red]Meet", "look"):
        assert shown in output
    assert "\x1b" not in output
    saved = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    stem = f"meeting-{meeting.meeting_id}-evidence-1"
    assert saved == {f"{stem}.jpg": _JPEG, f"{stem}.txt": b"- heading\n"}


async def test_what_nobody_knows_is_told_plainly(terminal: Terminal) -> None:
    code, output = await terminal.run("chat", "room/nowhere")
    assert code == 1
    assert "You have no meeting 'nowhere' on room." in output
