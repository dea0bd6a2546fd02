"""B9: how many segments a second come from the stream into PostgreSQL, and how soon one is safe."""

import signal
import uuid
from collections.abc import Sequence
from statistics import median
from time import monotonic, process_time

from redis.asyncio import Redis

from bench.blocks import Block, RunBlock, cpu_s_per_operation
from bench.contest import Contest, compare, median_of, play, remarks
from bench.floors import collect
from bench.hearsay import Bots, Steady, emptied, write
from bench.metric import Effort, Measured, Metric
from bench.processes import Server
from bench.world import SECRET, World, open_world
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.segments import STREAM

_MEETINGS = 200
_SEGMENTS = 10_000
_PER_ENTRY = 2
_STEADY_PER_S = 5_000
_STEADY = 50_000
_LEAST = 0.8
_LEAST_RATE = 15_000
_MOST_MS = 300
_REDIS_S = 30.0

_PREPARE = """
WITH m AS (
    INSERT INTO meetings (
        user_id, platform, platform_specific_id, meeting_url, bot_name, status, version, connection_id,
        task, desired_task, deadline_at)
    SELECT $1, 'room', $2 || n, 'http://127.0.0.1/room/' || $2 || n, 'Notetaker', 'requested', 1,
        gen_random_uuid()::text, 'transcribe', 'transcribe', now() + interval '1 hour'
    FROM generate_series(1, $3::integer) AS n
    RETURNING id, connection_id
), first AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 1, 'requested', 'none', 'requested', 'user', 1 FROM m
)
SELECT id, connection_id FROM m
"""

_STORED = "SELECT count(*) FROM transcriptions WHERE meeting_id = ANY ($1::bigint[]) AND completed"


class _Side:
    """A collector and the bots whose segments it collects."""

    def __init__(self, world: World, server: Server, redis: Redis, stream: str, known: Sequence[BotIdentity]) -> None:
        self._world = world
        self._server = server
        self._redis = redis
        self._stream = stream
        self._meetings = [bot.meeting_id for bot in known]
        self._bots = Bots(known, BotCredentials(SECRET.encode()), per_entry=_PER_ENTRY)
        self._written = 0

    async def run_block(self, _number: int) -> Block:
        """Let a backlog build up while the collector is stopped, and time how long it takes to work it off."""
        entries = self._bots.entries(self._world.effort.sized(_SEGMENTS))
        self._server.signal(signal.SIGSTOP)
        try:
            await write(self._redis, self._stream, entries)
        finally:
            self._server.signal(signal.SIGCONT)
        cpu_s, own_cpu_s, began = self._server.cpu_s, process_time(), monotonic()
        await emptied(self._redis, self._stream)
        elapsed_s, segments = monotonic() - began, len(entries) * _PER_ENTRY
        block = Block(
            latencies_s=(elapsed_s / segments,) * segments,
            elapsed_s=elapsed_s,
            statuses={},
            server_cpu_s=self._server.cpu_s - cpu_s,
            client_cpu_s=process_time() - own_cpu_s,
        )
        await self._check(segments)
        return block

    async def steady(self) -> Steady:
        """Let segments come at a steady rate, and return how long each took to be safe."""
        entries = self._bots.entries(self._world.effort.sized(_STEADY))
        steady = Steady(self._redis, self._stream, _STEADY_PER_S / _PER_ENTRY, [])
        await steady.run(entries)
        await self._check(len(entries) * _PER_ENTRY)
        return steady

    async def _check(self, new: int) -> None:
        """Count what is in the database.

        Raises:
            RuntimeError: Something is missing that was acknowledged.
        """
        self._written += new
        stored = await self._world.database.fetchval(_STORED, self._meetings)
        if stored != self._written:
            raise RuntimeError(f"{self._stream}: {self._written - stored} of {self._written} segments are not stored")


async def _side(world: World, server: Server, redis: Redis, stream: str) -> _Side:
    (owner,) = await world.customers(stream.replace(":", "-"), 1)
    rows = await world.database.fetch(_PREPARE, owner.user_id, f"{uuid.uuid4().hex[:12]}-", _MEETINGS)
    return _Side(world, server, redis, stream, [BotIdentity(*row) for row in rows])


def _run(side: _Side) -> RunBlock:
    return side.run_block


def _time(block: Block) -> float:
    return 1 / block.rate


def _rate(block: Block) -> float:
    return block.rate


async def measure(effort: Effort) -> Measured:
    """Work off one backlog after another, both sides in turn; then let segments come at a steady rate."""
    async with (
        open_world(effort) as world,
        Redis.from_url(world.environment["USHER_REDIS__URL"], socket_timeout=_REDIS_S) as redis,
    ):
        both = Contest(await world.serve("collector"), await world.serve("floor-collector"))
        usher = await _side(world, both.usher, redis, STREAM)
        floor = await _side(world, both.floor, redis, collect.STREAM)
        rounds = await play(world, _run(usher), _run(floor))
        steady = await usher.steady()
    delays_ms = sorted(1000 * delay_s for delay_s in steady.delays_s)
    p99_ms = delays_ms[int(0.99 * (len(delays_ms) - 1))]
    times = compare(rounds, _time)
    ratio, rate = 1 / times.value, median_of(rounds.usher, _rate)
    return Measured(
        ratio=ratio,
        ci95=(1 / times.high, 1 / times.low),
        value=rate,
        met=ratio >= _LEAST and rate >= _LEAST_RATE and p99_ms <= _MOST_MS,
        cpu_s_per_op=cpu_s_per_operation(rounds.usher),
        remarks=(
            *remarks(rounds),
            f"at {_STEADY_PER_S} segments/s safe after: p50 {median(delays_ms):.0f} ms, p99 {p99_ms:.0f} ms",
            f"slowest {delays_ms[-1]:.0f} ms; written at most {1000 * steady.late_s:.0f} ms late",
        ),
    )


METRIC = Metric(
    title="segments from the stream to PostgreSQL, committed; the ratio is that of the rates",
    floor="same batches: XREADGROUP, one upsert, XACK",
    unit="segments/s",
    target=f"ratio >= {_LEAST}, >= {_LEAST_RATE}/s, safe after <= {_MOST_MS} ms (p99) at {_STEADY_PER_S}/s",
    measure=measure,
)
