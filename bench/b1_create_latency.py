"""B1: how long one client waits until its bot is accepted and the request durable."""

from bench.blocks import Block, cpu_s_per_operation
from bench.contest import compare, median_of, play, remarks, start_both
from bench.creating import creating
from bench.metric import Effort, Measured, Metric
from bench.world import open_world

_OPERATIONS = 300
_MOST = 1.3


def _p50_ms(block: Block) -> float:
    return block.p50_ms


async def measure(effort: Effort) -> Measured:
    """Create meetings one after another, and compare the median latency of blocks."""
    operations = effort.sized(_OPERATIONS)
    async with open_world(effort) as world:
        both = await start_both(world, "floor-create")
        usher = await creating(world, both.usher, "usher", operations=operations, connections=1)
        floor = await creating(world, both.floor, "floor", operations=operations, connections=1)
        rounds = await play(world, usher, floor)
    ratio = compare(rounds, _p50_ms)
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=median_of(rounds.usher, _p50_ms),
        met=ratio.value <= _MOST,
        cpu_s_per_op=cpu_s_per_operation(rounds.usher),
        remarks=remarks(rounds),
    )


METRIC = Metric(
    title="`POST /bots` accepted and durable, 1 client",
    floor="FastAPI and one SQL statement that does the same writes",
    unit="ms p50",
    target=f"ratio <= {_MOST}",
    measure=measure,
)
