"""Evidence of a story with real processes: from PostgreSQL, the launcher, the process table and the bots' diaries."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from redis.exceptions import RedisError
from tests.support.chaos_burglar import FORGED
from tests.support.chaos_diaries import read_diaries
from tests.support.chaos_moves import bot_moves
from tests.support.chaos_witness import held, settlements
from tests.support.chaos_world import LIMIT, World
from tests.support.invariants import violations
from tests.support.invariants.evidence import (
    Access,
    Allowance,
    Answer,
    CommandRecord,
    Evidence,
    Fill,
    Leftover,
    Life,
    StoredSegment,
)

from usher.adapters.redis.access import RedisBotAccess
from usher.adapters.redis.connection import connect
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import TERMINAL, Effect
from usher.domain.policy import Policy
from usher.ports import Mark, Page
from usher.protocol.segments import STREAM

_SEGMENTS = "SELECT meeting_id, segment_id, revision, completed FROM transcriptions"
_FORGED = "SELECT meeting_id, segment_id FROM transcriptions WHERE segment_id LIKE $1"
_COMMANDS = "SELECT connection_id, seq, action, outcome FROM commands ORDER BY meeting_id, seq"
_OUTBOX = "SELECT meeting_id, effect, buried_at IS NOT NULL FROM outbox"

_ANSWER = ("report", "status", "outcome", "arrived_s", "answered_s")

ALLOWANCE = Allowance(sweep_s=40.0, detection_s=60.0, kill_s=40.0, deadline_s=40.0)
"""On a busy machine of two cores, with claims of five seconds to wait for and managers that die."""

_SETTLE_S = 120.0
_LOOK_S = 0.3
_MOST_MEETINGS = 1000


async def unsettled(world: World) -> list[str]:
    """Return what is still under way, in words; empty if everything has come to its end."""
    world.require_managers()
    open_ones = await world.rows("SELECT id, status FROM meetings WHERE status <> ALL ($1::text[])", sorted(TERMINAL))
    owed = await world.rows("SELECT effect, meeting_id FROM outbox WHERE buried_at IS NULL")
    known = await world.launcher.list() or {}
    return [
        *(f"meeting {meeting_id} is {status}" for meeting_id, status in open_ones),
        *(f"{effect} of meeting {meeting_id} is owed" for effect, meeting_id in owed),
        *(f"{name} is known to the launcher" for name in known),
        *(f"{name} has processes" for name in world.lives.look()),
        *await _left_at_redis(world),
    ]


async def converged(
    world: World, *, asked_for: Callable[[Life], bool] = lambda _: True, twin: Evidence | None = None
) -> Evidence:
    """Wait until everything has come to its end and return the evidence, which has to be without violations.

    Args:
        world: Where the story was played.
        asked_for: Says of a run whether it was the managers', not the test's own.
        twin: Evidence of the same story with another wall clock.
    """
    left = ["nobody has looked"]
    try:
        async with asyncio.timeout(_SETTLE_S):
            while True:
                left = await unsettled(world)
                if not left:
                    break
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise AssertionError("it does not come to an end: " + "; ".join(left)) from None
    evidence = await gather(world)
    evidence = replace(evidence, lives=[*filter(asked_for, evidence.lives)], twin=twin)
    if found := violations(evidence):
        raise AssertionError("violated: " + "; ".join(found))
    return evidence


async def gather(world: World) -> Evidence:
    """Collect what is known of a story."""
    meetings = await world.store.list_of_user(world.user_id, Page(limit=_MOST_MEETINGS))
    events = {one.meeting_id: await world.store.events(one.meeting_id) for one in meetings}
    diaries = read_diaries(world.diaries)
    feed, policy = await world.caller.viewer.caught_up(), world.pace.policy()
    lives = world.lives.lives()
    await world.burglar.try_the_dead()
    return Evidence(
        meetings=meetings,
        events=events,
        limits={world.user_id: LIMIT},
        lives=lives,
        now_s=await world.now_s(),
        outages=world.outages,
        settled=not await unsettled(world),
        policy=policy,
        allowance=ALLOWANCE,
        commands=await _commands(world),
        executed={one.connection_id: [line["seq"] for line in one.lines("executed")] for one in diaries},
        confirmed=frozenset(
            Mark(one.meeting_id, line["segment_id"], line["revision"])
            for one in diaries
            for line in one.lines("confirmed")
        ),
        stored=[StoredSegment(*row) for row in await world.rows(_SEGMENTS)],
        accounts=await _accounts(world),
        leftovers=[
            Leftover(meeting_id, Effect(effect), buried) for meeting_id, effect, buried in await world.rows(_OUTBOX)
        ],
        answers=[
            Answer(one.connection_id, **{name: line[name] for name in _ANSWER})
            for one in diaries
            for line in one.lines("answered")
        ],
        deliveries=world.inbox.deliveries,
        key_uses=world.caller.key_uses,
        sightings=[*world.caller.sightings, *world.caller.viewer.frames],
        feeds=feed,
        accesses=[*world.burglar.accesses, *await _forged(world)],
        settlements=await settlements(world.rows),
        moves=bot_moves(events, diaries, time.time() - time.monotonic()),
        fills=[*world.gauges.fills(), *await held(world.rows, policy), *_attempts(lives, policy)],
    )


async def _forged(world: World) -> list[Access]:
    """Return what bots have put into the transcripts of others."""
    connections = {row[0]: row[1] for row in await world.rows("SELECT id, connection_id FROM meetings")}
    return [
        Access(segment_id.removeprefix(FORGED), connections[meeting_id], "the transcript", time.time())
        for meeting_id, segment_id in await world.rows(_FORGED, f"{FORGED}%")
    ]


def _attempts(lives: Sequence[Life], policy: Policy) -> list[Fill]:
    """Return how often the bots of meetings were started."""
    most = max((life.workload.attempt for life in lives), default=0)
    return [Fill("the number of attempts of a meeting", most, policy.max_attempts)]


async def _commands(world: World) -> dict[str, list[CommandRecord]]:
    found: dict[str, list[CommandRecord]] = defaultdict(list)
    for connection_id, seq, action, outcome in await world.rows(_COMMANDS):
        found[connection_id].append(CommandRecord(seq, action, outcome))
    return found


async def _accounts(world: World) -> frozenset[str]:
    async with connect(world.redis.url) as client:
        return await RedisBotAccess(client).accounts()


async def _left_at_redis(world: World) -> list[str]:
    try:
        async with connect(world.redis.url) as client:
            entries = await client.xlen(STREAM)
            accounts = await RedisBotAccess(client).accounts()
    except (RedisError, Unavailable, OSError):
        return ["Redis does not answer"]
    return [f"{entries} entries are in the stream"] * bool(entries) + [f"{one} has an account" for one in accounts]
