"""The command of users about the sound of meetings."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usher.cli.bots import JsonOption, MeetingArgument, newest
from usher.cli.connection import open_client
from usher.cli.output import clock, console, speaking_plainly
from usher.cli.seen import plain
from usher.client import Usher
from usher.protocol.recordings import RecordingBody, RecordingList

_KILOBYTE = 1000


def recordings(
    meeting: MeetingArgument,
    save: Annotated[Path | None, typer.Option(help="Directory to save the files in.")] = None,
    json: JsonOption = False,
) -> None:
    """List what was recorded of a meeting, and save it: a file of everybody, and one of each speaker.

    Example: usher recordings room/weekly-sync --save recordings
    """
    with speaking_plainly(), open_client() as client:
        found = client.recordings(newest(client, meeting).id)
        if json:
            console.print_json(found.model_dump_json())
        else:
            _print(found)
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            for recording in found.recordings:
                _save(client, recording, save)


def _print(found: RecordingList) -> None:
    table = Table("id", "attempt", "since", "state", "file", "speaker", "seconds", "kB", box=None)
    for recording in found.recordings:
        first = (str(recording.id), str(recording.attempt), clock(recording.started_at), recording.status)
        for file in recording.media_files:
            length = (f"{file.duration_seconds:.1f}", str(file.file_size_bytes // _KILOBYTE))
            table.add_row(*first, file.name, Text(plain(file.speaker or "")), *length)
    console.print(table)
    for recording in found.recordings:
        if recording.detail:
            console.print(f"{recording.id}: {plain(recording.detail)}", markup=False)


def _save(client: Usher, recording: RecordingBody, directory: Path) -> None:
    """Save every file, each under its name when it is whole."""
    for file in recording.media_files:
        if not file.file_size_bytes:
            continue
        path = directory / f"meeting-{recording.meeting_id}-{recording.attempt}-{file.name}.webm"
        partial = path.with_suffix(".part")
        with partial.open("wb") as into:
            for part in client.recorded_sound(recording.id, file.id):
                into.write(part)
        partial.replace(path)
        console.print(f"saved {path}", markup=False)
