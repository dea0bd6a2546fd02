"""The checks, one after the other."""

from collections.abc import AsyncIterator

from usher.cli.doctor.browser import check_browser
from usher.cli.doctor.finding import DoctorSettings, Finding
from usher.cli.doctor.machine import check_disk, check_memory, check_ports
from usher.cli.doctor.servers import check_database, check_redis
from usher.cli.doctor.speech import check_remote_speech, check_speech


async def run_checks(settings: DoctorSettings) -> AsyncIterator[Finding]:
    """Yield findings as they come; each check has its own time limit, and a broken one does not stop the others."""
    yield check_disk(settings.data_dir)
    yield check_memory()
    for port in settings.ports:
        yield check_ports(port)
    yield await check_database(settings.dsn)
    yield await check_redis(settings.redis_url)
    async for finding in check_browser(settings.chromium, settings.sandbox):
        yield finding
    if settings.remote_speech:
        yield await check_remote_speech(settings.remote_speech)
    else:
        yield await check_speech(settings.model, settings.data_dir / "models")
