"""Usher against its floor: both servers started, their blocks interleaved, what came of it put in words."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.blocks import Block, Rounds, RunBlock, client_share, cpu_s_per_operation, interleave
from bench.processes import Server
from bench.ratios import Ratio, ratio_of_medians
from bench.world import World


@dataclass(frozen=True, slots=True)
class Contest:
    """The two servers."""

    usher: Server
    floor: Server


async def start_both(world: World, floor: str) -> Contest:
    """Start Usher and the floor of that name."""
    return Contest(await world.serve("usher"), await world.serve(floor))


async def play(world: World, usher: RunBlock, floor: RunBlock) -> Rounds:
    """Interleave the two for as long as the effort says."""
    return await interleave(usher, floor, rounds=world.effort.rounds, warmup=world.effort.warmup)


def compare(rounds: Rounds, cost: Callable[[Block], float]) -> Ratio:
    """Return the ratio of Usher to the floor of what `cost` reads off a block."""
    return ratio_of_medians([cost(block) for block in rounds.usher], [cost(block) for block in rounds.floor])


def median_of(blocks: tuple[Block, ...], figure: Callable[[Block], float]) -> float:
    """Return the median over blocks of a figure of each."""
    return median(figure(block) for block in blocks)


def remarks(rounds: Rounds) -> tuple[str, ...]:
    """Say what both sides did, and how busy the load generator was meanwhile."""
    return tuple(_remark(name, blocks) for name, blocks in (("usher", rounds.usher), ("floor", rounds.floor)))


def _remark(name: str, blocks: tuple[Block, ...]) -> str:
    operations = sum(len(block.latencies_s) for block in blocks)
    return (
        f"{name}: p50 {median_of(blocks, lambda block: block.p50_ms):.2f} ms, "
        f"{median_of(blocks, lambda block: block.rate):.0f}/s, "
        f"CPU {cpu_s_per_operation(blocks) * 1e6:.0f} µs per operation; "
        f"{operations} operations in {len(blocks)} blocks, load generator busy {client_share(blocks):.0%}"
    )
