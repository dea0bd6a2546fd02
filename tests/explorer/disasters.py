"""What befalls an installation from outside, at random times."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from tests.explorer.faults import now_s
from tests.explorer.machine import reboot
from tests.explorer.plans import Place
from tests.explorer.simulation import Simulation

_FOR_GOOD_S = 3600.0


class Disasters:
    """Strikes every now and then, until cancelled.

    Args:
        world: What is struck.
        chance: Decides.
        pace_s: Mean time between two disasters.
        kinds: What may happen; anything if nothing is named.
    """

    def __init__(self, world: Simulation, chance: random.Random, pace_s: float, kinds: Sequence[str] = ()) -> None:
        self._world = world
        self._chance = chance
        self._pace_s = pace_s
        every: dict[str, Callable[[], Awaitable[None]]] = {
            "manager killed": self._kill_manager,
            "manager paused": self._pause_manager,
            "bot killed": self._kill_bot,
            "bot frozen": self._freeze_bot,
            "redis away": self._redis_away,
            "redis emptied": self._redis_emptied,
            "redis restarted": self._redis_restarted,
            "store away": self._store_away,
            "launcher silent": self._launcher_silent,
            "webhooks down": self._webhooks_down,
            "network down": self._network_down,
            "machine rebooted": self._machine_rebooted,
        }
        self._kinds = [every[kind] for kind in kinds or every]

    async def run(self) -> None:
        """Strike until cancelled."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / self._pace_s))
            await self._chance.choice(self._kinds)()

    def _seconds(self) -> float:
        """Return a duration: mostly short, sometimes longer than any claim, lease or patience."""
        return self._chance.choice((0.5, 3.0, 8.0, 20.0, 45.0)) * self._chance.uniform(0.5, 1.5)

    async def _kill_manager(self) -> None:
        self._world.kill_manager(self._chance.randrange(len(self._world.managers)))

    async def _pause_manager(self) -> None:
        self._world.pause_manager(self._chance.randrange(len(self._world.managers)), self._seconds())

    async def _kill_bot(self) -> None:
        running = sorted(self._world.fleet.running.items(), key=lambda one: str(one[0]))
        if running:
            self._chance.choice(running)[1].crash()

    async def _freeze_bot(self) -> None:
        running = sorted(self._world.fleet.running.items(), key=lambda one: str(one[0]))
        if running:
            name, process = self._chance.choice(running)
            seconds = self._chance.choice((self._seconds(), _FOR_GOOD_S))
            what = f"stands still for {seconds:.1f} s"
            self._world.chronicle.fault(now_s(), "bot frozen", process.name, what, name.meeting_id)
            process.pause_for(seconds)

    async def _redis_away(self) -> None:
        await self._world.away(Place.REDIS, self._seconds())

    async def _redis_emptied(self) -> None:
        self._world.chronicle.fault(now_s(), "redis emptied", "redis", "loses all keys")
        self._world.redis.empty()

    async def _redis_restarted(self) -> None:
        durable = self._chance.random() < 0.5
        what = "restarts without accounts" + ("" if durable else ", and empty")
        self._world.chronicle.fault(now_s(), "redis restarted", "redis", what)
        self._world.redis.restart(durable=durable)

    async def _store_away(self) -> None:
        await self._world.away(Place.STORE, self._seconds())

    async def _launcher_silent(self) -> None:
        await self._world.away(Place.LAUNCHER, self._seconds())

    async def _webhooks_down(self) -> None:
        await self._world.away(Place.WEBHOOK, self._seconds())

    async def _network_down(self) -> None:
        await self._world.away(Place.HTTP, self._seconds())

    async def _machine_rebooted(self) -> None:
        forgetting = self._chance.random() < 0.5
        what = "reboots" + (", and forgets what ran" if forgetting else "")
        self._world.chronicle.fault(now_s(), "machine rebooted", "machine", what)
        await reboot(self._world.machine, forgetting=forgetting)
