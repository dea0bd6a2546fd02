"""The launcher that the settings ask for, opened: one function an engine, which imports what only that engine needs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

from usher.adapters.launchers.process import ProcessLauncher
from usher.ports import Launcher
from usher.settings import LauncherSettings, Settings

Opener: TypeAlias = Callable[[Settings, AsyncExitStack], Awaitable[Launcher]]


async def open_launcher(settings: Settings, stack: AsyncExitStack) -> Launcher:
    """Open the launcher; `stack` closes it.

    Raises:
        Invalid: What it needs is not installed or not set; the error says which.
    """
    return await _OPENERS[settings.launcher.kind](settings, stack)


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


_OPENERS: Mapping[str, Opener] = {"process": _open_process}
