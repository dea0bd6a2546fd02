"""B2: how many bots a second 16 clients can ask for, and whether the limits hold when one user asks for too many."""

from bench.blocks import Block, cpu_s_per_operation
from bench.contest import compare, median_of, play, remarks, start_both
from bench.creating import creating
from bench.hot_user import hammer
from bench.metric import Effort, Measured, Metric
from bench.world import open_world

_OPERATIONS = 1000
_CONNECTIONS = 16
_LEAST_RATIO = 0.6
_LEAST_RATE = 1000


def _rate(block: Block) -> float:
    return block.rate


async def measure(effort: Effort) -> Measured:
    """Create meetings from 16 connections and compare the rates of blocks; then let one user go too far."""
    operations = effort.sized(_OPERATIONS)
    async with open_world(effort) as world:
        both = await start_both(world, "floor-create")
        usher = await creating(world, both.usher, "usher", operations=operations, connections=_CONNECTIONS)
        floor = await creating(world, both.floor, "floor", operations=operations, connections=_CONNECTIONS)
        rounds = await play(world, usher, floor)
        hot = await hammer(world, both.usher, connections=_CONNECTIONS)
    ratio, rate = compare(rounds, _rate), median_of(rounds.usher, _rate)
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=rate,
        met=ratio.value >= _LEAST_RATIO and rate >= _LEAST_RATE and hot.violations == 0,
        cpu_s_per_op=cpu_s_per_operation(rounds.usher),
        remarks=(*remarks(rounds), hot.remark),
    )


METRIC = Metric(
    title="`POST /bots`, 16 clients; then one user far over their limit, mixed with others",
    floor="as for B1",
    unit="creates/s",
    target=f"ratio >= {_LEAST_RATIO}, >= {_LEAST_RATE}/s, 0 violations of I1 and I2",
    measure=measure,
)
