"""A small installation of its own for one story: managers, bots, Redis, a database, a user."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from tests.support.chaos_burglar import Burglar
from tests.support.chaos_caller import Caller
from tests.support.chaos_gauges import Gauges, Server, SocketTable
from tests.support.chaos_inbox import Inbox
from tests.support.chaos_lives import Lives, ProcessTable
from tests.support.chaos_managers import Manager, born
from tests.support.chaos_nursery import Birth
from tests.support.chaos_witness import as_holder, call_witness
from tests.support.tcp_proxy import LOOPBACK, TcpProxy

from usher.adapters.embedded.ports import free_port
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.adapters.postgres.store import PostgresStore
from usher.api.keys import digest, new_key
from usher.ports import Webhook
from usher.protocol.webhooks import new_secret
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

_POOL = 6
_POSTGRES = Server("PostgreSQL", 2 * _POOL)
"""Each connection of the pool, and beside each the one that asks for its statement to be cancelled."""
_REDIS = Server("Redis", 32)

_CALLED_FOR = (None, 0, -signal.SIGKILL)
_PROCESSES, _SOCKETS = ProcessTable(), SocketTable()
_GIVE_UP_S = 90.0
_LOOK_S = 0.15
_ASK_S = 10.0


@dataclass(frozen=True, slots=True)
class Links:
    """The proxies on the ways between the parts."""

    front: TcpProxy
    postgres: TcpProxy
    redis: TcpProxy
    bots_redis: TcpProxy


@dataclass
class World:
    """The installation.

    Attributes:
        directory: Of everything in it.
        nursery: Address of the nursery of managers.
        store: For looking at the database, past all proxies.
        links: What can be disturbed. The user and the bots speak to whichever manager `front` finds.
        inbox: Where the user's webhook leads.
        caller: The user, who watches every meeting live.
        lives: What runs.
        gauges: How many connections managers have.
        burglar: Tries bots' credentials on what is not theirs.
        environment: Of managers.
        managers: All that were started, in order.
        outages: Spans in which nobody could act, in seconds since the epoch by the database's clock.
        watchers: What notes evidence while the story goes on.
    """

    directory: Path
    nursery: Path
    pool: "asyncpg.Pool[asyncpg.Record]"
    store: PostgresStore
    redis: EmbeddedRedis
    links: Links
    inbox: Inbox
    environment: Mapping[str, str]
    caller: Caller
    user_id: int
    pace: LifecycleSettings
    lives: Lives
    gauges: Gauges
    burglar: Burglar
    managers: list[Manager] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    watchers: list[asyncio.Task[None]] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def diaries(self) -> Path:
        """Directory of what bots note."""
        return self.directory / "diaries"

    @property
    def launcher(self) -> ProcessLauncher:
        """A launcher that sees what the managers' launchers see."""
        return ProcessLauncher(self.directory / "usher" / "bots", ("true",))

    async def manager(self, *arguments: str, afresh: bool = False, serves: bool = True, **variables: str) -> Manager:
        """Start a manager and wait until it serves.

        Args:
            arguments: Of `chaos_manager`.
            afresh: In a Python of its own.
            serves: Whether it has the API.
            variables: Settings that differ from the other managers'.
        """
        port, name = free_port(), f"manager-{len(self.managers) + 1}"
        dsn = as_holder(self.environment["USHER_DATABASE__DSN"], name)
        environment = {**self.environment, "USHER_API__PORT": str(port), "USHER_DATABASE__DSN": dsn, **variables}
        birth = Birth(arguments, environment, str(self.directory / f"{name}.log"), afresh=afresh)
        manager = await self.stack.enter_async_context(born(self.nursery, name, birth, port))
        self.managers.append(manager)
        if serves:
            self.links.front.upstreams.append(port)
            await manager.is_up()
        return manager

    async def rows(self, sql: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """Ask the database, again and again while it is away."""
        async with asyncio.timeout(_GIVE_UP_S):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    return await self.pool.fetch(sql, *arguments)
                await asyncio.sleep(_LOOK_S)

    async def now_s(self) -> float:
        """Return the time by the database's clock, in seconds since the epoch."""
        return float((await self.rows("SELECT extract(epoch FROM clock_timestamp())::float8"))[0][0])

    def require_managers(self) -> None:
        """Fail if a manager has ended that nobody ended, or if nobody watches any more."""
        for watcher in self.watchers:
            if watcher.done():
                watcher.result()
        fallen = [one.name for one in self.managers if one.code not in _CALLED_FOR]
        assert not fallen, f"ended by themselves: {fallen}"

    async def status(self, meeting_id: int) -> str:
        """Return the state of a meeting."""
        self.require_managers()
        return str((await self.rows("SELECT status FROM meetings WHERE id = $1", meeting_id))[0][0])

    async def until(self, meeting_id: int, *states: str, timeout_s: float = _GIVE_UP_S) -> str:
        """Wait until a meeting is in one of the states, and return which."""
        async with asyncio.timeout(timeout_s):
            while True:
                status = await self.status(meeting_id)
                if status in states:
                    return status
                await asyncio.sleep(_LOOK_S)

    async def wait(self, condition: Callable[[], bool], *, timeout_s: float = _GIVE_UP_S) -> None:
        """Wait for what can be told without asking the database."""
        async with asyncio.timeout(timeout_s):
            while True:
                if condition():
                    return
                await asyncio.sleep(_LOOK_S)

    async def bot_pid(self, meeting_id: int, attempt: int = 1) -> int:
        """Wait until a bot runs and return its process id."""
        name = f"usher-{meeting_id}-{attempt}"
        await self.wait(lambda: len(self.lives.pids(name)) > 1)
        return self.lives.pids(name)[-1]

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Note that nobody can act until this is left."""
        begin_s = await self.now_s()
        yield
        self.outages.append((begin_s, await self.now_s()))

    def end_bots(self) -> None:
        """Kill every process of every workload."""
        for name in self.lives.look():
            for pid in self.lives.pids(name):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def open_world(
    directory: Path, nursery: Path, dsn: str, *, pace: LifecycleSettings = PACE, proxied: bool = False
) -> AsyncIterator[World]:
    """Open an installation without a manager, and leave nothing of it behind.

    Args:
        directory: For everything in it.
        nursery: Address of the nursery of managers.
        dsn: A migrated database.
        pace: Limits of meetings' lives.
        proxied: Managers and bots reach their servers through proxies.
    """
    (directory / "diaries").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        redis = EmbeddedRedis(directory / "redis", port=free_port(), durable=False)
        await redis.start()
        stack.push_async_callback(redis.stop)
        links = Links(*[await stack.enter_async_context(TcpProxy()) for _ in range(4)])
        links.postgres.upstreams = [_port(dsn)]
        links.redis.upstreams = links.bots_redis.upstreams = [_port(redis.url)]
        pool = await asyncpg.create_pool(dsn, min_size=0, max_size=2, timeout=_ASK_S, command_timeout=_ASK_S)
        stack.callback(pool.terminate)
        await call_witness(pool)
        store = await PostgresStore.connect(dsn, pool_size=2)
        stack.push_async_callback(store.close)
        user = await store.create_user("caller@example.com", name=None, max_concurrent_bots=LIMIT)
        key = new_key()
        await store.add_token(user.user_id, digest(key))
        inbox = await stack.enter_async_context(Inbox())
        await store.put_webhook(user.user_id, Webhook(inbox.url, new_secret()))
        front = f"http://{LOOPBACK}:{links.front.port}"
        caller = Caller(front, key, user.user_id)
        stack.push_async_callback(caller.close)
        environment = _environment(directory, dsn, redis.url, links, pace, proxied=proxied)
        lives = Lives(directory / "usher" / "bots", _PROCESSES)
        postgres, cache = (_port(dsn), links.postgres.port), (_port(redis.url), links.redis.port)
        gauges = Gauges({**dict.fromkeys(postgres, _POSTGRES), **dict.fromkeys(cache, _REDIS)}, _SOCKETS)
        burglar = Burglar(front, redis.url, SECRET, directory / "diaries", lives.look)
        stack.push_async_callback(burglar.close)
        world = World(
            directory,
            nursery,
            pool,
            store,
            redis,
            links,
            inbox,
            environment,
            caller,
            user.user_id,
            pace,
            lives,
            gauges,
            burglar,
            stack=stack,
        )
        _watch(world)
        stack.callback(world.end_bots)
        yield world


def _watch(world: World) -> None:
    """Let everything that notes evidence do so until the world is left."""
    for watching in (
        world.lives.run(),
        world.gauges.run(world.managers),
        world.caller.viewer.run(),
        world.burglar.run(),
    ):
        watcher = asyncio.create_task(watching)
        world.stack.callback(watcher.cancel)
        world.watchers.append(watcher)


def _environment(
    directory: Path, dsn: str, redis_url: str, links: Links, pace: LifecycleSettings, *, proxied: bool
) -> dict[str, str]:
    limits = {f"USHER_LIFECYCLE__{name.upper()}": str(value) for name, value in pace.model_dump().items()}
    command = (sys.executable, "-m", "tests.support.chaos_bot", str(directory / "diaries"))
    front = f"http://{LOOPBACK}:{links.front.port}"
    return {
        **bare_environment(),
        **limits,
        "USHER_DATABASE__DSN": _by_way_of(dsn, links.postgres) if proxied else dsn,
        "USHER_DATABASE__POOL_SIZE": str(_POOL),
        "USHER_DATABASE__TIMEOUT_S": "5",
        "USHER_REDIS__URL": _by_way_of(redis_url, links.redis) if proxied else redis_url,
        "USHER_REDIS__BOT_URL": _by_way_of(redis_url, links.bots_redis) if proxied else redis_url,
        "USHER_SECRET": SECRET,
        "USHER_DATA_DIR": str(directory / "usher"),
        "USHER_API__PUBLIC_URL": front,
        "USHER_BOTS__MANAGER_URL": front,
        "USHER_WEBHOOKS__ALLOW_PRIVATE": "true",
        "USHER_LAUNCHER__COMMAND": json.dumps(command),
    }


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _by_way_of(url: str, proxy: TcpProxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
