"""A crowd that asks for bots all at once: how soon each is launched, and whether anybody has to wait for the others."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.connections import Connections
from bench.creating import create_request
from bench.world import World

_CUSTOMERS = 10
_CONNECTIONS = 16

_ACCEPTED = """
SELECT connection_id, user_id, extract(epoch FROM created_at)::float8 AS at FROM meetings
WHERE platform_specific_id LIKE 'crowd-%' ORDER BY created_at, id
"""


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of a crowd.

    Attributes:
        bots: That were asked for.
        asked_s: For how long they were asked for.
        delays_s: Of each, in the order of acceptance: from there to the call of the launcher.
        unfairness: The median delay of the customer who waited longest by that of the one who waited least.
        overtaken: By how many later ones somebody was overtaken at most.
    """

    bots: int
    asked_s: float
    delays_s: Sequence[float]
    unfairness: float
    overtaken: int

    @property
    def remark(self) -> str:
        """All of it in one line."""
        return (
            f"{self.bots} bots of {_CUSTOMERS} customers asked for in {self.asked_s:.2f} s: launched after "
            f"{statistics.median(self.delays_s):.2f} s (median), {max(self.delays_s):.2f} s (most); the customer who "
            f"waited longest did {self.unfairness:.2f} times as long as the one who waited least; nobody was overtaken "
            f"by more than {self.overtaken}"
        )


async def crowd(world: World, port: int, *, bots: int, bot_name: str) -> float:
    """Ask for bots from several connections, as fast as they are accepted; return how long that took, seconds."""
    customers = await world.customers("crowd", _CUSTOMERS)
    requests = iter(
        [
            create_request(customers[number % _CUSTOMERS], f"crowd-{number}", bot_name=bot_name).encode()
            for number in range(bots)
        ]
    )
    connections = Connections(port)
    began = time.monotonic()
    async with asyncio.TaskGroup() as asking:
        for _ in range(_CONNECTIONS):
            asking.create_task(_ask(connections, requests))
    took_s = time.monotonic() - began
    connections.close()
    return took_s


async def judge(world: World, launched_s: Mapping[str, float], asked_s: float) -> Drained:
    """Compare when bots were accepted, by their rows, with when they were launched, by wall clock, seconds."""
    rows = await world.database.fetch(_ACCEPTED)
    delays_s = [launched_s[row["connection_id"]] - row["at"] for row in rows]
    of_customer: dict[int, list[float]] = defaultdict(list)
    for row, delay_s in zip(rows, delays_s, strict=True):
        of_customer[row["user_id"]].append(delay_s)
    medians = sorted(map(statistics.median, of_customer.values()))
    turns = [launched_s[row["connection_id"]] for row in rows]
    return Drained(len(rows), asked_s, delays_s, medians[-1] / medians[0], _most_overtaken(turns))


async def _ask(connections: Connections, requests: Iterator[bytes]) -> None:
    for request in requests:
        status, _ = await connections.send(request)
        if status != 201:
            raise RuntimeError(f"no bot was accepted: {status}")


def _most_overtaken(turns: Sequence[float]) -> int:
    """Return how many that came later were served earlier, for whom it was most."""
    return max((sum(later < turn for later in turns[place + 1 :]) for place, turn in enumerate(turns)), default=0)
