"""A small installation of its own for one story: managers, bots, Redis, a database, a user."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from tests.support.chaos_caller import Caller
from tests.support.chaos_lives import Lives
from tests.support.chaos_managers import Manager, born
from tests.support.chaos_nursery import Birth
from tests.support.tcp_proxy import LOOPBACK, TcpProxy

from usher.adapters.embedded.ports import free_port
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.launchers.process import ProcessLauncher
from usher.adapters.postgres.store import PostgresStore
from usher.api.keys import digest, new_key
from usher.settings import LifecycleSettings, bare_environment

SECRET = "secret of an installation that is thrown away"
LIMIT = 8
PACE = LifecycleSettings(
    max_attempts=4,
    start_timeout_s=40.0,
    join_timeout_s=40.0,
    admission_timeout_s=40.0,
    max_duration_s=300.0,
    reconfigure_timeout_s=20.0,
    leave_grace_s=6.0,
    heartbeat_s=0.5,
    lease_s=6.0,
)
"""Quick where nothing depends on the machine, generous where it might be slow."""

_GIVE_UP_S = 90.0
_LOOK_S = 0.15


@dataclass
class World:
    """The installation.

    Attributes:
        directory: Of everything in it.
        store: For looking at the database, past all proxies.
        dsn: Of the database, past all proxies.
        redis: Its Redis.
        front: What the user and the bots speak to; hands on to whichever manager answers.
        environment: Of managers.
        managers: All that were started, in order.
        outages: Spans in which nobody could act, in seconds since the epoch by the database's clock.
    """

    name: str
    directory: Path
    nursery: Path
    store: PostgresStore
    dsn: str
    redis: EmbeddedRedis
    front: TcpProxy
    environment: Mapping[str, str]
    caller: Caller
    lives: Lives
    user_id: int
    pace: LifecycleSettings
    stack: AsyncExitStack
    managers: list[Manager] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)

    @property
    def workloads(self) -> Path:
        """Directory of the launcher."""
        return self.directory / "usher" / "bots"

    @property
    def diaries(self) -> Path:
        """Directory of what bots note."""
        return self.directory / "diaries"

    def launcher(self) -> ProcessLauncher:
        """Return a launcher that sees what the managers' launchers see."""
        return ProcessLauncher(self.workloads, ("true",))

    async def manager(self, *arguments: str, afresh: bool = False, **variables: str) -> Manager:
        """Start a manager and wait until it serves.

        Args:
            arguments: Of `chaos_manager`.
            afresh: In a Python of its own.
            variables: Settings that differ from the other managers'.
        """
        port = free_port()
        name = f"manager-{len(self.managers) + 1}"
        environment = {**self.environment, "USHER_API__PORT": str(port), **variables}
        birth = Birth(arguments, environment, str(self.directory / f"{name}.log"), afresh=afresh)
        manager = await self.stack.enter_async_context(born(self.nursery, name, birth, port))
        self.managers.append(manager)
        self.front.upstreams.append(port)
        await manager.is_up()
        return manager

    async def rows(self, sql: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """Ask the database, again and again while it is away."""
        async with asyncio.timeout(_GIVE_UP_S):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection = await asyncpg.connect(self.dsn, timeout=5.0, command_timeout=10.0)
                    try:
                        return await connection.fetch(sql, *arguments)
                    finally:
                        await connection.close(timeout=5.0)
                await asyncio.sleep(_LOOK_S)

    async def now_s(self) -> float:
        """Return the time by the database's clock, in seconds since the epoch."""
        ((now_s,),) = await self.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(now_s)

    async def until(self, meeting_id: int, *states: str, timeout_s: float = _GIVE_UP_S) -> str:
        """Wait until a meeting is in one of the states, and return which."""
        last = ""
        async with asyncio.timeout(timeout_s):
            while True:
                ((last,),) = await self.rows("SELECT status FROM meetings WHERE id = $1", meeting_id)
                if last in states:
                    return last
                await asyncio.sleep(_LOOK_S)

    async def wait(self, condition: Callable[[], bool], *, timeout_s: float = _GIVE_UP_S) -> None:
        """Wait for something that needs no question to the database."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(_LOOK_S)

    def bot_pid(self, meeting_id: int, attempt: int = 1) -> int | None:
        """Return the process of a bot; None if it does not run (yet)."""
        shim_and_bot = self.lives.pids(f"usher-{meeting_id}-{attempt}")
        return shim_and_bot[-1] if len(shim_and_bot) > 1 else None


def _environment(directory: Path, dsn: str, redis_url: str, bots_redis_url: str, front_port: int) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.support.chaos_bot", str(directory / "diaries")]
    pace = {f"USHER_LIFECYCLE__{key.upper()}": str(value) for key, value in PACE.model_dump().items()}
    quoted = ", ".join(f'"{part}"' for part in command)
    return bare_environment() | pace | {
        "USHER_DATABASE__DSN": dsn,
        "USHER_DATABASE__POOL_SIZE": "6",
        "USHER_DATABASE__TIMEOUT_S": "5",
        "USHER_REDIS__URL": redis_url,
        "USHER_REDIS__BOT_URL": bots_redis_url,
        "USHER_SECRET": SECRET,
        "USHER_DATA_DIR": str(directory / "usher"),
        "USHER_BOTS__MANAGER_URL": f"http://{LOOPBACK}:{front_port}",
        "USHER_LAUNCHER__COMMAND": f"[{quoted}]",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
