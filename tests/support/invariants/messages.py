"""Rules on what goes between parts: I5, I7, I9, I10, I11, I13, I14 and I16."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.support.invariants.evidence import Evidence, KeyUse

from usher.domain.lifecycle import HAS_WORKLOAD, TERMINAL
from usher.domain.reconcile import WorkloadName
from usher.ports import EXPIRED

_NOWHERE = WorkloadName(0, 0)


def confirmed_is_stored(evidence: Evidence) -> Iterator[str]:
    """I5: what a bot was told is stored, or is off the stream, is stored, final and no older; one row a segment."""
    rows = Counter((one.meeting_id, one.segment_id) for one in evidence.stored)
    for (meeting_id, segment_id), count in rows.items():
        if count > 1:
            yield f"I5: meeting {meeting_id}: segment {segment_id} has {count} rows"
    final = {(one.meeting_id, one.segment_id): one.revision for one in evidence.stored if one.completed}
    for how, marks in (("confirmed", evidence.confirmed), ("taken off the stream", evidence.acknowledged)):
        for mark in sorted(set(marks)):
            if mark.meeting_id in evidence.deleted:
                continue
            stored = final.get((mark.meeting_id, mark.segment_id))
            if stored is None or stored < mark.revision:
                what = f"revision {mark.revision} of segment {mark.segment_id} was {how}"
                yield f"I5: meeting {mark.meeting_id}: {what}, and {stored or 'none'} is stored"


def commands_run_once(evidence: Evidence) -> Iterator[str]:
    """I7: a bot executes its commands in their order, each at most once, and none that it was not sent."""
    for connection_id, numbers in evidence.executed.items():
        for before, after in pairwise(numbers):
            if after <= before:
                yield f"I7: connection {connection_id}: command {after} was executed after {before}"
        sent = evidence.commands.get(connection_id, ())
        known = {command.seq for command in sent}
        for seq in sorted(set(numbers) - known):
            yield f"I7: connection {connection_id}: command {seq} was executed, but nobody sent it"
        for command in sent:
            if command.outcome == "applied" and command.seq not in numbers:
                yield f"I7: connection {connection_id}: command {command.seq} is applied, but was not executed"


def commands_run_soon(evidence: Evidence) -> Iterator[str]:
    """I7: a bot that is alive carries its next command out soon, whatever became of the message.

    A command that was overtaken is void: the later one says all that is wanted.
    """
    lives = {life.workload: life for life in evidence.lives}
    silent = {life.workload for life in evidence.silences}
    for connection_id, commands in evidence.commands.items():
        life = lives.get(evidence.workloads.get(connection_id, _NOWHERE))
        if life is None or life.workload in silent or connection_id not in evidence.executed:
            continue
        free_s = life.started_s
        for command in commands:
            overtaken = command.executed_s is None and any(
                seq > command.seq for seq in evidence.executed[connection_id]
            )
            if command.sent_s is None or overtaken:
                continue
            until_s = evidence.until_s(life) if command.executed_s is None else command.executed_s
            waited_s = evidence.calm_s(max(free_s, command.sent_s), until_s)
            if waited_s > evidence.allowance.command_s:
                yield f"I7: connection {connection_id}: command {command.seq} waited for {waited_s:.1f} s"
            free_s = max(free_s, until_s)


def commands_are_accounted_for(evidence: Evidence) -> Iterator[str]:
    """I7: once an attempt is over, each of its commands is acknowledged, or reported as expired."""
    current = {meeting.connection_id: meeting for meeting in evidence.meetings}
    for connection_id, commands in evidence.commands.items() if current else ():
        meeting = current.get(connection_id)
        over = meeting is None or meeting.status in TERMINAL
        for command in commands:
            if over and command.outcome is None:
                yield f"I7: connection {connection_id}: command {command.seq} ({command.action}) has no outcome"
            if command.outcome not in {None, "applied", "refused", EXPIRED}:
                yield f"I7: connection {connection_id}: command {command.seq} is {command.outcome!r}"


def keys_make_one_meeting(evidence: Evidence) -> Iterator[str]:
    """I9: one idempotency key and body make one meeting; another body under the key makes none."""
    uses: dict[tuple[int, str], list[KeyUse]] = defaultdict(list)
    for use in evidence.key_uses:
        if use.meeting_id is not None:
            uses[use.user_id, use.key].append(use)
    for (user_id, key), of_key in uses.items():
        meetings, bodies = {use.meeting_id for use in of_key}, {use.body for use in of_key}
        if len(meetings) > 1:
            yield f"I9: user {user_id}: key {key} made the meetings {sorted(m for m in meetings if m is not None)}"
        if len(bodies) > 1:
            yield f"I9: meeting {of_key[0].meeting_id}: key {key} of user {user_id} was taken with {len(bodies)} bodies"


def webhooks_arrive(evidence: Evidence) -> Iterator[str]:
    """I10: each committed transition arrives at least once under one id; none arrives that was not committed."""
    if evidence.deliveries is None:
        return
    facts = {(meeting_id, line.version) for meeting_id, history in evidence.events.items() for line in history}
    ids: dict[tuple[int, int], set[str]] = defaultdict(set)
    for one in evidence.deliveries:
        ids[one.meeting_id, one.version].add(one.webhook_id)
    for meeting_id, version in sorted(ids.keys() - facts):
        yield f"I10: meeting {meeting_id}: a webhook told of version {version}, which was never committed"
    users = evidence.subscribers
    told = {meeting.meeting_id for meeting in evidence.meetings if users is None or meeting.user_id in users}
    owed = {(meeting_id, version) for meeting_id, version in facts if meeting_id in told and evidence.settled}
    for meeting_id, version in sorted(owed - ids.keys() - set(evidence.undelivered)):
        yield f"I10: meeting {meeting_id}: no webhook told of version {version}"
    for (meeting_id, version), known in ids.items():
        if len(known) > 1:
            yield f"I10: meeting {meeting_id}: version {version} came under {len(known)} ids"


def feeds_have_no_gaps(evidence: Evidence) -> Iterator[str]:
    """I11: a live subscriber gets the versions of a meeting in order, without gaps, and in the end all of them."""
    newest: dict[tuple[str, int], int] = {}
    for frame in evidence.feeds:
        key = (frame.observer, frame.meeting_id)
        if key in newest and frame.version != newest[key] + 1:
            yield f"I11: meeting {frame.meeting_id}: {frame.observer} got version {frame.version} after {newest[key]}"
        newest[key] = frame.version
    for (observer, meeting_id), version in newest.items() if evidence.settled else ():
        last = max((line.version for line in evidence.events.get(meeting_id, ())), default=version)
        if version < last:
            yield f"I11: meeting {meeting_id}: {observer} got version {version} last, and there is version {last}"


def credentials_reach_one_bot(evidence: Evidence) -> Iterator[str]:
    """I13: a bot's credentials open nothing of another's, and die with the attempt."""
    for access in evidence.accesses:
        if access.connection_id != access.target:
            yield f"I13: connection {access.connection_id}: reached {access.target} on {access.where}"
        if access.over:
            yield f"I13: connection {access.connection_id}: reached {access.where} although its attempt was over"
    if evidence.accounts is None or not evidence.settled:
        return
    wanted = {meeting.connection_id for meeting in evidence.meetings if meeting.status in HAS_WORKLOAD}
    for connection_id in sorted(set(evidence.accounts) - wanted):
        yield f"I13: connection {connection_id}: has an account at Redis although its attempt is over"


def deleted_is_gone(evidence: Evidence) -> Iterator[str]:
    """I14: no store returns text of a transcript that was deleted."""
    for one in evidence.stored:
        if one.meeting_id in evidence.deleted:
            yield f"I14: meeting {one.meeting_id}: segment {one.segment_id} is stored although it was deleted"
    for meeting_id, store in evidence.traces:
        yield f"I14: meeting {meeting_id}: {store} holds text that was deleted"


def nothing_overflows(evidence: Evidence) -> Iterator[str]:
    """I16: nothing that has a limit is ever fuller."""
    for one in evidence.fills:
        if one.peak > one.limit:
            yield f"I16: {one.name} held {one.peak}, and may hold {one.limit}"


def nothing_is_owed(evidence: Evidence) -> Iterator[str]:
    """I3: when everything has settled, no effect is owed, and none was buried."""
    for one in evidence.leftovers:
        if one.buried:
            yield f"I3: meeting {one.meeting_id}: the effect {one.effect} was buried"
        elif evidence.settled:
            yield f"I3: meeting {one.meeting_id}: the effect {one.effect} is still owed"
