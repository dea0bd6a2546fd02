"""Changing a meeting, in memory: first every check, then every write."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from usher.adapters.memory.store_tables import CommandRow, OwedRow, Tables
from usher.domain.errors import InvariantBroken
from usher.domain.lifecycle import IN_MEETING, TABLE, TERMINAL, Effect, Transition
from usher.domain.notices import NoticeType, notices_of
from usher.ports import (
    EXPIRED,
    LANES,
    RECONFIGURE,
    Change,
    Configuration,
    Meeting,
    MeetingEvent,
    Message,
    Owed,
    Seat,
    StoredCommand,
    Void,
)

_STEPS = {Seat.TAKE: 1, Seat.KEEP: 0, Seat.RELEASE: -1}
_KNOWN = {(row.from_state, row.event, row.to_state) for row in TABLE}


def write_change(tables: Tables, wanted: Change) -> Meeting | Void:
    """See `usher.ports.Meetings.change`."""
    meeting = tables.meetings.get(wanted.meeting_id)
    void = _void(tables, wanted, meeting)
    if meeting is None or void is not None:
        return void or Void.STALE
    active = tables.active_bots[meeting.user_id] + _STEPS[wanted.seat]
    require_row(wanted.transition, meeting)
    if active < 0:
        raise InvariantBroken("a seat was released that nobody held")
    changed = _changed(meeting, wanted, tables.now())
    if changed.connection_id != meeting.connection_id and changed.connection_id in tables.connections:
        raise InvariantBroken("a connection was used twice")
    tables.active_bots[meeting.user_id] = active
    _write(tables, wanted, changed)
    return changed


def require_row(transition: Transition, meeting: Meeting | None) -> None:
    """Hold a transition to the table, as the keys of the database do.

    Raises:
        InvariantBroken: The table has no such row, or the meeting is not where the row begins.
    """
    known = (transition.from_state, transition.event, transition.to_state) in _KNOWN
    if not known or transition.from_state is not (meeting.status if meeting else None):
        raise InvariantBroken(f"no such transition: {transition.event} to {transition.to_state}")


def owe(tables: Tables, meeting: Meeting, effects: Iterable[Owed], told: Iterable[NoticeType]) -> None:
    """Write the effects of a transition to the outbox, and the word of it that the user's webhooks are owed."""
    for owed in effects:
        owe_effect(tables, meeting, owed)
    for _, endpoint in sorted(tables.endpoints.items()):
        if endpoint.user_id == meeting.user_id and endpoint.enabled:
            for kind in sorted(endpoint.events.intersection(told)):
                message = Message(endpoint.webhook_id, meeting.meeting_id, meeting.version, kind)
                owe_effect(tables, meeting, Owed(Effect.NOTIFY), message)


def owe_effect(tables: Tables, meeting: Meeting, owed: Owed, message: Message | None = None) -> None:
    """Write one effect to the outbox, with the message to send if it is `notify`."""
    lane, due_at = LANES[owed.effect], tables.after(owed.delay_s)
    effect_id = next(tables.ids)
    tables.outbox[effect_id] = OwedRow(
        effect_id, meeting.meeting_id, meeting.attempt, lane, owed.effect, due_at, message=message
    )


def _void(tables: Tables, wanted: Change, meeting: Meeting | None) -> Void | None:
    if wanted.claim is not None:
        held = tables.held(wanted.claim.effect_id, wanted.claim.token)
        if held is None or held.meeting_id != wanted.meeting_id:
            return Void.CLAIM_LOST
    if meeting is None or meeting.version != wanted.expected_version:
        return Void.STALE
    limit = tables.users[meeting.user_id].max_concurrent_bots
    if wanted.seat is Seat.TAKE and tables.active_bots[meeting.user_id] >= limit:
        return Void.NO_SEAT
    return None


def _changed(meeting: Meeting, wanted: Change, now: datetime) -> Meeting:
    to_state, retry = wanted.transition.to_state, wanted.next_connection_id is not None
    start_time = meeting.start_time or (now if to_state in IN_MEETING else None)
    standing = (
        replace(meeting, reason=None, failure_stage=None, failure_detail=None) if wanted.clear_reason else meeting
    )
    configuration, desired = _configurations(meeting, wanted)
    command_seq = meeting.command_seq + (wanted.command is not None)
    return replace(
        meeting,
        status=to_state,
        version=meeting.version + 1,
        attempt=meeting.attempt + 1 if retry else meeting.attempt,
        connection_id=wanted.next_connection_id or meeting.connection_id,
        stop_requested=wanted.stop_requested,
        configuration=configuration,
        desired_configuration=desired,
        reason=wanted.reason or standing.reason,
        failure_stage=wanted.failure_stage or standing.failure_stage,
        failure_detail=_failure_detail(wanted) if wanted.failure_stage else standing.failure_detail,
        bot_container_id=wanted.workload or meeting.bot_container_id,
        deadline_at=_deadline(meeting, wanted, now),
        start_time=start_time,
        end_time=now if to_state in TERMINAL else meeting.end_time,
        updated_at=now,
        command_seq=command_seq,
        configuration_seq=command_seq if wanted.command == RECONFIGURE else meeting.configuration_seq,
    )


def _failure_detail(wanted: Change) -> str | None:
    return wanted.detail.replace("\x00", "") or None


def _deadline(meeting: Meeting, wanted: Change, now: datetime) -> datetime | None:
    if wanted.deadline_stays:
        return meeting.deadline_at
    if wanted.deadline_s is None:
        return None
    start = meeting.start_time or now
    deadline = (start if wanted.deadline_from_start else now) + timedelta(seconds=wanted.deadline_s)
    return (
        deadline if wanted.deadline_cap_s is None else min(deadline, start + timedelta(seconds=wanted.deadline_cap_s))
    )


def _configurations(meeting: Meeting, wanted: Change) -> tuple[Configuration, Configuration]:
    in_force, desired = meeting.configuration, wanted.desired_configuration or meeting.desired_configuration
    if wanted.drop_configuration and wanted.desired_configuration is None:
        return (desired if wanted.adopt_configuration else in_force), in_force
    return (desired if wanted.adopt_configuration else in_force), desired


def _write(tables: Tables, wanted: Change, changed: Meeting) -> None:
    meeting_id = changed.meeting_id
    tables.meetings[meeting_id] = changed
    tables.connections[changed.connection_id] = meeting_id
    tables.attempts[changed.connection_id] = changed.attempt
    tables.events[meeting_id].append(
        MeetingEvent(
            version=changed.version,
            event=wanted.transition.event,
            from_state=wanted.transition.from_state,
            to_state=changed.status,
            by=wanted.by,
            attempt=changed.attempt,
            reason=wanted.reason,
            detail=wanted.detail.replace("\x00", ""),
            at=changed.updated_at,
        )
    )
    for row in tables.commands.get(meeting_id, ()):
        if wanted.expire_commands or (wanted.expire_changes and row.command.action == RECONFIGURE):
            row.outcome = row.outcome or EXPIRED
    if wanted.command is not None:
        command = StoredCommand(
            changed.command_seq, changed.connection_id, wanted.command, changed.desired_configuration
        )
        tables.commands.setdefault(meeting_id, []).append(CommandRow(command))
    if wanted.acknowledgement is not None:
        tables.acknowledge(changed.connection_id, wanted.acknowledgement)
    if wanted.claim is not None:
        del tables.outbox[wanted.claim.effect_id]
    if changed.status in TERMINAL:
        tables.leases.pop(meeting_id, None)
    owe(tables, changed, wanted.owed, notices_of(wanted.transition))
