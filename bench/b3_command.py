"""B3: how long a command takes to its bot and back, and whether every one of very many is executed once."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from statistics import median

from redis.asyncio import Redis

from bench.blocks import Block, RunBlock, cpu_s_per_operation
from bench.connections import Connections
from bench.contest import compare, median_of, play
from bench.creating import create_request
from bench.floors.echo import ANSWERS, CALLS
from bench.loss import try_to_lose
from bench.manager_process import Fleet, Manager, open_fleet, open_manager
from bench.metric import Effort, Measured, Metric
from bench.processes import worker
from bench.waiting import until
from bench.wire import request
from bench.world import Customer, World, open_world

_BOTS = 20
_COMMANDS = 100
_PERIOD_S = 0.02
_READY_S = 60.0
_ACKNOWLEDGED_S = 30.0
_TO_LOSE = 200_000
_MOST = 2.0


async def measure(effort: Effort) -> Measured:
    """Change configurations at a steady pace beside round trips of the same pace; then try to lose commands."""
    waits: list[float] = []
    async with open_world(effort) as world:
        async with open_fleet(world) as fleet, open_manager(world, fleet) as manager:
            usher = await _commanding(world, manager, fleet, waits)
            async with _echoing(world) as floor:
                rounds = await play(world, usher, floor)
        loss = await try_to_lose(world, commands=effort.pick(_TO_LOSE, 400), bots=effort.pick(200, 8))
    p50, p99 = compare(rounds, _p50_ms), compare(rounds, _p99_ms)
    worst = max(p50, p99, key=lambda ratio: ratio.value)
    return Measured(
        ratio=worst.value,
        ci95=(worst.low, worst.high),
        value=median_of(rounds.usher, _p50_ms),
        met=worst.value <= _MOST and loss.lost == loss.doubled == 0,
        cpu_s_per_op=cpu_s_per_operation(rounds.usher),
        remarks=(
            _remark("usher", rounds.usher),
            _remark("floor", rounds.floor),
            f"ratio {p50.value:.2f} at p50, {p99.value:.2f} at p99",
            f"executed after {median(waits) * 1000:.2f} ms (p50); what is left is the acknowledgement",
            loss.remark,
        ),
    )


def _remark(side: str, blocks: tuple[Block, ...]) -> str:
    return f"{side}: p50 {median_of(blocks, _p50_ms):.2f} ms, p99 {median_of(blocks, _p99_ms):.2f} ms"


def _p50_ms(block: Block) -> float:
    return block.p50_ms


def _p99_ms(block: Block) -> float:
    return block.p99_ms


async def _commanding(world: World, manager: Manager, fleet: Fleet, waits: list[float]) -> RunBlock:
    """Return what changes configurations of bots in turn; `waits` gets the times until they were executed."""
    (customer,) = await world.customers("commander", 1)
    connections = Connections(manager.port)
    for number in range(_BOTS):
        await connections.send(create_request(customer, f"command-{number}").encode())

    async def are_inside() -> bool:
        return bool((await fleet.tell("places")).get("meeting", 0) == _BOTS)

    if not await until(are_inside, _READY_S):
        raise RuntimeError("not all bots came into their meetings")
    sent = [0] * _BOTS

    async def run_block(_number: int) -> Block:
        accepted: dict[tuple[str, int], float] = {}
        cpu_before_s, began = manager.server.cpu_s, time.monotonic()
        for place in range(world.effort.sized(_COMMANDS)):
            bot = place % _BOTS
            sent[bot] += 1
            await _change(connections, customer, f"command-{bot}", sent[bot])
            accepted[f"command-{bot}", sent[bot]] = time.monotonic()
            await asyncio.sleep(_PERIOD_S)
        latencies_s = await _acknowledged(fleet, accepted, waits)
        cpu_s = manager.server.cpu_s - cpu_before_s
        return Block(latencies_s, time.monotonic() - began, {202: len(accepted)}, cpu_s, 0.0)

    return run_block


async def _change(connections: Connections, customer: Customer, room: str, number: int) -> None:
    body = {"language": ("de", "en")[number % 2]}
    asked = request("PUT", f"/bots/room/{room}/config", {"X-API-Key": customer.api_key}, body)
    status, answer = await connections.send(asked.encode())
    if status != 202:
        raise RuntimeError(f"a change of configuration was answered with {status}: {answer!r}")


async def _acknowledged(
    fleet: Fleet, accepted: Mapping[tuple[str, int], float], waits: list[float]
) -> tuple[float, ...]:
    """Wait until all commands were acknowledged, and return how long each took, by the machine's one clock."""
    acknowledged: dict[tuple[str, int], float] = {}

    async def are_acknowledged() -> bool:
        bots = (await fleet.tell("report"))["bots"]
        acknowledged.update({(bot["room"], seq): at for bot in bots for seq, at in bot["acknowledged"]})
        if accepted.keys() <= acknowledged.keys():
            executed = {(bot["room"], seq): at for bot in bots for seq, at in bot["executed"]}
            waits.extend(executed[one] - at for one, at in accepted.items())
            return True
        return False

    if not await until(are_acknowledged, _ACKNOWLEDGED_S):
        raise RuntimeError("not all commands were acknowledged")
    return tuple(acknowledged[one] - at for one, at in accepted.items())


@asynccontextmanager
async def _echoing(world: World) -> AsyncIterator[RunBlock]:
    """Return what sends messages to another process over Redis and waits for its answer."""
    redis: Redis = Redis.from_url(world.environment["USHER_REDIS__URL"])
    log = world.directory / "echo.log"
    async with worker("bench.floors.echo", environment=world.environment, log=log) as echo:
        await echo.hear(_READY_S)
        async with redis, redis.pubsub(ignore_subscribe_messages=True) as answers:
            await answers.subscribe(ANSWERS)

            async def run_block(_number: int) -> Block:
                latencies_s, began = [], time.monotonic()
                for _ in range(world.effort.sized(_COMMANDS)):
                    sent = time.monotonic()
                    await redis.publish(CALLS, b'{"action": "reconfigure", "language": "de", "seq": 1}')
                    while await answers.get_message(timeout=None) is None:
                        pass
                    latencies_s.append(time.monotonic() - sent)
                    await asyncio.sleep(_PERIOD_S)
                return Block(tuple(latencies_s), time.monotonic() - began, {}, 0.0, 0.0)

            yield run_block


METRIC = Metric(
    title="command accepted until its bot has executed it and that is acknowledged; the ratio: worse of p50 and p99",
    floor="round trip over Redis Pub/Sub between two processes with redis-py",
    unit="ms p50",
    target=f"ratio <= {_MOST:g} at p50 and p99, 0 lost and 0 doubled of {_TO_LOSE:,} with random disconnects",
    measure=measure,
)
