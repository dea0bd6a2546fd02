"""B7: what a pass of the reconciler costs while ten thousand bots do well, and for how long it keeps others waiting."""

import asyncio
import time
from collections.abc import Mapping
from statistics import median

from bench.metric import Effort, Measured, Metric
from bench.world import SECRET, World, open_world
from usher.adapters.memory.launcher import MemoryLauncher
from usher.adapters.memory.redis import MemoryFeed, MemorySegmentStream
from usher.app.collector import Collector
from usher.app.last_words import Legacy
from usher.app.leases import LeaseBook
from usher.app.reconciler import Reconciler
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.domain.policy import Policy
from usher.domain.reconcile import Observation, Running, WorkloadName
from usher.protocol.credentials import BotCredentials

_BOTS = 10_000
_PASSES = 60
_WARM_UP = 5
_PAUSE_S = 0.05
_TICK_S = 0.0005
_MOST_MS = 20.0
_MOST_STALL_MS = 5.0

_PREPARE = """
WITH m AS (
    INSERT INTO meetings (
        user_id, platform, platform_specific_id, meeting_url, bot_name, status, version, connection_id,
        task, desired_task, deadline_at, bot_container_id, start_time)
    SELECT $1, 'room', 'bench-' || n, 'http://127.0.0.1/room/bench-' || n, 'Notetaker', 'active', 3,
        gen_random_uuid()::text, 'transcribe', 'transcribe', now() + interval '4 hours', 'usher-bench-' || n, now()
    FROM generate_series(1, $2::integer) AS n
    RETURNING id, attempt
), first AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 1, 'requested', 'none', 'requested', 'user', 1 FROM m
), second AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 2, 'launch_begun', 'requested', 'starting', 'dispatcher', 1 FROM m
), third AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 3, 'admitted', 'starting', 'active', 'bot', 1 FROM m
), leased AS (
    INSERT INTO leases (meeting_id, attempt, expires_at) SELECT id, attempt, now() + interval '1 hour' FROM m
)
SELECT id, attempt FROM m
"""


class _Listing(MemoryLauncher):
    """A launcher that lists workloads which run, and has nothing else to do."""

    def __init__(self, names: list[WorkloadName]) -> None:
        super().__init__()
        self._names = names

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all of them in a mapping of its own, as every launcher does."""
        return dict.fromkeys(self._names, Running())


class _Watch:
    """Looks whether the event loop lets others have their turn."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        """Note by how much a short sleep is overslept, until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - began - _TICK_S)


def _reconciler(world: World, launcher: MemoryLauncher) -> Reconciler:
    policy, credentials, feed = Policy(), BotCredentials(SECRET.encode()), MemoryFeed()
    transitions = Transitions(world.store, feed, policy, lambda: None, lambda _command: None)
    collector = Collector(MemorySegmentStream(), world.store, feed, credentials)
    reports = Reports(world.store, transitions, credentials, LeaseBook(world.store, policy))
    return Reconciler(world.store, transitions, launcher, Legacy(launcher, reports, collector, credentials), policy)


async def measure(effort: Effort) -> Measured:
    """Prepare meetings that are in order, reconcile them again and again, and watch the event loop meanwhile."""
    durations_s, stalls_s, watch = [], [], _Watch()
    async with open_world(effort) as world:
        (owner,) = await world.customers("owner", 1)
        rows = await world.database.fetch(_PREPARE, owner.user_id, effort.sized(_BOTS))
        await world.database.execute("VACUUM ANALYZE meetings")
        await world.store.attend(silence_s=Policy().silence_s)
        reconciler = _reconciler(world, _Listing([WorkloadName(*row) for row in rows]))
        watching = asyncio.create_task(watch.run())
        cpu_s = 0.0
        for number in range(_WARM_UP + effort.sized(_PASSES)):
            await asyncio.sleep(_PAUSE_S)
            watch.longest_s, began, cpu_began = 0.0, time.perf_counter(), time.process_time()
            await reconciler.reconcile()
            duration_s, spent_s = time.perf_counter() - began, time.process_time() - cpu_began
            await asyncio.sleep(2 * _TICK_S)
            if number >= _WARM_UP:
                durations_s.append(duration_s)
                stalls_s.append(watch.longest_s)
                cpu_s += spent_s
        watching.cancel()
        events = await world.database.fetchval("SELECT count(*) FROM meeting_events WHERE version > 3")
    if events:
        raise RuntimeError(f"the fleet was not idle: {events} findings")
    p50_ms, stall_ms = median(durations_s) * 1000, median(stalls_s) * 1000
    return Measured(
        ratio=None,
        ci95=None,
        value=p50_ms,
        met=p50_ms <= _MOST_MS and stall_ms <= _MOST_STALL_MS,
        cpu_s_per_op=cpu_s / len(durations_s),
        remarks=(
            f"{len(rows)} bots, {len(durations_s)} passes, the slowest {max(durations_s) * 1000:.1f} ms",
            f"longest stall in a pass: {stall_ms:.1f} ms (median), {max(stalls_s) * 1000:.1f} ms (worst)",
        ),
    )


METRIC = Metric(
    title="a pass of the reconciler over 10,000 bots that are well",
    floor=None,
    unit="ms p50",
    target=f"<= {_MOST_MS:g} ms, event loop stalled <= {_MOST_STALL_MS:g} ms",
    measure=measure,
)
