"""`usher doctor`: wires the checks to the settings."""

import asyncio
from collections.abc import AsyncIterator

import typer
from pydantic import SecretStr

from usher.adapters.embedded.chromium import find_chromium
from usher.bootstrap.addresses import homes
from usher.cli.doctor import DoctorSettings, Finding, render, run_checks
from usher.cli.doctor.platform import Trial, try_platform
from usher.cli.output import console
from usher.domain.errors import Invalid, UsherError
from usher.domain.meeting import meeting_from_url, parse_platform
from usher.settings import Settings


def doctor_of_platform(platform: str, url: str, *, wait_s: float, show: bool) -> None:
    """Go into a meeting as a bot would and print which steps hold."""
    settings = Settings()
    try:
        meeting = meeting_from_url(url, homes=homes(settings))
        if meeting.platform is not parse_platform(platform):
            raise Invalid("other_platform", f"That is the address of a {meeting.platform} meeting. Give --platform so.")
        chromium = find_chromium(settings.bots.chromium).path
    except UsherError as error:
        console.print(render([Finding.of_error("address", error)]))
        raise typer.Exit(1) from error
    trial = Trial(meeting, chromium, headless=not show, sandbox=settings.bots.uses_sandbox, admission_s=wait_s)
    _conclude(asyncio.run(_collect(try_platform(trial))))


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
    _conclude(asyncio.run(_collect(run_checks(wanted))))


def _conclude(findings: list[Finding]) -> None:
    console.print(render(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


async def _collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
