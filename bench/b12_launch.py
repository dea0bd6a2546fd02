"""B12: how soon after its acceptance a bot is launched, and what launchers add to a start."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from bench.connections import Connections
from bench.containers import engine, race_containers
from bench.creating import create_request
from bench.draining import Drained, crowd, judge
from bench.fleet.diary import Page
from bench.fleet.script import Script
from bench.manager_process import Fleet, open_fleet, open_manager
from bench.metric import Effort, Measured, Metric
from bench.ratios import ratio_of_medians
from bench.starting import Starts, race
from bench.waiting import until
from bench.world import World, open_world

_LAUNCHES = 400
_CROWD = 500
_PERIOD_S = 0.05
_LAUNCHED_S = 30.0
_MOST_MS = 50.0
_MOST_RATIO = 1.1

_ACCEPTED = "SELECT connection_id, extract(epoch FROM created_at)::float8 AS at FROM meetings"


async def measure(effort: Effort) -> Measured:
    """Ask for bots at a steady pace, and see when the launcher hears of them; then race the launcher of processes."""
    async with open_world(effort) as world:
        delays_ms = sorted(1000 * delay_s for delay_s in await _delays_s(world, effort.sized(_LAUNCHES)))
        drained = await _drain(world, effort.sized(_CROWD))
        starts = await race(world.directory / "bots", rounds=effort.pick(30, 2), warmup=effort.pick(2, 0))
    address = engine()
    boxes = None
    if address is not None:
        boxes = await race_containers(address, rounds=effort.pick(100, 2), warmup=effort.pick(3, 0))
    p99_ms = delays_ms[math.ceil(0.99 * len(delays_ms)) - 1]
    ratio = ratio_of_medians(starts.launcher_s, starts.bare_s)
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=p99_ms,
        met=p99_ms <= _MOST_MS and ratio.value <= _MOST_RATIO and (boxes is None or boxes.ratio.value <= _MOST_RATIO),
        cpu_s_per_op=None,
        remarks=(
            _remark(delays_ms),
            drained.remark,
            _about(starts),
            "no Docker engine (make engines)" if boxes is None else boxes.remark,
        ),
    )


async def _drain(world: World, bots: int) -> Drained:
    """Let a crowd ask for bots all at once."""
    async with open_fleet(world, "crowd-fleet") as fleet, open_manager(world, fleet, "crowd-manager") as manager:
        asked_s = await crowd(world, manager.port, bots=bots, bot_name=Script(stay_s=2.0).name)
        return await judge(world, await _launched_s(fleet, bots), asked_s)


async def _delays_s(world: World, launches: int) -> Sequence[float]:
    """Return the time from the acceptance of each bot, by its row, to the call of the launcher."""
    async with open_fleet(world) as fleet, open_manager(world, fleet) as manager:
        (customer,) = await world.customers("launch", 1)
        connections = Connections(manager.port)
        stays = Script(stay_s=2.0).name
        for number in range(launches):
            request = create_request(customer, f"launch-{number}", bot_name=stays)
            status, _ = await connections.send(request.encode())
            if status != 201:
                raise RuntimeError(f"no bot was accepted: {status}")
            await asyncio.sleep(_PERIOD_S)

        launched_s = await _launched_s(fleet, launches)
        connections.close()
    return [launched_s[row["connection_id"]] - row["at"] for row in await world.database.fetch(_ACCEPTED)]


async def _launched_s(fleet: Fleet, launches: int) -> Mapping[str, float]:
    """Wait until all are launched, and return by the connection of each when it was."""

    async def are_launched() -> bool:
        return bool(sum((await fleet.tell("places")).values()) == launches)

    if not await until(are_launched, _LAUNCHED_S):
        raise RuntimeError("not every bot was launched")
    bots: Sequence[Page] = (await fleet.tell("report"))["bots"]
    return {bot["connection_id"]: bot["launched_s"] for bot in bots}


def _remark(delays_ms: Sequence[float]) -> str:
    every, p50_ms = f"one every {_PERIOD_S * 1000:g} ms", delays_ms[len(delays_ms) // 2]
    return f"{len(delays_ms)} launches, {every}: p50 {p50_ms:.1f} ms, most {delays_ms[-1]:.1f} ms"


def _about(starts: Starts) -> str:
    bare_s, launcher_s = sorted(starts.bare_s), sorted(starts.launcher_s)
    middle = len(bare_s) // 2
    return f"a bot's process has loaded after {launcher_s[middle]:.3f} s; started bare, after {bare_s[middle]:.3f} s"


METRIC = Metric(
    title="bot accepted until the launcher is called; and a bot's process launched until it has loaded (the ratio)",
    floor="the same process started bare",
    unit="ms p99",
    target=f"<= {_MOST_MS:g} ms, ratio <= {_MOST_RATIO}",
    measure=measure,
)
