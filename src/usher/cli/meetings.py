"""Commands of users about past meetings: meetings, describe, share, delete."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from usher.cli.bots import JsonOption, MeetingArgument, newest
from usher.cli.connection import name_of, open_client
from usher.cli.output import console, fail, speaking_plainly
from usher.cli.seen import plain
from usher.client import Usher
from usher.domain.lifecycle import State
from usher.domain.meeting import Platform
from usher.protocol.rest import MeetingBody
from usher.settings import Settings

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_DAY_S = 24 * 3600


def meetings(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    platform: Annotated[Platform | None, typer.Option(help="Only those on it.")] = None,
    status: Annotated[State | None, typer.Option(help="Only those in that state.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_DATES, help="Only those asked for then or later, UTC.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DATES, help="Only those asked for before, UTC.")] = None,
    json: JsonOption = False,
) -> None:
    """List your meetings, newest first.

    Example: usher meetings --status failed --since 2026-05-01
    """
    with speaking_plainly(), open_client() as client:
        found = client.meetings(limit=limit, platform=platform, status=status, since=_utc(since), until=_utc(until))
        if json:
            console.print_json(data=[meeting.model_dump(mode="json") for meeting in found])
        else:
            _print(found)


def describe(
    meeting: MeetingArgument,
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    notes: Annotated[str | None, typer.Option(help="What to remember of it.")] = None,
    participant: Annotated[list[str] | None, typer.Option(help="Who was there; may be repeated.")] = None,
    json: JsonOption = False,
) -> None:
    """Say what a meeting was about; what is not given stays as it is.

    Example: usher describe 12 --name "Weekly sync" --participant Ann --participant Ben
    """
    given: dict[str, str | list[str] | None] = {"name": name, "notes": notes, "participants": participant or None}
    data = {key: value for key, value in given.items() if value is not None}
    with speaking_plainly(), open_client() as client:
        described = client.describe_meeting(newest(client, meeting).id, **data)
        if json:
            console.print_json(described.model_dump_json())
        else:
            _print([described])


def share(
    meeting: MeetingArgument,
    days: Annotated[float, typer.Option(min=0.001, max=365, help="For how long the link is good.")] = 7.0,
    json: JsonOption = False,
) -> None:
    """Make a link to a transcript: whoever has it reads the transcript, without a key.

    Example: usher share 12 --days 1
    """
    with speaking_plainly(), open_client() as client:
        made = client.share_transcript(newest(client, meeting).id, expires_in_s=max(60, round(days * _DAY_S)))
        if json:
            console.print_json(made.model_dump_json())
        else:
            console.print(f"{client.url}{made.path}\ngood until {made.expires_at:%Y-%m-%d %H:%M} UTC", markup=False)


def delete(
    meeting: MeetingArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a meeting for good: transcript, chat, evidence, recordings and links.

    Example: usher delete 12
    """
    with speaking_plainly(), open_client() as client:
        found = _only(client, meeting)
        what = f"meeting {found.id} ({found.platform}/{found.native_meeting_id}, {found.created_at:%Y-%m-%d %H:%M} UTC)"
        if not yes and not typer.confirm(f"Delete {what} for good?"):
            fail("nothing was deleted")
        client.delete_meeting(found.id)
        console.print(f"deleted {what}", markup=False)


def _only(client: Usher, meeting: str) -> MeetingBody:
    """Return a meeting that is named without doubt: what is deleted does not come back."""
    if not meeting.isdecimal():
        platform, native_id = name_of(meeting, Settings())
        visits = client.meetings(limit=2, platform=platform, native_meeting_id=native_id)
        if len(visits) > 1:
            fail(f"you have several meetings {meeting}; name one by its number: usher meetings")
    return newest(client, meeting)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _print(found: list[MeetingBody]) -> None:
    table = Table("id", "asked for", "platform", "meeting", "state", "reason", "name", "words", box=None)
    for meeting in found:
        when = f"{meeting.created_at:%Y-%m-%d %H:%M}"
        name = Text(plain(str(meeting.data.get("name") or "")))
        totals = meeting.data.get("totals")
        words = str(totals.get("words", "")) if isinstance(totals, dict) else ""
        call = Text(meeting.native_meeting_id or "(deleted)")
        cells = (str(meeting.id), when, meeting.platform, call, meeting.status, meeting.reason or "")
        table.add_row(*cells, name, words)
    console.print(table)
