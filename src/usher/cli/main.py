"""The `usher` command."""

import typer

from usher import __version__
from usher.cli import bots, checks, demo, services

app = typer.Typer(
    name="usher",
    help="Self-hosted meeting bots. Begin with `usher up`, then `usher join URL`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for user_command in (bots.join, bots.leave, bots.status, bots.transcript, bots.lifecycle):
    app.command()(user_command)
for operator_command in (services.up, services.serve, services.transcribe, services.migrate, checks.doctor, demo.demo):
    app.command()(operator_command)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
