"""Commands of operators: up, serve, transcribe, migrate."""

import asyncio
import json
from collections.abc import Coroutine

import uvloop

from usher.adapters.postgres.migrate import migrate as migrate_database
from usher.bootstrap.http import listen
from usher.bootstrap.local import Local, open_local
from usher.bootstrap.signals import run_until_signal
from usher.bootstrap.system import Role, open_system
from usher.cli.output import console, fail, speaking_plainly
from usher.cli.speech import serve_speech
from usher.domain.errors import Unavailable
from usher.settings import Settings
from usher.telemetry import configure_logging


def run(work: Coroutine[object, object, None], settings: Settings) -> None:
    """Run a command's work until it ends or a signal comes."""
    configure_logging(settings.log.level, settings.log.format)

    async def main() -> None:
        await run_until_signal(asyncio.ensure_future(work))

    with speaking_plainly():
        uvloop.run(main())


def up() -> None:
    """Run the whole system on this machine until a signal comes."""
    settings = Settings()

    async def work() -> None:
        async with open_local(settings, lambda step: console.print(f"[dim]starting[/dim] {step} …")) as local:
            _welcome(local)
            raise Unavailable(await local.broken)

    run(work(), settings)
    console.print("Everything has stopped.")


def _welcome(local: Local) -> None:
    body = json.dumps({"meeting_url": f"{local.url}/room/first"})
    console.print(f"\n[bold green]Usher is up[/bold green] at [bold]{local.url}[/bold]  (API described at /docs)")
    console.print(f"API key: {local.api_key}\n")
    console.print(f"Open a meeting in your browser: {local.url}/room/first")
    console.print("Send the first bot, and read what it hears:\n")
    header = f"-H 'X-API-Key: {local.api_key}'"
    console.print(f"  curl -s {local.url}/bots {header} -H 'Content-Type: application/json' -d '{body}'", markup=False)
    console.print(f"  curl -s {local.url}/transcripts/room/first {header}\n", markup=False)
    console.print("Ctrl-C stops everything.")


def serve(role: str) -> None:
    """Run the manager's roles, a comma-separated list, until a signal comes."""
    settings = Settings()
    roles = _roles(role)

    async def work() -> None:
        serves = Role.API in roles
        listener = listen(settings.api.host, settings.api.port) if serves else None
        host, port = settings.bots.host, settings.bots.port
        bots_listener = listen(host, port, "USHER_BOTS__PORT") if serves and host is not None else None
        async with open_system(settings, roles) as system:
            await system.run(listener, bots_listener)

    run(work(), settings)


def transcribe() -> None:
    """Run the speech service until a signal comes."""
    settings = Settings()
    run(serve_speech(settings), settings)


def migrate() -> None:
    """Bring the database to this version's schema."""
    settings = Settings()
    if settings.database.dsn is None:
        fail("Set USHER_DATABASE__DSN.")
    run(migrate_database(settings.database.dsn.get_secret_value()), settings)


def _roles(text: str) -> tuple[Role, ...]:
    try:
        return tuple(Role(name.strip()) for name in text.split(","))
    except ValueError as error:
        fail(f"{error}. The roles are: {', '.join(Role)}.")
