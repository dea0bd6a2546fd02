"""`usher demo`: the whole system at work, in a minute and a half."""

import statistics

from usher.adapters.embedded.chromium import find_chromium
from usher.bootstrap.local import open_local
from usher.cli.output import clock, console, fail, print_history, print_segment, speaking_plainly
from usher.cli.services import run
from usher.demo.visit import MOST_WORD_ERRORS, Demo, Show, Visit
from usher.protocol.live import StatusFrame
from usher.settings import Settings


def demo() -> None:
    """Play the demo; exit code 0 only if it succeeded."""
    settings = Settings()
    settings = settings.model_copy(
        update={
            "api": settings.api.model_copy(update={"port": 0}),
            "bots": settings.bots.model_copy(update={"port": 0}),
            "log": settings.log.model_copy(update={"level": "error"}),
        }
    )
    visits: list[Visit] = []

    async def work() -> None:
        with speaking_plainly():
            chromium = find_chromium(settings.bots.chromium)
        async with open_local(settings, lambda step: _progress(f"starting {step}")) as local:
            show = Show(_progress, _state, print_segment)
            stage = Demo(
                local.url, local.api_key, chromium=chromium.path, sandbox=settings.bots.uses_sandbox, show=show
            )
            visits.append(await stage.perform())

    try:
        run(work(), settings)
    except TimeoutError:
        fail("Something took too long. `usher doctor` checks each part; the logs are in the data directory.")
    if not visits:
        fail("Stopped.")
    _report(visits[0])
    if not visits[0].succeeded:
        fail("The demo did not succeed; see above.")
    console.print("[bold green]The demo succeeded.[/bold green]")


def _progress(text: str) -> None:
    console.print(f"[dim]·[/dim] {text}")


def _state(frame: StatusFrame) -> None:
    console.print(f"[dim]{clock(frame.ts)}[/dim] meeting is [bold]{frame.payload.status}[/bold]")


def _report(visit: Visit) -> None:
    console.print("\n[bold]Stored transcript[/bold] (GET /transcripts/room/…)")
    for segment in visit.transcript.segments:
        print_segment(segment)
    console.print("\n[bold]Lifecycle[/bold] (GET /meetings/…/events)")
    print_history(visit.history)
    score = visit.score
    console.print("\n[bold]Result[/bold]")
    console.print(f"request to in-the-meeting: {visit.to_meeting_s:.1f} s (the lobby included)")
    if visit.delays_s:
        median = statistics.median(visit.delays_s)
        console.print(f"end of speech to final segment: median {median:.2f} s, most {max(visit.delays_s):.2f} s")
    console.print(f"word error rate: {score.word_error_rate:.3f} (at most {MOST_WORD_ERRORS})")
    console.print(f"speakers: {', '.join(sorted(score.speakers))}; segments under a wrong name: {score.misattributed}")
    console.print(f"totals: {visit.meeting.data.get('totals')}")
    if visit.missing_states:
        console.print(f"[red]states not reached: {', '.join(visit.missing_states)}[/red]")
