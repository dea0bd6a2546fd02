"""One run: a seed becomes a world, a storm and a peace, and is judged."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from tests.explorer import virtual_loop, weathers
from tests.explorer.chronicle import Chronicle
from tests.explorer.conditions import controlled
from tests.explorer.disasters import Disasters
from tests.explorer.faults import now_s
from tests.explorer.findings import complaints
from tests.explorer.plans import CALM, SeededPlan
from tests.explorer.processes import Process, current
from tests.explorer.scripts import Script, draw
from tests.explorer.simulation import Simulation
from tests.explorer.users import Caller, Whims, open_account

from usher.domain.lifecycle import TERMINAL, Effect
from usher.domain.reconcile import WorkloadName

_LONGEST_PEACE_S = 1800.0
_WEBHOOKS_S = 900.0
_BREATH_S = 5.0
_QUIET_S = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        complaints: What was wrong; empty if nothing was.
        simulated_s: How long it was for those in it.
        bot_s: How long bots ran altogether.
    """

    seed: int
    weather: str
    complaints: list[str]
    chronicle: Chronicle
    simulated_s: float
    bot_s: float
    meetings: int


def explore(seed: int, *, told: bool = False) -> Outcome:
    """Make the run of a seed: the same seed makes the same run."""
    chronicle = Chronicle(told=told)
    with controlled(seed, chronicle):
        return virtual_loop.run(_Run(seed, chronicle).make())


class _Run:
    def __init__(self, seed: int, chronicle: Chronicle) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._chronicle = chronicle
        self._weather = self._chance.choice(weathers.ALL)
        self._plan = SeededPlan(random.Random(seed + 1), self._weather)

    async def make(self) -> Outcome:
        """Storm, then peace."""
        asyncio.get_running_loop().set_exception_handler(self._note_unexpected)
        world = Simulation(
            self._plan,
            self._chronicle,
            managers=self._chance.choice((1, 2, 2, 3)),
            script=self._script,
            restart_s=lambda: self._plan.delay_s() + self._chance.choice((0.2, 2.0, 20.0)),
        )
        callers = await self._users(world)
        await self._storm(world, callers)
        settled = await self._peace(world, callers)
        return Outcome(
            seed=self._seed,
            weather=self._weather.name,
            complaints=complaints(world, settled=settled, allowance=weathers.allowance(self._weather))
            + ([] if settled else ["I3: the world does not settle"]),
            chronicle=self._chronicle,
            simulated_s=now_s(),
            bot_s=world.book.bot_seconds(),
            meetings=len(world.store.tables.meetings),
        )

    async def _users(self, world: Simulation) -> list[Caller]:
        users = self._chance.choice((1, 2, 3))
        limits = [self._chance.choice((1, 2, 3)) for _ in range(users)]
        return [
            await open_account(
                world.store,
                f"user{index}",
                limit,
                world.network.transport(),
                world.diary,
                has_webhook=self._chance.random() < 0.3,
            )
            for index, limit in enumerate(limits, 1)
        ]

    def _script(self, name: WorkloadName) -> Script:
        return draw(random.Random(f"{self._seed} {name}"))

    async def _storm(self, world: Simulation, callers: list[Caller]) -> None:
        rooms = ("alpha", "beta", "gamma", "delta")[: self._chance.choice((1, 2, 4))]
        storm = Process("storm")
        for caller in callers:
            pace_s = self._chance.choice((0.7, 2.0, 6.0))
            whims = Whims(caller, rooms, random.Random(self._chance.random()), pace_s)
            storm.spawn(whims.run())
        if self._weather.disaster_s:
            chance = random.Random(self._chance.random())
            disasters = Disasters(world, chance, self._weather.disaster_s, self._weather.disasters)
            storm.spawn(disasters.run())
        await asyncio.sleep(self._chance.choice((30.0, 90.0, 240.0)))
        storm.kill()
        if self._weather in weathers.LAWLESS:
            world.outages.add(0.0, now_s())

    async def _peace(self, world: Simulation, callers: list[Caller]) -> bool:
        """Let everything work again, and say whether everything came to its end."""
        self._chronicle.note(now_s(), "nature", "the storm is over")
        self._plan.weather = CALM
        world.boundaries.away.clear()
        for one in world.managers:
            one.process.resume()
        began_s, resting_s = now_s(), 0.0
        while now_s() < began_s + _LONGEST_PEACE_S:
            patient = now_s() < began_s + _WEBHOOKS_S
            resting_s = resting_s + _BREATH_S if at_rest(world, webhooks=patient) else 0.0
            if resting_s > _QUIET_S:
                return True
            await asyncio.sleep(_BREATH_S)
            await self._stop_some(world, callers)
        return False

    async def _stop_some(self, world: Simulation, callers: list[Caller]) -> None:
        by_user = {caller.user_id: caller for caller in callers}
        for meeting in list(world.store.tables.meetings.values()):
            if meeting.status not in TERMINAL and self._chance.random() < 0.2:
                await by_user[meeting.user_id].stop(meeting.ref.native_id)

    def _note_unexpected(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not type(error).__module__.startswith("httpx"):
            process = current()
            where = process.name if process else "somewhere"
            self._chronicle.bugs.append(f"nobody took {error!r} in {where}: {context.get('message')}")


def at_rest(world: Simulation, *, webhooks: bool = True) -> bool:
    """Say whether nothing is under way, owed or left over; a webhook that was down may be tried for days."""
    tables = world.store.tables
    over = all(meeting.status in TERMINAL for meeting in tables.meetings.values())
    owed = [row for row in tables.outbox.values() if webhooks or row.effect is not Effect.NOTIFY]
    return over and not owed and not world.machine.workloads and not world.redis.access.passwords
