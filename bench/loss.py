"""`python -m bench.loss [--commands 1000000] [--bots 200]`: commands to bots whose connections break, and what is lost.

Connections to Redis are cut, those of bots and those of the manager, and Redis is emptied, again and again. Exit code 1
if a command was not executed, or more than once.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import uvloop
from redis.asyncio import Redis

from bench.connections import Connections
from bench.creating import create_request
from bench.manager_process import Fleet, open_fleet, open_manager
from bench.metric import FULL
from bench.waiting import until
from bench.world import World, open_world

_A_TIME = 10
_MOST_WAITING_EACH = 15
_LOOK_S = 0.05
_CUT_S = 1.0
_CUT_SHARE = 0.1
_FLUSH_EVERY = 5
_READY_S = 120.0
_STALLED_S = 60.0

# Commands as `PUT …/config` writes them, for many bots at once. They ask for what is in force, so that no more is
# written for each than a command is made of.
_SEND = """
WITH m AS (
    UPDATE meetings SET command_seq = command_seq + $2 WHERE id = ANY ($1::bigint[])
    RETURNING id, connection_id, attempt, command_seq, language, task
), written AS (
    INSERT INTO commands (meeting_id, seq, connection_id, action, language, task)
    SELECT m.id, m.command_seq - $2 + n, m.connection_id, 'reconfigure', m.language, m.task
    FROM m, generate_series(1, $2::integer) AS n
)
INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at)
SELECT m.id, m.attempt, 'command', 'send_command', now() FROM m
"""

_INSIDE = "SELECT id FROM meetings WHERE status = 'active' AND platform_specific_id LIKE 'loss-%'"

_WAITING = "SELECT count(*) FROM commands WHERE acknowledged_at IS NULL"

_SENT = """
SELECT c.connection_id, count(*) AS commands FROM commands c JOIN meetings m ON m.id = c.meeting_id
WHERE m.platform_specific_id LIKE 'loss-%' GROUP BY c.connection_id
"""


@dataclass(frozen=True, slots=True)
class Loss:
    """What came of it.

    Attributes:
        commands: That were sent.
        lost: Of them, never executed.
        doubled: Executed again.
        cuts: Connections that were broken.
        flushes: How often Redis was emptied.
        seconds: That it took.
    """

    commands: int
    lost: int
    doubled: int
    cuts: int
    flushes: int
    seconds: float

    @property
    def remark(self) -> str:
        """All of it in one line."""
        return (
            f"{self.commands} commands in {self.seconds:.0f} s, {self.cuts} connections cut, "
            f"Redis emptied {self.flushes} times: {self.lost} lost, {self.doubled} executed again"
        )


async def try_to_lose(world: World, *, commands: int, bots: int) -> Loss:
    """Send commands as fast as they are acknowledged, while connections break, and count."""
    async with open_fleet(world, "loss-fleet") as fleet, open_manager(world, fleet, "loss-manager") as manager:
        meetings = await _send_bots(world, manager.port, bots)
        began = time.monotonic()
        async with Redis.from_url(world.environment["USHER_REDIS__URL"]) as redis:
            vandal = _Vandal(redis)
            breaking = asyncio.create_task(vandal.run())
            await _send_commands(world, meetings, commands)
            breaking.cancel()
        await _wait_for_silence(world)
        seconds = time.monotonic() - began
        return await _count(world, fleet, vandal, seconds)


class _Vandal:
    """Breaks connections of bots and of the manager, and empties Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.cuts = self.flushes = 0

    async def run(self) -> None:
        """Go on until cancelled."""
        chance = random.Random(1)  # noqa: S311 - a choice of victims
        number = 0
        while True:
            await asyncio.sleep(_CUT_S)
            number += 1
            own = await self._redis.client_id()
            victims = [one["id"] for one in await self._redis.client_list() if int(one["id"]) != own]
            for victim in chance.sample(victims, round(_CUT_SHARE * len(victims))):
                self.cuts += await self._redis.client_kill_filter(_id=victim)
            if number % _FLUSH_EVERY == 0:
                await self._redis.flushall()
                self.flushes += 1


async def _send_bots(world: World, port: int, bots: int) -> Sequence[int]:
    (customer,) = await world.customers("loss", 1)
    connections = Connections(port)
    for number in range(bots):
        await connections.send(create_request(customer, f"loss-{number}").encode())
    connections.close()

    async def are_inside() -> bool:
        return len(await world.database.fetch(_INSIDE)) == bots

    if not await until(are_inside, _READY_S):
        raise RuntimeError("not all bots came into their meetings")
    return [row["id"] for row in await world.database.fetch(_INSIDE)]


async def _send_commands(world: World, meetings: Sequence[int], commands: int) -> None:
    sent = 0
    while sent < commands:
        if await world.database.fetchval(_WAITING) < _MOST_WAITING_EACH * len(meetings):
            await world.database.execute(_SEND, meetings, _A_TIME)
            sent += _A_TIME * len(meetings)
        await asyncio.sleep(_LOOK_S)


async def _wait_for_silence(world: World) -> None:
    async def are_acknowledged() -> bool:
        return bool(await world.database.fetchval(_WAITING) == 0)

    await until(are_acknowledged, _STALLED_S)


async def _count(world: World, fleet: Fleet, vandal: _Vandal, seconds: float) -> Loss:
    executed: Mapping[str, tuple[int, int]] = await fleet.tell("commands")
    sent = {row["connection_id"]: row["commands"] for row in await world.database.fetch(_SENT)}
    return Loss(
        commands=sum(sent.values()),
        lost=sum(count - executed[connection_id][1] for connection_id, count in sent.items()),
        doubled=sum(times - different for times, different in executed.values()),
        cuts=vandal.cuts,
        flushes=vandal.flushes,
        seconds=seconds,
    )


async def _main(commands: int, bots: int) -> bool:
    async with open_world(FULL) as world:
        loss = await try_to_lose(world, commands=commands, bots=bots)
    print(loss.remark)
    return loss.lost == loss.doubled == 0


def main() -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(prog="python -m bench.loss", description="Try to lose commands.")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--bots", type=int, default=200)
    arguments = parser.parse_args()
    sys.exit(0 if uvloop.run(_main(arguments.commands, arguments.bots)) else 1)


if __name__ == "__main__":
    main()
