"""The `usher` command.

Commands of users load little and answer at once; what operators run is loaded when it is asked for.
"""

from typing import Annotated

import typer

from usher import __version__
from usher.cli import bots, meetings, recordings, seen

app = typer.Typer(
    name="usher",
    help="Self-hosted meeting bots. Begin with `usher up`, then `usher join URL`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_USER_COMMANDS = (
    bots.join,
    bots.leave,
    bots.status,
    bots.transcript,
    bots.lifecycle,
    seen.chat,
    seen.say,
    seen.evidence,
    recordings.recordings,
    meetings.meetings,
    meetings.describe,
    meetings.share,
    meetings.delete,
)
for user_command in _USER_COMMANDS:
    app.command()(user_command)


@app.command()
def up() -> None:
    """Run the whole system on this machine until Ctrl-C: databases, speech service, manager.

    Example: usher up      (another port: USHER_API__PORT=9000 usher up)
    """
    from usher.cli import local_system

    local_system.up()


@app.command()
def serve(
    role: Annotated[
        str, typer.Option(help="Comma-separated: api, dispatch, reconcile, collect.")
    ] = "api,dispatch,reconcile,collect",
) -> None:
    """Run the Bot Manager against a PostgreSQL and a Redis of your own. Any number may run at once.

    Example: USHER_DATABASE__DSN=… USHER_REDIS__URL=… USHER_SECRET=… usher serve --role api,dispatch
    """
    from usher.cli import services

    services.serve(role)


@app.command()
def transcribe() -> None:
    """Run the speech service: a WhisperLive server that schedules all streams together.

    Example: USHER_TRANSCRIPTION__MODEL=/models/faster-whisper-base usher transcribe
    """
    from usher.cli import speech_command

    speech_command.transcribe()


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to repeat, and with the previous version still running.

    Example: USHER_DATABASE__DSN=postgresql://… usher migrate
    """
    from usher.cli import services

    services.migrate()


@app.command()
def doctor(
    platform: Annotated[str, typer.Option(help="Try this platform instead: google_meet, teams, zoom, room.")] = "",
    url: Annotated[str, typer.Option(help="With --platform: the address of a meeting of yours.")] = "",
    wait: Annotated[float, typer.Option(help="With --platform: seconds that you have to let the guest in.")] = 120.0,
    show: Annotated[bool, typer.Option(help="With --platform: show the browser.")] = False,
) -> None:
    """Try out Chromium, the speech model, database, Redis and audio capture, and say what to do about each.

    With --platform it goes into a meeting as a bot would and says which steps hold; without --url, into a replica.

    Example: usher doctor --platform google_meet --url https://meet.google.com/abc-defg-hij
    """
    from usher.cli import checks

    if platform:
        checks.doctor_of_platform(platform, url, wait_s=wait, show=show)
    else:
        checks.doctor()


@app.command()
def demo() -> None:
    """Play a meeting: two people talk, a bot listens, and what it heard is compared with what was said.

    Exit code 0 only if every state was reached, the word error rate is low and every speaker is named right.

    Example: usher demo
    """
    from usher.cli import demo as performance

    performance.demo()


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
