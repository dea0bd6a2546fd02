"""B4: how many callbacks of bots a second are applied."""

import uuid

from bench.blocks import Block, RunBlock, cpu_s_per_operation, joined, require_only
from bench.contest import compare, median_of, play, remarks, start_both
from bench.metric import Effort, Measured, Metric
from bench.processes import Server
from bench.wire import request
from bench.world import SECRET, World, open_world
from usher.protocol.credentials import BotCredentials, BotIdentity

_MEETINGS = 500
_CONNECTIONS = 16
_MOST = 2.5
_LEAST_RATE = 1500

_PREPARE = """
WITH m AS (
    INSERT INTO meetings (
        user_id, platform, platform_specific_id, meeting_url, bot_name, status, version, connection_id,
        task, desired_task, deadline_at, bot_container_id)
    SELECT $1, 'room', $2 || n, 'http://127.0.0.1/room/' || $2 || n, 'Notetaker', 'starting', 2,
        gen_random_uuid()::text, 'transcribe', 'transcribe', now() + interval '1 hour', 'usher-bench-' || n
    FROM generate_series(1, $3::integer) AS n
    RETURNING id, connection_id
), first AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 1, 'requested', 'none', 'requested', 'user', 1 FROM m
), second AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 2, 'launch_begun', 'requested', 'starting', 'dispatcher', 1 FROM m
)
SELECT id, connection_id FROM m
"""

_ACTIVE = "SELECT count(*) FROM meetings WHERE id = ANY ($1::bigint[]) AND status = 'active' AND version = 4"


async def _calling_back(world: World, target: Server, side: str) -> RunBlock:
    """Return what reports of each of many starting bots that it is joining, and then that it is in the meeting."""
    (owner,) = await world.customers(side, 1)
    credentials = BotCredentials(SECRET.encode())

    def callback(bot: BotIdentity, name: str, body: dict[str, object]) -> str:
        headers = {"Authorization": f"Bearer {credentials.token(bot)}"}
        return request("POST", f"/internal/bots/{bot.connection_id}/{name}", headers, body)

    async def run_block(_number: int) -> Block:
        rooms, count = f"{uuid.uuid4().hex[:12]}-", world.effort.sized(_MEETINGS)
        bots = [BotIdentity(*row) for row in await world.database.fetch(_PREPARE, owner.user_id, rooms, count)]
        joining = [callback(bot, "status", {"seq": 1, "status": "joining"}) for bot in bots]
        started = [callback(bot, "started", {"seq": 2}) for bot in bots]
        # One after the other: on 16 connections a bot's second report could overtake its first.
        parts = [await world.load.run(target, calls, connections=_CONNECTIONS) for calls in (joining, started)]
        block = require_only(200, joined(*parts))
        applied = await world.database.fetchval(_ACTIVE, [bot.meeting_id for bot in bots])
        if applied != count:
            raise RuntimeError(f"{side}: {count - applied} of {count} meetings did not become active")
        return block

    return run_block


def _rate(block: Block) -> float:
    return block.rate


def _time(block: Block) -> float:
    return 1 / block.rate


async def measure(effort: Effort) -> Measured:
    """Report the progress of bots from 16 connections, and compare the time that a callback takes."""
    async with open_world(effort) as world:
        both = await start_both(world, "floor-callback")
        usher = await _calling_back(world, both.usher, "usher")
        floor = await _calling_back(world, both.floor, "floor")
        rounds = await play(world, usher, floor)
    ratio, rate = compare(rounds, _time), median_of(rounds.usher, _rate)
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=rate,
        met=ratio.value <= _MOST and rate >= _LEAST_RATE,
        cpu_s_per_op=cpu_s_per_operation(rounds.usher),
        remarks=remarks(rounds),
    )


METRIC = Metric(
    title="callback of a bot applied (`status`, `started`), 16 clients; the ratio is that of the times",
    floor="FastAPI and one compare-and-set with one insert, in one statement",
    unit="callbacks/s",
    target=f"ratio <= {_MOST}, >= {_LEAST_RATE}/s",
    measure=measure,
)
