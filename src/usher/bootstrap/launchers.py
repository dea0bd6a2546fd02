"""The launcher that the settings ask for, opened: one function an engine, which imports what only that engine needs."""

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.domain.errors import Invalid
from usher.ports import Launcher
from usher.settings import LauncherSettings, Settings

if TYPE_CHECKING:
    from usher.adapters.launchers.docker.launcher import DockerLauncher

Opener: TypeAlias = Callable[[Settings, AsyncExitStack], Awaitable[Launcher]]


async def open_launcher(settings: Settings, stack: AsyncExitStack) -> Launcher:
    """Open the launcher; `stack` closes it.

    Raises:
        Invalid: What it needs is not installed or not set; the error says which.
    """
    return await _OPENERS[settings.launcher.kind](settings, stack)


async def bots_host(settings: Settings) -> str | None:
    """Return the address of this machine at which bots reach it; None if they share its loopback.

    Raises:
        Invalid: It has to be set, as nobody can know it.
        Unavailable: The engine does not answer.
    """
    find = _BOTS_HOSTS.get(settings.launcher.kind)
    return None if find is None else await find(settings)


async def stop_all(launcher: Launcher, *, grace_s: float) -> None:
    """End every workload of the installation at once."""
    if isinstance(launcher, ProcessLauncher):
        await launcher.stop_all(grace_s=grace_s)  # those that are not on record any more included
        return
    names = await launcher.list() or ()
    await asyncio.gather(*(launcher.stop(name, grace_s=grace_s) for name in names))


def bot_command(settings: LauncherSettings) -> Sequence[str]:
    """Return what runs a bot on this machine."""
    return settings.command or (sys.executable, "-m", "usher.cli.bot")


async def _open_process(settings: Settings, _: AsyncExitStack) -> Launcher:
    return ProcessLauncher(settings.data_dir / "bots", bot_command(settings.launcher))


async def _open_docker(settings: Settings, stack: AsyncExitStack) -> Launcher:
    launcher = _docker(settings)
    stack.push_async_callback(launcher.aclose)
    return launcher


async def _docker_host(settings: Settings) -> str:
    launcher = _docker(settings)
    try:
        return await launcher.gateway()
    finally:
        await launcher.aclose()


def _docker(settings: Settings) -> "DockerLauncher":
    with _installed("docker"):
        from usher.adapters.launchers.docker.container import DockerOptions
        from usher.adapters.launchers.docker.launcher import DockerLauncher
    wanted = settings.launcher.docker
    options = DockerOptions(**wanted.model_dump(exclude={"hosts"}), **_common(settings))
    return DockerLauncher(wanted.hosts, options)


async def _open_nomad(settings: Settings, stack: AsyncExitStack) -> Launcher:
    from usher.adapters.launchers.nomad.job import NomadOptions
    from usher.adapters.launchers.nomad.launcher import NomadLauncher

    wanted, common = settings.launcher.nomad, _common(settings)
    command = settings.launcher.command or () if settings.launcher.has_image else bot_command(settings.launcher)
    common["command"] = tuple(command)
    token = wanted.token.get_secret_value() if wanted.token else None
    launcher = NomadLauncher(NomadOptions(**wanted.model_dump(exclude={"token"}), token=token, **common))
    stack.push_async_callback(launcher.aclose)
    return launcher


async def _open_kubernetes(settings: Settings, stack: AsyncExitStack) -> Launcher:
    with _installed("kubernetes"):
        from usher.adapters.launchers.kubernetes.launcher import KubernetesLauncher
        from usher.adapters.launchers.kubernetes.pod import KubernetesOptions
    grace_s = math.ceil(settings.lifecycle.policy().kill_grace_s)
    wanted = settings.launcher.kubernetes
    launcher = KubernetesLauncher(KubernetesOptions(**wanted.model_dump(), grace_s=grace_s, **_common(settings)))
    stack.push_async_callback(launcher.aclose)
    return launcher


def _common(settings: Settings) -> dict[str, Any]:
    """Return what every engine is told; what else it is told has the names of its settings."""
    return {"installation": settings.launcher.installation, "command": settings.launcher.command}


async def _set_host(settings: Settings) -> str | None:
    """Return that bots share the loopback, as they do only where they bring no image.

    Raises:
        Invalid: They do not, and nobody can know which address they reach.
    """
    if settings.launcher.has_image:
        raise Invalid("missing_setting", "Set USHER_BOTS__HOST to the address of this machine that bots reach.")
    return None


@contextmanager
def _installed(extra: str) -> Iterator[None]:
    """Say what to install, should a package of an engine be missing."""
    try:
        yield
    except ImportError as error:
        raise Invalid(
            "missing_package", f"The launcher {extra} needs more: pip install 'usher-bots[{extra}]' ({error})."
        ) from error


_OPENERS: Mapping[str, Opener] = {
    "process": _open_process,
    "docker": _open_docker,
    "nomad": _open_nomad,
    "kubernetes": _open_kubernetes,
}
_BOTS_HOSTS: Mapping[str, Callable[[Settings], Awaitable[str | None]]] = {
    "docker": _docker_host,
    "nomad": _set_host,
    "kubernetes": _set_host,
}
