"""The whole system on one machine: embedded servers, speech service, manager; what `usher up` and the demo run."""

import asyncio
import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from usher.adapters.embedded.chromium import find_chromium
from usher.adapters.embedded.directory import keep_secret, make_private, write_private
from usher.adapters.embedded.model import find_model
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.postgres.migrate import migrate
from usher.api.keys import digest, ending, new_key
from usher.bootstrap.addresses import public_url
from usher.bootstrap.children import Child, start_child
from usher.bootstrap.http import listen
from usher.bootstrap.launchers import bots_host, stop_all
from usher.bootstrap.system import System, open_system
from usher.domain.errors import Unavailable
from usher.ports import NewToken
from usher.settings import LauncherSettings, Settings, environment_with

Progress = Callable[[str], None]

_LOCAL_USER = "you@localhost"
_LOCAL_BOTS = 20
_READY_S = 120.0
_BOTS_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Local:
    """A running system.

    Attributes:
        url: Base URL of the API.
        api_key: A key of the local user.
        system: The manager's parts.
        broken: Ends when a part of the system has died, with a sentence that says which.
    """

    url: str
    api_key: str
    system: System
    broken: "asyncio.Task[str]"


@asynccontextmanager
async def open_local(settings: Settings, progress: Progress) -> AsyncIterator[Local]:
    """Start everything, and leave nothing behind in the end.

    Args:
        settings: What is set is used (a database, a Redis, a speech service); what is not is started.
        progress: Told each step in a few words.

    Raises:
        UsherError: Something cannot be started; the message says what to do.
    """
    async with AsyncExitStack() as stack:
        home = make_private(settings.data_dir)
        listener = stack.enter_context(listen(settings.api.host, settings.api.port))
        bots_listener = await _listen_for_bots(settings, stack)
        settings = _with_addresses(settings, home, listener, bots_listener)
        progress("database and Redis")
        watch = _Watch(stack)
        settings = await _with_servers(settings, home, stack, watch)
        progress("speech service (loads the model)")
        settings = await _with_speech(settings, home, stack, watch)
        progress("manager")
        system = await stack.enter_async_context(open_system(settings))
        manager = asyncio.create_task(system.run(listener, bots_listener), name="manager")
        stack.push_async_callback(_end, manager, system)
        key = await _local_key(system, home)
        local = Local(public_url(settings), key, system, watch.broken)
        await _wait_until_up(local.url, manager)
        write_private(home / "client.json", json.dumps({"url": local.url, "api_key": key}))
        stack.callback((home / "client.json").unlink, missing_ok=True)
        yield local


class _Watch:
    """Notices the first part of the system that dies by itself."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._first: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.broken = asyncio.create_task(self._first.get())
        stack.callback(self.broken.cancel)

    def add(self, name: str, death: Coroutine[object, object, int]) -> None:
        """Watch one part."""
        self._tasks.append(asyncio.create_task(self._tell(name, death)))

    async def _tell(self, name: str, death: Coroutine[object, object, int]) -> None:
        code = await death
        self._first.put_nowait(f"{name} has died (exit code {code}); the logs are in the data directory.")


async def _listen_for_bots(settings: Settings, stack: AsyncExitStack) -> socket.socket | None:
    """Open the door for bots that do not share this machine's loopback; None where they do."""
    host = settings.bots.host or await bots_host(settings)
    return None if host is None else stack.enter_context(listen(host, settings.bots.port, "USHER_BOTS__PORT"))


def _with_addresses(
    settings: Settings, home: Path, listener: socket.socket, bots_listener: socket.socket | None
) -> Settings:
    secret = settings.secret or SecretStr(keep_secret(home / "secret", secrets.token_urlsafe(32)))
    bots: dict[str, object] = {}
    if not settings.launcher.has_image:
        bots["chromium"] = find_chromium(settings.bots.chromium).path
    if bots_listener is not None:
        bots["host"], bots["port"] = bots_listener.getsockname()[:2]
    return settings.model_copy(
        update={
            "data_dir": home,
            "secret": secret,
            "api": settings.api.model_copy(update={"port": int(listener.getsockname()[1])}),
            "bots": settings.bots.model_copy(update=bots),
            "launcher": _own_installation(settings.launcher, home),
        }
    )


