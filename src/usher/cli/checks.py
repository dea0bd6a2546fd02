"""`usher doctor`: wires the checks to the settings."""

import asyncio

import typer
from pydantic import SecretStr

from usher.cli.doctor import DoctorSettings, Finding, render, run_checks
from usher.cli.output import console
from usher.settings import Settings


def doctor() -> None:
    """Try out every part and print what was found."""
    settings = Settings()
    wanted = DoctorSettings(
        data_dir=settings.data_dir,
        chromium=settings.bots.chromium,
        model=settings.transcription.model,
        dsn=_revealed(settings.database.dsn),
        redis_url=_revealed(settings.redis.url),
        ports=(settings.api.port,),
        sandbox=settings.bots.uses_sandbox,
    )
    findings = asyncio.run(_collect(wanted))
    console.print(render(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


async def _collect(settings: DoctorSettings) -> list[Finding]:
    return [finding async for finding in run_checks(settings)]


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
