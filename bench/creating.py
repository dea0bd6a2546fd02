"""`POST /bots` in blocks, against Usher or the floor: the same bytes to both."""

import random
from collections.abc import Sequence

from bench.blocks import Block, RunBlock, require_only
from bench.processes import Server
from bench.wire import request
from bench.world import Customer, World

_CUSTOMERS = 64


def create_request(customer: Customer, room: str, *, bot_name: str = "Notetaker") -> str:
    """Return the request for a bot in a room: Usher goes by the key, the floor by the user's id."""
    return request(
        "POST",
        "/bots",
        {"X-API-Key": customer.api_key, "X-User-Id": str(customer.user_id)},
        {
            "platform": "room",
            "native_meeting_id": room,
            "bot_name": bot_name,
            "language": "en",
            "task": "transcribe",
        },
    )


async def creating(world: World, target: Server, side: str, *, operations: int, connections: int) -> RunBlock:
    """Return what creates meetings, each in a room of its own, for users drawn by lot.

    Args:
        world: Where the users are made.
        target: The server.
        side: Name of the users and rooms of this side, so that the two sides never meet in a row of the database.
        operations: Of a block.
        connections: How many wait for an answer at a time.
    """
    customers = await world.customers(side, _CUSTOMERS)
    chance = random.Random(side)  # noqa: S311 - a choice of users, not a secret

    async def run_block(number: int) -> Block:
        drawn: Sequence[Customer] = chance.choices(customers, k=operations)
        requests = [create_request(one, f"{side}-{number}-{place}") for place, one in enumerate(drawn)]
        return require_only(201, await world.load.run(target, requests, connections=connections))

    return run_block
