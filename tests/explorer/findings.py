"""From a simulated installation to evidence, and what the checker says of it."""

from tests.explorer.faults import now_s
from tests.explorer.simulation import Simulation
from tests.explorer.store import EPOCH
from tests.support.invariants import (
    Allowance,
    CommandRecord,
    Evidence,
    Leftover,
    Life,
    StoredSegment,
    violations,
)

from usher.domain.lifecycle import Effect


def evidence(world: Simulation, *, settled: bool, allowance: Allowance) -> Evidence:
    """Return everything that is known of what happened so far."""
    tables, begin_s = world.store.tables, EPOCH.timestamp()
    return Evidence(
        meetings=list(tables.meetings.values()),
        events=tables.events,
        limits={user.user_id: user.max_concurrent_bots for user in tables.users.values()},
        lives=world.book.lives(),
        now_s=begin_s + now_s(),
        outages=[(begin_s + a, begin_s + b) for a, b in world.outages.spans],
        settled=settled,
        policy=world.policy,
        allowance=allowance,
        silences=_silences(world),
        workloads={connection_id: log.workload for connection_id, log in world.fleet.logs.items()},
        commands=_commands(world),
        executed={connection_id: log.executed for connection_id, log in world.fleet.logs.items()},
        confirmed=world.network.overheard.confirmed,
        acknowledged=world.redis.acknowledged,
        stored=[
            StoredSegment(meeting_id, segment_id, one.revision, one.completed)
            for meeting_id, segments in tables.segments.items()
            for segment_id, one in segments.items()
        ],
        accounts=frozenset(world.redis.access.passwords),
        leftovers=[
            Leftover(row.meeting_id, row.effect, buried=row.buried_at is not None)
            for row in tables.outbox.values()
            if row.effect is not Effect.NOTIFY or row.buried_at is not None
        ],
        answers=world.network.overheard.answers,
        key_uses=world.diary.key_uses,
        subscribers={one.user_id for one in tables.endpoints.values()},
        deliveries=world.inbox.deliveries(),
        undelivered={
            (row.meeting_id, row.message.version)
            for row in tables.outbox.values()
            if row.effect is Effect.NOTIFY and row.message is not None
        },
        sightings=world.diary.sightings,
        moves=world.store.moves,
        settlements=world.store.settlements,
    )


def complaints(world: Simulation, *, settled: bool, allowance: Allowance) -> list[str]:
    """Return everything that is wrong: violations, errors that no code expects, and text that got lost for nothing."""
    found = violations(evidence(world, settled=settled, allowance=allowance))
    return [
        *found,
        *(f"bug: {what}" for what in dict.fromkeys(world.chronicle.bugs)),
        *(_lost_text(world) if settled else ()),
    ]


def _lost_text(world: Simulation) -> list[str]:
    """Return what bots heard that ended in good order, and that is not stored."""
    lost = []
    for connection_id, log in world.fleet.logs.items():
        if log.exit_code is None or log.lost:
            continue
        stored = world.store.tables.segments.get(log.workload.meeting_id, {})
        missing = [one for one in log.said if one not in stored or not stored[one].completed]
        if missing:
            lost.append(
                f"I5: meeting {log.workload.meeting_id}: {len(missing)} of {len(log.said)} segments that the bot of"
                f" connection {connection_id[:8]} heard are not stored, although it ended in good order"
            )
    return lost


def _commands(world: Simulation) -> dict[str, list[CommandRecord]]:
    found: dict[str, list[CommandRecord]] = {}
    for rows in world.store.tables.commands.values():
        for row in rows:
            connection_id, seq = row.command.connection_id, row.command.seq
            log = world.fleet.logs.get(connection_id)
            executed_s = None if log is None else log.executed_s.get(seq)
            record = CommandRecord(
                seq=seq,
                action=row.command.action,
                outcome=row.outcome,
                sent_s=world.store.sent_s.get((connection_id, seq)),
                executed_s=None if executed_s is None else EPOCH.timestamp() + executed_s,
            )
            found.setdefault(connection_id, []).append(record)
    return found


def _silences(world: Simulation) -> list[Life]:
    begin_s = EPOCH.timestamp()
    return [Life(one.workload, begin_s + one.started_s, begin_s + (one.ended_s or 0.0)) for one in world.fleet.silences]
