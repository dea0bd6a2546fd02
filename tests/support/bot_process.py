"""A bot as its launcher runs it: a process of its own, with its configuration in the environment."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

import usher
from usher.domain.meeting import Platform
from usher.protocol.bot import BotConfiguration, Patience
from usher.protocol.last_words import VARIABLE as LAST_WORDS

TOKEN = "ub1.7.test.0"
EXIT_S = 90.0


def configuration(
    *,
    manager_url: str,
    redis_url: str,
    transcription_url: str,
    meeting_url: str,
    chromium: Path | None,
    platform: Platform = Platform.ROOM,
    **patience: float,
) -> BotConfiguration:
    """What a bot under test is told."""
    return BotConfiguration(
        meeting_id=7,
        connection_id=str(uuid.uuid4()),
        attempt=1,
        platform=platform,
        native_meeting_id="standup",
        meeting_url=SecretStr(meeting_url),
        bot_name="Usher",
        token=SecretStr(TOKEN),
        manager_url=manager_url,
        redis_url=SecretStr(redis_url),
        transcription_url=transcription_url,
        chromium=chromium,
        sandbox=os.geteuid() != 0,
        patience=Patience(**{"heartbeat_s": 0.5, **patience}),
    )


@dataclass
class BotProcess:
    """A running bot.

    Attributes:
        family: Every process that belonged to it at some time it was looked at.
    """

    configuration: BotConfiguration
    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)
    family: set[psutil.Process] = field(default_factory=set)

    def look(self) -> list[psutil.Process]:
        """Its processes now, itself first."""
        with contextlib.suppress(psutil.Error):
            bot = psutil.Process(self.process.pid)
            self.family |= {bot, *bot.children(recursive=True)}
        return [process for process in self.family if process.is_running()]

    def browser_processes(self, kind: str) -> list[psutil.Process]:
        """Processes of its browser of a kind: "renderer", "gpu-process", …"""
        found = []
        for process in self.look():
            with contextlib.suppress(psutil.Error):
                if f"--type={kind}" in process.cmdline():
                    found.append(process)
        return found

    def named(self, name: str) -> list[psutil.Process]:
        """Its processes that run a program of that name."""
        return [process for process in self.look() if Path(process.exe()).name == name]

    def terminate(self) -> None:
        """Ask it to end, as launchers do."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()

    async def exit_code(self) -> int:
        """Wait until it has ended."""
        async with asyncio.timeout(EXIT_S):
            return await self.process.wait()

    def left_behind(self) -> list[str]:
        """Names of its processes that are still there."""
        alive = []
        for process in self.family:
            with contextlib.suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process.name())
        return alive

    def events(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log if line.startswith("{")]


@contextlib.asynccontextmanager
async def running_bot(told: BotConfiguration, last_words: Path | None = None) -> AsyncIterator[BotProcess]:
    """Start a bot, which may leave its last words in a file; it is killed in the end if it still runs."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        # The bot under test is the one of this tree, whatever is installed.
        "PYTHONPATH": str(Path(usher.__file__).parents[1]),
        **({} if last_words is None else {LAST_WORDS: str(last_words)}),
        **told.to_environment(),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "usher.cli.bot",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    bot = BotProcess(told, process)
    reading = asyncio.create_task(_read(bot))
    try:
        yield bot
    finally:
        for alive in bot.look():
            with contextlib.suppress(psutil.Error):
                if alive.pid != os.getpid() and process.returncode is None:
                    alive.kill()
        await process.wait()
        await reading


async def _read(bot: BotProcess) -> None:
    assert bot.process.stderr is not None
    async for line in bot.process.stderr:
        bot.log.append(line.decode(errors="replace").rstrip())
