"""`python -m bench.recovery [--bots 1000] [--kills 3]`: kill a busy manager, start it again, and count what is missing.

Real PostgreSQL, real Redis, the whole manager as `usher serve` runs it, and bots with the real protocol that make a
scripted visit in the place of a browser's. Exit code 1 if anything was lost, doubled or orphaned.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.fleet.diary import Page
from bench.fleet.script import Script
from bench.manager_process import Fleet, Manager, answered, open_fleet, open_manager
from bench.metric import FULL
from bench.processes import server
from bench.reckoning import Violations, gather, in_flight, judge, unsettled
from bench.traffic import Pace, Traffic
from bench.waiting import until
from bench.world import World, open_world

_CUSTOMERS = 50
_LAST_REPORTS_S = 1.0
_SETTLE_S = 60.0
_END_S = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kill:
    """One death of the manager; all times in seconds.

    Attributes:
        live: Meetings that were under way, by state.
        effects: Effects that were due.
        commands: Commands that were accepted and not acknowledged.
        floor_s: How long a bare server with the same framework and driver took to start, just before.
        back_s: From the kill until the API answered that all is well.
        settled_s: From the kill until nothing was left of what it had interrupted.
    """

    live: Mapping[str, int]
    effects: int
    commands: int
    floor_s: float
    back_s: float
    settled_s: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of it all."""

    kills: Sequence[Kill]
    visits: int
    violations: Violations
    refused: Sequence[str]

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or orphaned."""
        return self.violations.total == 0 and not self.refused


async def recover(world: World, *, bots: int, kills: int, calm_s: float, say: Say) -> Recovery:
    """Let users send bots, kill the manager again and again meanwhile, then stop everything and count.

    Args:
        world: Databases.
        bots: About how many are under way at once.
        kills: How often the manager is killed.
        calm_s: Between the manager's recovery and its next death, seconds.
        say: Told what is going on.
    """
    async with open_fleet(world) as fleet, open_manager(world, fleet) as manager:
        customers = await world.customers("user", _CUSTOMERS)
        traffic = Traffic(manager.port, customers, _pace(bots), Script(join_s=0.3, lobby_s=0.3, talk_s=5.0))
        say(f"{bots} bots are being sent …")
        await traffic.begin()
        await asyncio.sleep(calm_s)
        done = []
        for number in range(1, kills + 1):
            done.append(await _kill(world, fleet, manager))
            say(_about(number, done[-1]))
            await asyncio.sleep(calm_s)
        await traffic.end()
        say("all bots are being stopped …")
        await traffic.stop_all()
        report = await _over(world, fleet)
        violations = judge(await gather(world.database, traffic.tickets, report))
        return Recovery(done, len(traffic.tickets), violations, traffic.refused)


def _pace(bots: int) -> Pace:
    """Return users whose requests leave the machine something to do for the bots."""
    hasty = max(2, min(16, bots // 8))
    stay_s = min(60.0, max(6.0, bots / 16))
    return Pace(staying=bots, hasty=hasty, stay_s=stay_s, haste_s=0.5, ramp_s=bots / 60)


async def _kill(world: World, fleet: Fleet, manager: Manager) -> Kill:
    floor_s = await _start_of_floor(world)
    before = await in_flight(world.database)
    manager.kill()
    killed = time.monotonic()
    starting = asyncio.create_task(manager.start())
    bots: Sequence[Page] = (await fleet.tell("report"))["bots"]
    await starting
    back_s = time.monotonic() - killed

    async def is_settled() -> bool:
        running = (await fleet.tell("running"))["running"]
        return await unsettled(world.database, before["at"], bots, running) == 0

    await until(is_settled, _SETTLE_S)
    settled_s = time.monotonic() - killed
    return Kill(json.loads(before["live"]), before["effects"], before["commands"], floor_s, back_s, settled_s)


async def _start_of_floor(world: World) -> float:
    """Return how long the bare server of B1 takes from nothing to its first answer, seconds."""
    began = time.monotonic()
    async with server("floor-create", environment=world.environment, log=world.directory / "floor.log") as floor:
        await answered(floor.port, "/nowhere", 404)
        return time.monotonic() - began


async def _over(world: World, fleet: Fleet) -> Any:  # noqa: ANN401 - JSON
    """Wait until no bot and no meeting is left, or ought not to be; return all that the bots have lived through."""

    async def is_over() -> bool:
        running = (await fleet.tell("running"))["running"]
        return not running and not json.loads((await in_flight(world.database))["live"])

    await until(is_over, _END_S)
    await asyncio.sleep(_LAST_REPORTS_S)
    return await fleet.tell("report")


def _about(number: int, kill: Kill) -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(kill.live.items()))
    return (
        f"kill {number}: under way were {sum(kill.live.values())} bots ({states}), "
        f"{kill.effects} effects due, {kill.commands} commands unacknowledged\n"
        f"        API back after {kill.back_s:.2f} s (a bare server starts in {kill.floor_s:.2f} s), "
        f"all settled after {kill.settled_s:.2f} s"
    )


async def _main(bots: int, kills: int) -> bool:
    async with open_world(FULL) as world:
        found = await recover(world, bots=bots, kills=kills, calm_s=8.0, say=lambda text: print(text, flush=True))
    print(f"\n{found.visits} visits, {kills} kills:", *found.violations.lines(), sep="\n  ")
    for one in found.refused[:10]:
        print(f"  unexpected answer    {one}")
    slowest_s = max((kill.settled_s for kill in found.kills), default=0.0)
    print("sound" if found.sound else "NOT SOUND", f"- settled {slowest_s:.2f} s after a kill at the latest")
    return found.sound


def main() -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description="Kill a busy manager and count.")
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    sys.exit(0 if uvloop.run(_main(arguments.bots, arguments.kills)) else 1)


if __name__ == "__main__":
    main()
