"""Commands of operators: serve and migrate. They load no embedded server and no speech model."""

import asyncio
from collections.abc import Coroutine

import uvloop

from usher.adapters.postgres.migrate import migrate as migrate_database
from usher.bootstrap.http import listen
from usher.bootstrap.signals import run_until_signal
from usher.bootstrap.system import Role, open_system
from usher.cli.output import fail, speaking_plainly
from usher.settings import Settings
from usher.telemetry import configure_logging


def run(work: Coroutine[object, object, None], settings: Settings) -> None:
    """Run a command's work until it ends or a signal comes."""
    configure_logging(settings.log.level, settings.log.format)

    async def main() -> None:
        await run_until_signal(asyncio.ensure_future(work))

    with speaking_plainly():
        uvloop.run(main())


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
