"""`usher meetings`, `transcript`, `describe`, `share` and `delete`, and the client under them, over real HTTP."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.property.test_subtitles import read_srt
from tests.unit.api.test_meetings import over
from tests.unit.cli.test_seen import Terminal, terminal

from usher.client import ApiError, Usher
from usher.domain.lifecycle import State
from usher.domain.meeting import Platform

__all__ = ["terminal"]


@pytest.fixture
def client(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Usher:
    """The client with pages of three, so that it has to turn them."""
    monkeypatch.setattr("usher.client.usher._PAGE", 3)
    return Usher(os.environ["USHER_CLIENT__URL"], terminal.api.key)


async def test_meetings_are_listed_with_what_is_known_of_them(terminal: Terminal) -> None:
    meeting = await over(terminal.api, "weekly-sync", "hello there")
    code, output = await terminal.run(
        "describe", "room/weekly-sync", "--name", "Weekly [b]\x1b[31m", "--participant", "Ann"
    )
    assert code == 0, output
    code, output = await terminal.run(
        "meetings", "--platform", "room", "--since", "2025-12-31", "--status", "completed"
    )
    assert code == 0, output
    (_, line) = output.strip().splitlines()
    assert line.split()[0] == str(meeting.meeting_id)
    assert "weekly-sync" in line
    assert "Weekly [b] [31m" in line
    assert line.split()[-1] == "2"
    code, output = await terminal.run("meetings", "--until", "2025-12-31", "--json")
    assert (code, json.loads(output)) == (0, [])
    assert (await terminal.api.world.meeting(meeting.meeting_id)).data["participants"] == ["Ann"]


async def test_a_transcript_is_printed_as_a_file(terminal: Terminal) -> None:
    meeting = await over(terminal.api, "weekly-sync", "hello there", "goodbye [bold]")
    code, output = await terminal.run("transcript", "room/weekly-sync", "--format", "srt")
    assert code == 0, output
    assert [cue.lines for cue in read_srt(output)] == [("Ann: hello there",), ("Ann: goodbye [bold]",)]
    code, output = await terminal.run("transcript", str(meeting.meeting_id), "--format", "txt")
    assert output.splitlines()[1].endswith("Ann: goodbye [bold]")
    code, output = await terminal.run("transcript", str(meeting.meeting_id))
    assert "goodbye" in output


async def test_a_link_is_printed_and_works(terminal: Terminal) -> None:
    meeting = await over(terminal.api, "weekly-sync", "hello there")
    code, output = await terminal.run("share", str(meeting.meeting_id), "--days", "2")
    assert code == 0, output
    link, until = output.splitlines()
    assert until.startswith("good until 2026-01-0")
    async with httpx.AsyncClient() as http:
        assert "hello there" in (await http.get(link, params={"format": "txt"})).text


async def test_a_meeting_is_deleted_when_it_is_named_without_doubt(terminal: Terminal) -> None:
    first, second = await over(terminal.api, "weekly-sync", "one"), await over(terminal.api, "weekly-sync", "two")
    code, output = await terminal.run("delete", "room/weekly-sync", "--yes")
    assert code == 1
    assert "several meetings" in output
    code, output = await terminal.run("delete", str(second.meeting_id))
    assert code == 1, "nobody answered the question"
    assert not await terminal.api.world.store.is_erased(second.meeting_id)
    code, output = await terminal.run("delete", str(second.meeting_id), "--yes")
    assert (code, "deleted meeting" in output) == (0, True), output
    code, output = await terminal.run("delete", "room/weekly-sync", "--yes")
    assert code == 0, output
    for meeting in (first, second):
        assert await terminal.api.world.store.is_erased(meeting.meeting_id)
    code, output = await terminal.run("meetings")
    assert output.count("(deleted)") == 2


async def test_the_client_turns_pages_and_filters(terminal: Terminal, client: Usher) -> None:
    made = [await over(terminal.api, f"room-{number}") for number in range(8)]
    ids = [meeting.meeting_id for meeting in reversed(made)]

    def ask() -> None:
        assert [meeting.id for meeting in client.meetings(limit=7)] == ids[:7]
        assert [meeting.id for meeting in client.meetings(limit=100)] == ids
        assert [m.id for m in client.meetings(platform=Platform.ROOM, native_meeting_id="room-3")] == [ids[4]]
        assert client.meetings(status=State.FAILED) == []
        assert client.meetings(since=datetime.now(UTC) + timedelta(days=3650)) == []

    await asyncio.to_thread(ask)


async def test_the_client_shares_and_deletes(terminal: Terminal, client: Usher) -> None:
    meeting = await over(terminal.api, "weekly-sync", "hello there")

    def ask() -> None:
        assert client.describe_meeting(meeting.meeting_id, notes="x", languages=["en"]).data["notes"] == "x"
        made = client.share_transcript(meeting.meeting_id, expires_in_s=60)
        assert [one.id for one in client.shares(meeting.meeting_id).shares] == [made.id]
        client.end_share(meeting.meeting_id, made.id)
        assert client.shares(meeting.meeting_id).shares == []
        assert client.transcript_file(meeting.meeting_id, "vtt").startswith("WEBVTT\n")
        for _ in range(2):
            client.delete_meeting(meeting.meeting_id)
        with pytest.raises(ApiError) as refused:
            client.transcript_by_id(meeting.meeting_id)
        assert refused.value.code == "transcript_deleted"

    await asyncio.to_thread(ask)
