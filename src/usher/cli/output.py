"""How the command line speaks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table

from usher.client import ApiError
from usher.domain.errors import LaunchRejected, Rejected, Unavailable
from usher.protocol.live import LiveSegment
from usher.protocol.rest import EventList, MeetingBody, TranscriptSegment

_PIPE_WIDTH = 160

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Print what went wrong and what to do, and end with exit code 1."""
    errors.print(f"[red]usher:[/red] {message}")
    raise typer.Exit(1)


@contextmanager
def speaking_plainly() -> Iterator[None]:
    """Turn expected errors into one plain sentence and exit code 1."""
    try:
        yield
    except ApiError as error:
        fail(error.detail)
    except (Rejected, Unavailable) as error:
        fail(error.detail)
    except LaunchRejected as error:
        fail(str(error))


def print_meeting(meeting: MeetingBody) -> None:
    """Print a meeting in one line."""
    reason = f" ({meeting.reason})" if meeting.reason else ""
    console.print(
        f"meeting {meeting.id}  {meeting.platform}/{meeting.native_meeting_id}  [bold]{meeting.status}[/bold]{reason}"
    )


def print_meetings(meetings: list[MeetingBody]) -> None:
    """Print meetings as a table."""
    table = Table("id", "platform", "meeting", "state", "reason", "attempt", "since", box=None)
    for meeting in meetings:
        call = meeting.native_meeting_id or "(deleted)"
        cells = (str(meeting.id), meeting.platform, call, meeting.status, meeting.reason or "")
        table.add_row(*cells, str(meeting.attempt), clock(meeting.updated_at))
    console.print(table)


def print_history(history: EventList) -> None:
    """Print every state a meeting went through, when, and who moved it."""
    table = Table("time", "state", "event", "by", "attempt", "reason", "detail", box=None)
    for event in history.events:
        cells = (clock(event.at), event.to_state, event.event, event.by, str(event.attempt), event.reason or "")
        table.add_row(*cells, event.detail[:80])
    console.print(table)


def print_segment(segment: TranscriptSegment | LiveSegment) -> None:
    """Print one segment: when, who, what."""
    when = clock(segment.absolute_start_time)
    console.print(f"[dim]{when}[/dim] [cyan]{segment.speaker or '?'}[/cyan]: ", end="")
    console.print(segment.text, markup=False)


def clock(moment: datetime) -> str:
    """Return the time of day, UTC, with tenths of a second."""
    return moment.strftime("%H:%M:%S.") + str(moment.microsecond // 100_000)
