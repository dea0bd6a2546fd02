"""Rules on the histories of meetings: I2, I3, I6, I12 and I15."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.support.invariants.evidence import Evidence

from usher.app.transitions import deadline_s
from usher.domain.lifecycle import COUNTED, ENDING, IN_MEETING, MISSABLE, TABLE, TERMINAL, Event, State
from usher.ports import Meeting, MeetingEvent

_AFTER_STOP = TERMINAL | ENDING | {State.ERROR}
_ROWS = {(row.from_state, row.event, row.to_state): row for row in TABLE}

History = Sequence[MeetingEvent]


def limit_is_kept(evidence: Evidence) -> Iterator[str]:
    """I2: bots under way and being launched never exceed their user's limit, at any instant of the merged history."""
    steps: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    for meeting in evidence.meetings:
        for event in evidence.events.get(meeting.meeting_id, ()):
            step = (event.to_state in COUNTED) - (event.from_state in COUNTED)
            steps[meeting.user_id].append((event.at.timestamp(), step, meeting.meeting_id))
    for user_id, limit in evidence.limits.items():
        count = 0
        for at_s, step, meeting_id in sorted(steps[user_id]):
            count += step
            if step > 0 and count > limit:
                yield f"I2: meeting {meeting_id}: user {user_id} has {count} bots at {at_s:.3f}, and may have {limit}"


def history_is_a_chain(evidence: Evidence) -> Iterator[str]:
    """I3: a history is a chain of rows of the table, and the row of the meeting is what its last line says."""
    for meeting in evidence.meetings:
        history = evidence.events.get(meeting.meeting_id)
        if history is None:
            continue
        for what in (*_unchained(history), *_off_table(history), *_contradicted(meeting, history)):
            yield f"I3: meeting {meeting.meeting_id}: {what}"


def _unchained(history: History) -> Iterator[str]:
    if not history:
        yield "it has no history"
        return
    if history[0].version != 1 or history[0].from_state is not None or history[0].attempt != 1:
        yield "its history does not begin at the beginning"
    for before, after in pairwise(history):
        if after.version != before.version + 1:
            yield f"version {after.version} follows version {before.version}"
        if after.from_state is not before.to_state:
            yield f"version {after.version} leaves {after.from_state}, but the meeting was {before.to_state}"
        if after.attempt != before.attempt + (after.event is Event.RETRY_GRANTED):
            yield f"version {after.version} ({after.event}) is of attempt {after.attempt} after {before.attempt}"


def _off_table(history: History) -> Iterator[str]:
    for line in history:
        row = _ROWS.get((line.from_state, line.event, line.to_state))
        if row is None:
            yield f"the table has no row {line.from_state} --{line.event}--> {line.to_state}"
        elif line.by not in row.by:
            yield f"{line.by} may not report {line.event}"


def _contradicted(meeting: Meeting, history: History) -> Iterator[str]:
    ends = [line for line in history if line.to_state in TERMINAL]
    if len(ends) > 1:
        yield f"it ended {len(ends)} times"
    if ends and ends[0] is not history[-1]:
        yield f"it went on after it was {ends[0].to_state}"
    if history and (meeting.status, meeting.version) != (history[-1].to_state, history[-1].version):
        last = history[-1]
        yield f"the row is {meeting.status} (version {meeting.version}), its history {last.to_state} ({last.version})"


def deadlines_are_kept(evidence: Evidence) -> Iterator[str]:
    """I3: every meeting ends, and stays in no state for longer than its deadline and the time to notice it."""
    for meeting in evidence.meetings:
        history = evidence.events.get(meeting.meeting_id, ())
        if evidence.settled and meeting.status not in TERMINAL:
            yield f"I3: meeting {meeting.meeting_id}: is {meeting.status} when everything has had time to end"
        moments = [line.at.timestamp() for line in history]
        if evidence.now_s is not None:
            moments.append(evidence.now_s)
        for line, left_s in zip(history, moments[1:], strict=False):
            due_s = _due_s(evidence, meeting, line)
            if due_s is not None and evidence.calm_s(due_s, left_s) > evidence.allowance.deadline_s:
                late_s = left_s - due_s
                yield f"I3: meeting {meeting.meeting_id}: is {line.to_state} for {late_s:.1f} s longer than it may be"