def _own_installation(launcher: LauncherSettings, home: Path) -> LauncherSettings:
    """Name the installation after the data directory, unless it is named: a new database counts from 1 again.

    An engine remembers which names were ended, and would take the new meetings for old ones.
    """
    if "installation" in launcher.model_fields_set:
        return launcher
    return launcher.model_copy(update={"installation": keep_secret(home / "installation", f"u{secrets.token_hex(4)}")})


async def _with_servers(settings: Settings, home: Path, stack: AsyncExitStack, watch: _Watch) -> Settings:
    update: dict[str, object] = {}
    dsn = settings.database.dsn
    if dsn is None:
        postgres = await stack.enter_async_context(EmbeddedPostgres(home / "postgres"))
        watch.add("PostgreSQL", postgres.wait_dead())
        dsn = SecretStr(postgres.dsn)
        update["database"] = settings.database.model_copy(update={"dsn": dsn})
    if settings.redis.url is None:
        host = settings.bots.host
        redis = await stack.enter_async_context(EmbeddedRedis(home / "redis", bots_host=host))
        watch.add("Redis", redis.wait_dead())
        bot_url = settings.redis.bot_url or (host and f"redis://{host}:{urlsplit(redis.url).port}/0")
        update["redis"] = settings.redis.model_copy(update={"url": SecretStr(redis.url), "bot_url": bot_url})
    await migrate(dsn.get_secret_value())
    return settings.model_copy(update=update)


async def _with_speech(settings: Settings, home: Path, stack: AsyncExitStack, watch: _Watch) -> Settings:
    if settings.transcription.url is not None:
        return settings
    wanted = settings.transcription
    model = "" if wanted.engine == "openai" else str(find_model(wanted.model, home / "models"))
    host = settings.bots.host or "127.0.0.1"
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = int(probe.getsockname()[1])
    variables = {
        "USHER_TRANSCRIPTION__HOST": host,
        "USHER_TRANSCRIPTION__PORT": str(port),
        "USHER_TRANSCRIPTION__MODEL": model,
        "USHER_SECRET": settings.secret.get_secret_value() if settings.secret else "",
    }
    command = (sys.executable, "-m", "usher.cli.speech")
    child = await start_child(command, environment_with(**variables), home / "transcribe.log")
    stack.push_async_callback(child.stop)
    await _wait_for_health(f"http://{host}:{port}/health", child)
    watch.add("The speech service", child.process.wait())
    url = f"ws://{host}:{port}"
    return settings.model_copy(update={"transcription": wanted.model_copy(update={"url": url})})


async def _wait_for_health(url: str, child: Child) -> None:
    async with httpx.AsyncClient(timeout=2.0) as client, asyncio.timeout(_READY_S):
        while not await _answers(client, url):
            if child.returncode is not None:
                raise Unavailable(f"The speech service did not start (exit code {child.returncode}): see {child.log}.")
            await asyncio.sleep(0.1)


async def _wait_until_up(url: str, manager: "asyncio.Task[None]") -> None:
    async with httpx.AsyncClient(timeout=2.0) as client, asyncio.timeout(_READY_S):
        while not await _answers(client, f"{url}/health"):
            if manager.done():
                manager.result()
            await asyncio.sleep(0.05)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


async def _end(manager: "asyncio.Task[None]", system: System) -> None:
    """End every bot while the manager still takes their reports, then the manager, then what it launched meanwhile.

    On one machine nothing outlives `usher up`.
    """
    if not manager.done():
        await stop_all(system.launcher, grace_s=_BOTS_END_S)
    manager.cancel()
    await asyncio.wait({manager})
    await stop_all(system.launcher, grace_s=1.0)


async def _local_key(system: System, home: Path) -> str:
    key = keep_secret(home / "api_key", new_key())
    user = await system.store.create_user(_LOCAL_USER, name="Local", max_concurrent_bots=_LOCAL_BOTS)
    await system.store.add_token(user.user_id, digest(key), NewToken(name="usher up", ending=ending(key)))
    return key
