"""Which launcher the settings make, and what bots are given with it."""

from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr, ValidationError
from tests.support.world import World

from usher.adapters.launchers.docker.launcher import DockerLauncher
from usher.adapters.launchers.kubernetes.launcher import KubernetesLauncher
from usher.adapters.launchers.nomad.launcher import NomadLauncher
from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.bootstrap.launchers import bots_host, open_launcher
from usher.bootstrap.workload import Specifier
from usher.domain.errors import Invalid
from usher.ports import WorkloadSpec
from usher.protocol.bot import VARIABLE, BotConfiguration
from usher.protocol.credentials import BotCredentials
from usher.settings import ApiSettings, BotSettings, LauncherSettings, NomadSettings, RedisSettings, Settings


@pytest.mark.parametrize(
    ("kind", "launcher"),
    [
        ("process", ProcessLauncher),
        ("docker", DockerLauncher),
        ("nomad", NomadLauncher),
        ("kubernetes", KubernetesLauncher),
    ],
)
async def test_one_word_in_the_environment_names_the_launcher(
    kind: str, launcher: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening connects to nothing: a manager starts while its engine is away."""
    monkeypatch.setenv("USHER_LAUNCHER", kind)
    monkeypatch.setenv("USHER_LAUNCHER__INSTALLATION", "blue")
    settings = Settings(data_dir=tmp_path)
    assert settings.launcher.installation == "blue"
    async with AsyncExitStack() as stack:
        assert isinstance(await open_launcher(settings, stack), launcher)


def test_a_launcher_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_LAUNCHER", "dokcer")
    with pytest.raises(ValidationError, match="'process', 'docker', 'nomad' or 'kubernetes'"):
        Settings()


async def test_where_bots_share_the_loopback_they_need_no_address_of_their_own() -> None:
    assert await bots_host(Settings()) is None
    raw = LauncherSettings(kind="nomad", nomad=NomadSettings(driver="raw_exec"))
    assert await bots_host(Settings(launcher=raw)) is None


@pytest.mark.parametrize("kind", ["nomad", "kubernetes"])
async def test_where_nobody_can_know_the_address_it_has_to_be_set(kind: str) -> None:
    settings = Settings(launcher=LauncherSettings.model_validate({"kind": kind}))
    with pytest.raises(Invalid, match="USHER_BOTS__HOST"):
        await bots_host(settings)


def test_the_browsers_own_sandbox_is_on_where_the_launcher_lets_it() -> None:
    def uses(kind: str, *, sandbox: bool | None = None) -> bool:
        launcher = LauncherSettings.model_validate({"kind": kind})
        return Settings(launcher=launcher, bots=BotSettings(sandbox=sandbox)).bots_use_sandbox

    assert (uses("docker"), uses("nomad"), uses("kubernetes")) == (True, False, False)
    assert (uses("docker", sandbox=False), uses("kubernetes", sandbox=True)) == (False, True)


async def specified(kind: str, meeting_url: str | None = None) -> WorkloadSpec:
    world = World()
    meeting = await world.send_bot()
    public = "{0.scheme}://{0.netloc}".format(urlsplit(meeting_url or meeting.ref.url))
    settings = Settings(
        launcher=LauncherSettings.model_validate({"kind": kind}),
        api=ApiSettings(public_url=public),
        bots=BotSettings(host="172.30.0.1", port=8057),
        redis=RedisSettings(url=SecretStr("redis://default:all@127.0.0.1:1/0"), bot_url="redis://172.30.0.1:1/0"),
    )
    return Specifier(settings, BotCredentials(b"secret" * 8))(meeting)


async def test_a_bot_with_an_image_gets_nothing_of_this_machine() -> None:
    assert (await specified("docker")).environment.keys() == {VARIABLE}
    assert "PATH" in (await specified("process")).environment


async def test_a_bot_reaches_everything_by_the_door_that_is_for_bots_our_rooms_included() -> None:
    document = (await specified("docker")).environment[VARIABLE]
    told = BotConfiguration.model_validate_json(document)
    assert told.manager_url == "http://172.30.0.1:8057"
    assert told.meeting_url.get_secret_value().startswith("http://172.30.0.1:8057/room/")
    assert told.redis_url.get_secret_value().endswith("@172.30.0.1:1/0")


async def test_an_address_that_is_not_ours_stays_as_it_is() -> None:
    told = BotConfiguration.model_validate_json((await specified("docker", "https://elsewhere")).environment[VARIABLE])
    assert not told.meeting_url.get_secret_value().startswith("http://172.30.0.1")