def _due_s(evidence: Evidence, meeting: Meeting, line: MeetingEvent) -> float | None:
    """Return when a state that was entered by `line` has to be over."""
    policy, at_s = evidence.policy, line.at.timestamp()
    if line.to_state in TERMINAL:
        return None
    if line.to_state in MISSABLE:
        return None if meeting.join_at is None else meeting.join_at.timestamp() + policy.missed_after_s
    if line.to_state in IN_MEETING:
        start_s = meeting.start_time.timestamp() if meeting.start_time else at_s
        most_s = start_s + policy.deadlines.active_s
        own_s = None if line.to_state is State.ACTIVE else deadline_s(policy, line.to_state)
        return most_s if own_s is None else min(most_s, at_s + own_s)
    seconds = deadline_s(policy, line.to_state)
    return None if seconds is None else at_s + seconds


def reports_count_once(evidence: Evidence) -> Iterator[str]:
    """I6: a repeated report gets the answer of the first, until the attempt is over, and over is for good."""
    first: dict[tuple[str, str], tuple[int, str]] = {}
    over: dict[tuple[str, str], float] = {}
    for answer in evidence.answers:
        if answer.status >= 500 or answer.status == 429:
            continue
        report, said = (answer.connection_id, answer.report), (answer.status, answer.outcome)
        if answer.status == 410:
            over.setdefault(report, answer.answered_s)
            continue
        known = first.setdefault(report, said)
        if answer.arrived_s >= over.get(report, math.inf):
            yield f"I6: connection {answer.connection_id}: {answer.report} was over, and then answered {said}"
        elif known != said:
            yield f"I6: connection {answer.connection_id}: {answer.report} was answered {known}, repeated {said}"


def old_attempts_move_nothing(evidence: Evidence) -> Iterator[str]:
    """I6: what a bot reports moves its meeting only while its attempt is the current one."""
    for move in evidence.moves:
        for line in evidence.events.get(move.meeting_id, ()):
            if line.version == move.version and line.attempt != move.attempt:
                yield (
                    f"I6: meeting {move.meeting_id}: the bot of attempt {move.attempt} moved it by {line.event}"
                    f" to version {line.version}, which is of attempt {line.attempt}"
                )


def a_stop_stands(evidence: Evidence) -> Iterator[str]:
    """I8: after a stop a meeting only ever comes nearer to its end."""
    for meeting_id, history in evidence.events.items():
        stopped = False
        for line in history:
            stopped = stopped or line.event is Event.STOP_REQUESTED
            if stopped and line.to_state not in _AFTER_STOP:
                yield f"I8: meeting {meeting_id}: was stopped, and then {line.event} made it {line.to_state}"
            elif stopped and line.event is Event.GAVE_UP:
                yield f"I8: meeting {meeting_id}: was stopped, and then counted as a failure"


def sightings_are_true(evidence: Evidence) -> Iterator[str]:
    """I6: what observers are shown is a fact of the history and never goes backwards."""
    newest: dict[tuple[str, int], int] = {}
    for sighting in evidence.sightings:
        key = (sighting.observer, sighting.meeting_id)
        if sighting.version < newest.get(key, 0):
            yield (
                f"I6: meeting {sighting.meeting_id}: {sighting.observer} saw version {sighting.version}"
                f" after {newest[key]}"
            )
        newest[key] = max(newest.get(key, 0), sighting.version)
        history = evidence.events.get(sighting.meeting_id)
        if history is None:
            continue
        fact = next((line.to_state for line in history if line.version == sighting.version), None)
        if fact is not sighting.status:
            yield (
                f"I6: meeting {sighting.meeting_id}: version {sighting.version} was shown as {sighting.status},"
                f" in its history it is {fact}"
            )


def claims_are_held(evidence: Evidence) -> Iterator[str]:
    """I12: nothing is settled under a claim that is over."""
    for one in evidence.settlements:
        if one.at_s > one.claimed_until_s:
            late_s = one.at_s - one.claimed_until_s
            yield f"I12: meeting {one.meeting_id}: a change was written {late_s:.1f} s after its claim was over"


def wall_clock_is_ignored(evidence: Evidence) -> Iterator[str]:
    """I15: with another wall clock the same story has the same histories."""
    if evidence.twin is None:
        return
    for meeting_id in sorted({*evidence.events, *evidence.twin.events}):
        ours, theirs = (_steps(each, meeting_id) for each in (evidence, evidence.twin))
        if ours != theirs:
            yield f"I15: meeting {meeting_id}: with another wall clock its history is another: {ours} and {theirs}"


def _steps(evidence: Evidence, meeting_id: int) -> list[str]:
    return [f"{line.event}→{line.to_state}" for line in evidence.events.get(meeting_id, ())]
