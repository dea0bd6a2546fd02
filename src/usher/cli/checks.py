"""`usher doctor`: wires the checks to the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import typer
from pydantic import SecretStr

from usher.adapters.embedded.chromium import find_chromium
from usher.bootstrap.addresses import homes
from usher.cli.doctor import DoctorSettings, Finding, render, run_checks
from usher.cli.doctor.platform import Trial, try_platform
from usher.cli.doctor.replica import open_replica
from usher.cli.output import console
from usher.cli.speech_settings import remote_config
from usher.domain.errors import Invalid, UsherError
from usher.domain.meeting import Platform, meeting_from_url, parse_platform
from usher.settings import Settings


def doctor_of_platform(platform: str, url: str, *, wait_s: float, show: bool) -> None:
    """Go into a meeting, or into a replica, as a bot would and print which steps hold."""
    try:
        findings = asyncio.run(_try(parse_platform(platform), url, wait_s=wait_s, show=show))
    except UsherError as error:
        findings = [Finding.of_error("meeting", error)]
    _conclude(findings)


async def _try(platform: Platform, url: str, *, wait_s: float, show: bool) -> list[Finding]:
    async with AsyncExitStack() as stack:
        settings = Settings()
        chromium = find_chromium(settings.bots.chromium).path
        if not url:
            replica = await stack.enter_async_context(open_replica(platform))
            url, chromium = replica.url, replica.browser
        meeting = meeting_from_url(url, homes=homes(settings))
        if meeting.platform is not platform:
            raise Invalid("other_platform", f"That is a meeting on {meeting.platform}. Give --platform so.")
        trial = Trial(meeting, chromium, headless=not show, sandbox=settings.bots.uses_sandbox, admission_s=wait_s)
        return await _collect(try_platform(trial))


def doctor() -> None:
    """Try out every part and print what was found."""
    settings = Settings()
    wanted = DoctorSettings(
        data_dir=settings.data_dir,
        chromium=settings.bots.chromium,
        model=settings.transcription.model,
        remote_speech=remote_config(settings.transcription),
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
