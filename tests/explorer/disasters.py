"""What befalls an installation from outside, at random times."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.explorer.faults import Place, now_s
from tests.explorer.machine import reboot
from tests.explorer.simulation import Simulation


class Disasters:
    """Strikes every now and then, until cancelled."""

    def __init__(self, world: Simulation, chance: random.Random, pace_s: float) -> None:
        self._world = world
        self._chance = chance
        self._pace_s = pace_s
        self._kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            self._kill_manager,
            self._pause_manager,
            self._kill_bot,
            self._freeze_bot,
            self._redis_away,
            self._redis_emptied,
            self._redis_restarted,
            self._store_away,
            self._launcher_silent,
            self._webhooks_down,
            self._network_down,
            self._machine_rebooted,
        )

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
            seconds = self._seconds()
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
