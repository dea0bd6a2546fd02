"""Everything that goes wrong in a long day, by chance: the same seed has the same mishaps in the same order."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from redis.asyncio import Redis
from tests.support.chaos_blows import TERMINATE, freeze, restart_empty, stop_at_once
from tests.support.chaos_managers import Manager
from tests.support.chaos_world import World
from tests.support.tcp_proxy import TcpProxy

from usher.adapters.embedded.postgres import EmbeddedPostgres

_PAUSED_S = 8.0
_SILENT_S = 7.0


@dataclass(frozen=True, slots=True)
class Mishaps:
    """Strikes a world.

    Args:
        world: With managers, and with proxies.
        postgres: Its database server.
        chance: Decides.
    """

    world: World
    postgres: EmbeddedPostgres
    chance: random.Random

    async def strike(self) -> str:
        """Let one thing go wrong, to its end, and return its name."""
        blow = self.chance.choice(_BLOWS)
        async with self.world.outage():
            await blow(self)
        return blow.__name__

    async def kill_manager(self) -> None:
        """Kill a manager and start another."""
        self._manager().kill()
        await self.world.manager()

    async def pause_manager(self) -> None:
        """Pause a manager past its claims."""
        manager = self._manager()
        manager.pause()
        await asyncio.sleep(_PAUSED_S)
        manager.resume()

    async def replace_manager(self) -> None:
        """Upgrade a manager."""
        manager = self._manager()
        await self.world.manager()
        manager.end()
        await manager.died()

    async def stop_postgres(self) -> None:
        """Stop the database at once and start it again."""
        await stop_at_once(self.postgres)
        await self.postgres.start()

    async def terminate_backends(self) -> None:
        """Throw all clients out of the database."""
        await self.world.rows(TERMINATE)

    async def empty_redis(self) -> None:
        """Empty Redis."""
        async with Redis.from_url(self.world.redis.url) as client:
            await client.flushall()

    async def restart_redis(self) -> None:
        """Kill Redis and start an empty one."""
        await restart_empty(self.world.redis, away_s=self.chance.uniform(0.0, 3.0))

    async def freeze_redis(self) -> None:
        """Stop Redis as it stands for a while."""
        await freeze(self.world.redis, _SILENT_S)

    async def cut(self) -> None:
        """Reset all connections of one kind."""
        await self._link().cut()

    async def silence(self) -> None:
        """Forward nothing of one kind for a while."""
        link = self._link()
        link.silent = True
        await asyncio.sleep(_SILENT_S)
        link.silent = False

    async def forsake(self) -> None:
        """Forward nothing more over all connections of one kind."""
        self._link().forsake()

    async def kill_bot(self) -> None:
        """Kill a bot."""
        self._signal_bot(signal.SIGKILL)

    async def freeze_bot(self) -> None:
        """Stop a bot as it stands, for good."""
        self._signal_bot(signal.SIGSTOP)

    def _manager(self) -> Manager:
        return self.chance.choice([one for one in self.world.managers if one.code is None])

    def _link(self) -> TcpProxy:
        links = self.world.links
        return self.chance.choice([links.front, links.postgres, links.redis, links.bots_redis])

    def _signal_bot(self, number: signal.Signals) -> None:
        names = sorted(self.world.lives.look())
        pids = self.world.lives.pids(self.chance.choice(names)) if names else []
        with suppress(ProcessLookupError):
            if len(pids) > 1:
                os.kill(pids[-1], number)


_BLOWS: tuple[Callable[[Mishaps], Awaitable[None]], ...] = (
    Mishaps.kill_manager,
    Mishaps.pause_manager,
    Mishaps.replace_manager,
    Mishaps.stop_postgres,
    Mishaps.terminate_backends,
    Mishaps.empty_redis,
    Mishaps.restart_redis,
    Mishaps.freeze_redis,
    Mishaps.cut,
    Mishaps.silence,
    Mishaps.forsake,
    Mishaps.kill_bot,
    Mishaps.freeze_bot,
)
