"""One user asks for far more bots than they may have, while the database is watched for a moment in which it lets them.

I1: never two live meetings of one user, platform and native id. I2: never more bots under way than the user's limit.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.creating import create_request
from bench.processes import Server
from bench.wire import request
from bench.world import Customer, World
from usher.domain.lifecycle import COUNTED, LIVE

_OPERATIONS = 6000
_LIMIT = 4
_ROOMS = 8
_EXPECTED = frozenset({201, 202, 404, 409, 429})

# One statement sees one snapshot: what was true of all rows at one instant.
_WATCH = """
SELECT
    (SELECT count(*) FROM meetings WHERE user_id = $1 AND status = ANY ($2::text[])) AS under_way,
    (SELECT active_bots FROM users WHERE id = $1) AS counted,
    coalesce((
        SELECT max(live.meetings) FROM (
            SELECT count(*) AS meetings FROM meetings WHERE user_id = $1 AND status = ANY ($3::text[])
            GROUP BY platform, platform_specific_id) AS live
    ), 0) AS in_one_call
"""

_DOUBLE = """
SELECT count(*) FROM (
    SELECT FROM meetings WHERE status = ANY ($1::text[])
    GROUP BY user_id, platform, platform_specific_id HAVING count(*) > 1) AS doubled
"""

_OVER = """
SELECT count(*) FROM users u
WHERE u.max_concurrent_bots < (SELECT count(*) FROM meetings m WHERE m.user_id = u.id AND m.status = ANY ($1::text[]))
"""


@dataclass(frozen=True, slots=True)
class Hammered:
    """What was seen.

    Attributes:
        violations: Snapshots, and calls and users at the end, for which I1 or I2 did not hold.
        snapshots: How often the database was looked at meanwhile.
        fullest: Most bots of the hot user that were under way in any snapshot.
        statuses: How often each HTTP status was answered.
    """

    violations: int
    snapshots: int
    fullest: int
    statuses: Mapping[int, int]

    @property
    def remark(self) -> str:
        """All of it in one line."""
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"hot user: {self.violations} violations in {self.snapshots} snapshots, "
            f"{self.fullest} bots at most of {_LIMIT} allowed; answers {answers}"
        )


async def hammer(world: World, usher: Server, *, connections: int) -> Hammered:
    """Let one user create and stop bots in a few rooms from many connections, mixed with other users' requests.

    Raises:
        RuntimeError: The user was never refused, or something unexpected was answered: then nothing was tried.
    """
    (hot,) = await world.customers("hot", 1, limit=_LIMIT)
    others = await world.customers("others", 16)
    requests = list(_requests(hot, others, world.effort.sized(_OPERATIONS)))
    over = asyncio.Event()
    watching = asyncio.create_task(_watch(world, hot.user_id, over))
    block = await world.load.run(usher, requests, connections=connections)
    over.set()
    snapshots = await watching
    statuses = block.statuses
    if set(statuses) - _EXPECTED or not {201, 409, 429} <= set(statuses):
        raise RuntimeError(f"the hot user was not put to the test: {dict(statuses)}")
    violations = sum(
        under_way > _LIMIT or in_one_call > 1 or counted != under_way for under_way, counted, in_one_call in snapshots
    )
    violations += await world.database.fetchval(_DOUBLE, sorted(LIVE))
    violations += await world.database.fetchval(_OVER, sorted(COUNTED))
    return Hammered(violations, len(snapshots), max(under_way for under_way, *_ in snapshots), statuses)


def _requests(hot: Customer, others: list[Customer], operations: int) -> Iterator[str]:
    chance = random.Random(1)  # noqa: S311 - a mixture, not a secret
    for number in range(operations):
        room = f"hot-{chance.randrange(_ROOMS)}"
        kind = chance.random()
        if kind < 0.5:
            yield create_request(hot, room)
        elif kind < 0.75:
            yield request("DELETE", f"/bots/room/{room}", {"X-API-Key": hot.api_key})
        else:
            yield create_request(chance.choice(others), f"calm-{number}")


async def _watch(world: World, user_id: int, over: asyncio.Event) -> list[tuple[int, int, int]]:
    snapshots = []
    while not over.is_set():
        row = await world.database.fetchrow(_WATCH, user_id, sorted(COUNTED), sorted(LIVE))
        if row is not None:
            snapshots.append((row["under_way"], row["counted"], row["in_one_call"]))
        await asyncio.sleep(0.001)
    return snapshots
