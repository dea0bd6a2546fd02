"""Commands of users about what bots see and write in meetings: chat, say, evidence."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usher.cli.bots import JsonOption, MeetingArgument, newest
from usher.cli.connection import name_of, open_client
from usher.cli.output import clock, console, fail, speaking_plainly
from usher.client import Usher
from usher.protocol.rest import CommandBody, EvidenceBody
from usher.settings import Settings

_WAIT_S = 30.0
_LOOK_S = 0.3


def chat(meeting: MeetingArgument, json: JsonOption = False) -> None:
    """Print what was written in a meeting's chat.

    Example: usher chat zoom/123456789
    """
    with speaking_plainly(), open_client() as client:
        found = client.chat(*name_of(meeting, Settings()))
        if json:
            console.print_json(found.model_dump_json())
            return
        for message in found.messages:
            console.print(f"{clock(message.at)} {plain(message.sender) or '?'}: {plain(message.text)}", markup=False)


def say(
    meeting: MeetingArgument,
    text: Annotated[str, typer.Argument(help="What to write.")],
    json: JsonOption = False,
) -> None:
    """Let the bot in a meeting write into its chat, and say what came of it.

    Example: usher say zoom/123456789 "This meeting is being transcribed."
    """
    with speaking_plainly(), open_client() as client:
        name = name_of(meeting, Settings())
        fate = _fate(client, meeting, client.say(*name, text).seq)
        if json:
            console.print_json(fate.model_dump_json())
        elif fate.state == "applied":
            console.print("written")
        else:
            why = plain(fate.detail) or "the bot has not answered yet"
            fail(f"not written ({fate.state}): {why}")


def evidence(
    meeting: MeetingArgument,
    save: Annotated[Path | None, typer.Option(help="Directory to save screenshots and trees in.")] = None,
    json: JsonOption = False,
) -> None:
    """List what a meeting's bots saw when a step did not work, and save it.

    Example: usher evidence google_meet/abc-defg-hij --save evidence
    """
    with speaking_plainly(), open_client() as client:
        meeting_id = newest(client, meeting).id
        found = client.evidence(meeting_id)
        if json:
            console.print_json(found.model_dump_json())
        else:
            _print_evidence(found.evidence)
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            for piece in found.evidence:
                _save(client, meeting_id, piece, save)


def plain(text: str) -> str:
    """Return a text that comes from a page without what could steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _fate(client: Usher, meeting: str, seq: int) -> CommandBody:
    """Wait for a moment for what became of a command."""
    until_s = time.monotonic() + _WAIT_S
    while True:
        fate = client.command(*name_of(meeting, Settings()), seq)
        if fate.state != "pending" or time.monotonic() >= until_s:
            return fate
        time.sleep(_LOOK_S)


def _print_evidence(pieces: list[EvidenceBody]) -> None:
    table = Table("id", "time", "attempt", "step", "reason", "title", "address", box=None)
    for piece in pieces:
        cells = (piece.step, piece.reason or "", piece.title, piece.address)
        table.add_row(str(piece.id), clock(piece.taken_at), str(piece.attempt), *map(_cell, cells))
    console.print(table)


def _cell(text: str) -> Text:
    return Text(plain(text))


def _save(client: Usher, meeting_id: int, piece: EvidenceBody, directory: Path) -> None:
    stem = f"meeting-{meeting_id}-evidence-{piece.id}"
    if piece.screenshot_bytes:
        picture = directory / f"{stem}.jpg"
        picture.write_bytes(client.evidence_screenshot(meeting_id, piece.id))
        console.print(f"saved {picture}", markup=False)
    if piece.tree_characters:
        tree = directory / f"{stem}.txt"
        tree.write_text(client.evidence_tree(meeting_id, piece.id), encoding="utf-8")
        console.print(f"saved {tree}", markup=False)
