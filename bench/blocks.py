"""Blocks of operations, and the order in which two servers take turns."""

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Block:
    """Operations that were run in one go against one server.

    Attributes:
        latencies_s: Of each operation, seconds.
        elapsed_s: From the first request to the last answer.
        statuses: How often each HTTP status was answered.
        server_cpu_s: CPU time of the server's process.
        client_cpu_s: CPU time of the load generator: near `elapsed_s`, it would have been what was measured.
    """

    latencies_s: tuple[float, ...]
    elapsed_s: float
    statuses: Mapping[int, int]
    server_cpu_s: float
    client_cpu_s: float

    @property
    def p50_ms(self) -> float:
        """Median latency, milliseconds."""
        return median(self.latencies_s) * 1000

    @property
    def p99_ms(self) -> float:
        """Latency that one operation in a hundred exceeds, milliseconds."""
        return sorted(self.latencies_s)[math.ceil(0.99 * len(self.latencies_s)) - 1] * 1000

    @property
    def rate(self) -> float:
        """Operations a second."""
        return len(self.latencies_s) / self.elapsed_s


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured: one block of each side per round, in step."""

    usher: tuple[Block, ...]
    floor: tuple[Block, ...]


RunBlock = Callable[[int], Awaitable[Block]]
"""Runs the block of a round (counted from 0, warm-up included) against one server."""


async def interleave(usher: RunBlock, floor: RunBlock, *, rounds: int, warmup: int, seed: int = 1) -> Rounds:
    """Run both sides in turn; who comes first in a round is drawn by lot.

    Args:
        usher: One side.
        floor: The other.
        rounds: Rounds that count.
        warmup: Rounds before them that are thrown away.
        seed: Of the lot.
    """
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    kept: dict[RunBlock, list[Block]] = {usher: [], floor: []}
    for number in range(warmup + rounds):
        for side in chance.sample((usher, floor), 2):
            block = await side(number)
            if number >= warmup:
                kept[side].append(block)
    return Rounds(tuple(kept[usher]), tuple(kept[floor]))


def cpu_s_per_operation(blocks: Sequence[Block]) -> float:
    """Return the server's CPU seconds per operation over all blocks."""
    return sum(block.server_cpu_s for block in blocks) / sum(len(block.latencies_s) for block in blocks)


def client_share(blocks: Sequence[Block]) -> float:
    """Return which share of the time the load generator was busy itself, from 0 to 1."""
    return sum(block.client_cpu_s for block in blocks) / sum(block.elapsed_s for block in blocks)


def statuses(blocks: Sequence[Block]) -> Counter[int]:
    """Add the answers of blocks up."""
    total: Counter[int] = Counter()
    for block in blocks:
        total.update(block.statuses)
    return total


def joined(first: Block, second: Block) -> Block:
    """Return two blocks that ran one after the other as one."""
    statuses = Counter(first.statuses)
    statuses.update(second.statuses)
    return Block(
        latencies_s=first.latencies_s + second.latencies_s,
        elapsed_s=first.elapsed_s + second.elapsed_s,
        statuses=statuses,
        server_cpu_s=first.server_cpu_s + second.server_cpu_s,
        client_cpu_s=first.client_cpu_s + second.client_cpu_s,
    )


def require_only(status: int, block: Block) -> Block:
    """Return the block if every operation was answered with `status`: a refusal is quicker than the work.

    Raises:
        RuntimeError: Something else was answered, so there is nothing to be measured.
    """
    if set(block.statuses) != {status}:
        raise RuntimeError(f"answers other than {status}: {dict(block.statuses)}")
    return block
