"""B5: what ten thousand bots that do nothing but live cost one manager, and what they cost its users."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.blocks import Block, RunBlock
from bench.contest import compare, median_of, play, remarks
from bench.creating import create_request
from bench.fleet.script import Script
from bench.manager_process import Fleet, Manager, open_fleet, open_manager
from bench.metric import Effort, Measured, Metric
from bench.waiting import until
from bench.wire import request
from bench.world import Customer, World, open_world

_BOTS = 10_000
_CREATE_CONNECTIONS = 8
_PROBES = 100
_CALM_S = 60.0
_ARRIVED_S = 600.0
_MOST_CORES = 1.0
_MOST_MB = 400.0
_MOST_RATIO = 2.0

_UNWELL = """
SELECT count(*) FROM meetings m LEFT JOIN leases l ON l.meeting_id = m.id AND l.attempt = m.attempt
WHERE m.bot_name = $1 AND (m.status <> 'active' OR m.attempt > 1 OR l.expires_at IS NULL OR l.expires_at <= now())
"""


@dataclass(frozen=True, slots=True)
class _Calm:
    """What the manager needed while nothing but heartbeats came."""

    seconds: float
    cpu_s: float
    rss_mb: float


async def measure(effort: Effort) -> Measured:
    """Send all bots, watch the manager, then ask it and one without bots the same things in turn."""
    bots, script = effort.sized(_BOTS), Script(join_s=0.0, leave_s=0.0)
    async with (
        open_world(effort) as world,
        open_world(effort) as empty_world,
        open_fleet(world, shared=True) as fleet,
        open_manager(world, fleet) as manager,
        open_fleet(empty_world) as nobody,
        open_manager(empty_world, nobody) as empty,
    ):
        await _send(world, manager, fleet, bots, script)
        calm = await _watch(manager, effort.pick(_CALM_S, 3.0))
        busy_side = await _asking(world, world, manager)
        empty_side = await _asking(world, empty_world, empty)
        rounds = await play(world, busy_side, empty_side)
        unwell: int = await world.database.fetchval(_UNWELL, script.name)
    ratio, cores = compare(rounds, _p99_ms), calm.cpu_s / calm.seconds
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=cores,
        met=cores <= _MOST_CORES and calm.rss_mb <= _MOST_MB and ratio.value <= _MOST_RATIO and unwell == 0,
        cpu_s_per_op=calm.cpu_s / (calm.seconds * bots / 10.0),
        remarks=(
            f"{bots} bots: {cores:.2f} cores, {calm.rss_mb:.0f} MB; {unwell} of them unwell in the end",
            f"API p99 {median_of(rounds.usher, _p99_ms):.1f} ms, and {median_of(rounds.floor, _p99_ms):.1f} ms without",
            *remarks(rounds),
        ),
    )


def _p99_ms(block: Block) -> float:
    return block.p99_ms


async def _send(world: World, manager: Manager, fleet: Fleet, bots: int, script: Script) -> None:
    """Send the bots by the API, and wait until all are in their meetings."""
    customers = await world.customers("fleet", 100)
    wanted = [
        create_request(customers[number % 100], f"fleet-{number}", bot_name=script.name) for number in range(bots)
    ]
    await world.load.run(manager.server, wanted, connections=_CREATE_CONNECTIONS)

    async def are_inside() -> bool:
        return bool((await fleet.tell("places")).get("meeting", 0) == bots)

    if not await until(are_inside, _ARRIVED_S):
        raise RuntimeError(f"not all bots arrived: {await fleet.tell('places')}")


async def _watch(manager: Manager, for_s: float) -> _Calm:
    """Let the last reports settle, then watch."""
    await asyncio.sleep(for_s / 3)
    cpu_s = manager.server.cpu_s
    await asyncio.sleep(for_s)
    return _Calm(for_s, manager.server.cpu_s - cpu_s, manager.server.rss_bytes / 1e6)


async def _asking(world: World, target_world: World, manager: Manager) -> RunBlock:
    """Return what a user does who looks around and now and then plans a meeting, and thinks better of it."""
    (customer,) = await target_world.customers("probe", 1)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    async def run_block(number: int) -> Block:
        asked = [
            one
            for probe in range(world.effort.sized(_PROBES))
            for one in _questions(customer, f"probe-{number}-{probe}", later)
        ]
        block = await world.load.run(manager.server, asked, connections=1)
        if set(block.statuses) != {200, 201, 202}:
            raise RuntimeError(f"answers that were not expected: {dict(block.statuses)}")
        return block

    return run_block


def _questions(customer: Customer, room: str, later: str) -> Sequence[str]:
    headers = {"X-API-Key": customer.api_key}
    planned = {"platform": "room", "native_meeting_id": room, "join_at": later}
    looks = (
        request("GET", "/bots/status", headers),
        request("GET", f"/transcripts/room/{room}", headers),
    )
    return (
        request("POST", "/bots", headers, planned),
        *(looks * 4),
        request("DELETE", f"/bots/room/{room}", headers),
    )


METRIC = Metric(
    title="one manager with 10,000 bots that send heartbeats every 10 s; the ratio is that of the API's p99",
    floor="the same manager without bots, on the same machine at the same time",
    unit="cores",
    target=f"<= {_MOST_CORES:g} core, <= {_MOST_MB:g} MB, ratio <= {_MOST_RATIO:g}",
    measure=measure,
)
