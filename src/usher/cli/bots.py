"""Commands of users: join, leave, status, transcript, lifecycle."""

from enum import StrEnum
from typing import Annotated

import typer

from usher.cli.connection import name_of, open_client
from usher.cli.output import (
    clock,
    console,
    print_history,
    print_meeting,
    print_meetings,
    print_segment,
    speaking_plainly,
)
from usher.client import Usher
from usher.domain.lifecycle import TERMINAL
from usher.protocol.live import LiveSegment, StatusFrame
from usher.protocol.rest import MeetingBody
from usher.settings import Settings

MeetingArgument = Annotated[str, typer.Argument(help="The meeting's URL, platform/id, or number.", metavar="MEETING")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Form(StrEnum):
    """In which form a transcript is printed."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"


def join(
    url: Annotated[str, typer.Argument(help="The meeting's URL.", metavar="URL")],
    bot_name: Annotated[str, typer.Option("--name", help="The name to join under.")] = "Usher",
    language: Annotated[str | None, typer.Option(help="Language spoken, such as en; default: detect it.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the sound, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Send a bot into a meeting.

    Example: usher join http://127.0.0.1:8056/room/weekly-sync --name "Note taker"
    """
    with speaking_plainly(), open_client() as client:
        meeting = client.send_bot(url, bot_name=bot_name, language=language, recording_enabled=record)
        if json:
            console.print_json(meeting.model_dump_json())
            return
        print_meeting(meeting)
        console.print(
            f"Follow it: [bold]usher transcript {meeting.platform}/{meeting.native_meeting_id} --follow[/bold]"
        )


def leave(meeting: MeetingArgument, json: JsonOption = False) -> None:
    """Stop the bot in a meeting, whatever it is doing. Stopping twice is stopping once.

    Example: usher leave room/weekly-sync
    """
    with speaking_plainly(), open_client() as client:
        platform, native_id = name_of(meeting, Settings())
        stopped = client.stop_bot(platform, native_id)
        if json:
            console.print_json(stopped.model_dump_json())
        else:
            print_meeting(stopped)


def status(
    meeting: Annotated[str | None, typer.Argument(help="A meeting's URL or platform/id; default: all.")] = None,
    json: JsonOption = False,
) -> None:
    """Show your newest meetings, or one.

    Examples: usher status      usher status room/weekly-sync
    """
    with speaking_plainly(), open_client() as client:
        meetings = client.meetings() if meeting is None else [newest(client, meeting)]
        if json:
            console.print_json(data=[m.model_dump(mode="json") for m in meetings])
        else:
            print_meetings(meetings)


def transcript(
    meeting: MeetingArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the meeting is over.")] = False,
    form: Annotated[Form | None, typer.Option("--format", help="Print a file in this form.")] = None,
    json: JsonOption = False,
) -> None:
    """Print what was said in a meeting, so far or as it is said.

    Examples: usher transcript room/weekly-sync --follow      usher transcript 12 --format srt > weekly.srt
    """
    with speaking_plainly(), open_client() as client:
        if follow:
            _follow(client, newest(client, meeting))
            return
        if form is not None:
            typer.echo(client.transcript_file(newest(client, meeting).id, form.value), nl=False)
            return
        if meeting.isdecimal():
            found = client.transcript_by_id(int(meeting))
        else:
            found = client.transcript(*name_of(meeting, Settings()))
        if json:
            console.print_json(found.model_dump_json())
            return
        for segment in found.segments:
            print_segment(segment)


def lifecycle(meeting: MeetingArgument, json: JsonOption = False) -> None:
    """Print every state a meeting went through, when, and who moved it.

    Example: usher lifecycle room/weekly-sync
    """
    with speaking_plainly(), open_client() as client:
        history = client.events(newest(client, meeting).id)
        if json:
            console.print_json(history.model_dump_json())
        else:
            print_history(history)


def newest(client: Usher, meeting: str) -> MeetingBody:
    """Return the caller's newest visit to a meeting, or the one with that id."""
    if meeting.isdecimal():
        return client.meeting(int(meeting))
    platform, native_id = name_of(meeting, Settings())
    return client.meeting(client.transcript(platform, native_id).id)


def _follow(client: Usher, meeting: MeetingBody) -> None:
    """Print states and final segments as they come, each segment once."""
    printed: set[str] = set()
    for frame in client.follow(meeting.platform, meeting.native_meeting_id):
        if isinstance(frame, StatusFrame):
            console.print(f"[dim]{clock(frame.ts)} {frame.payload.status}[/dim]")
            if frame.payload.status in TERMINAL:
                return
        else:
            for segment in frame.payload.segments:
                _print_once(segment, printed)


def _print_once(segment: LiveSegment, printed: set[str]) -> None:
    if segment.completed and segment.segment_id not in printed:
        printed.add(segment.segment_id)
        print_segment(segment)
