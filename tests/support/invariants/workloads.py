"""Rules on what runs: I1, I4 and I8."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.support.invariants.evidence import Evidence, Life

from usher.domain.lifecycle import ENDING, IN_MEETING, TERMINAL, WAITING, Event, Source
from usher.domain.reconcile import WorkloadName
from usher.ports import Meeting, MeetingEvent

_SAYS_ENDED = frozenset(
    {
        (Event.CRASHED, Source.RECONCILER),
        (Event.WORKLOAD_VANISHED, Source.RECONCILER),
        (Event.TERMINATED, Source.DISPATCHER),
        (Event.RETRY_GRANTED, Source.DISPATCHER),
        (Event.STOP_FINISHED, Source.DISPATCHER),
        (Event.GAVE_UP, Source.DISPATCHER),
    }
)
"""What is reported by those who have looked."""

_INSTANT_S = 0.001
_NEEDS_WORKLOAD = WAITING | IN_MEETING | ENDING


def one_bot_in_a_call(evidence: Evidence) -> Iterator[str]:
    """I1: the workloads of one user in one call never overlap, nor do the meetings that are not over."""
    lives: dict[object, list[Life]] = defaultdict(list)
    meetings = {meeting.meeting_id: meeting for meeting in evidence.meetings}
    for life in evidence.lives:
        meeting = meetings.get(life.workload.meeting_id)
        lives[life.workload.meeting_id if meeting is None else _call(meeting)].append(life)
    for of_call in lives.values():
        of_call.sort(key=lambda life: life.started_s)
        for index, life in enumerate(of_call):
            for later in of_call[index + 1 :]:
                if later.started_s < evidence.until_s(life):
                    yield (
                        f"I1: meeting {later.workload.meeting_id}: {later.workload} began at {later.started_s:.3f},"
                        f" while {life.workload} of the same call was running until {evidence.until_s(life):.3f}"
                    )
    yield from _one_meeting_in_a_call(evidence)


def _one_meeting_in_a_call(evidence: Evidence) -> Iterator[str]:
    spans: dict[object, list[tuple[float, float, int]]] = defaultdict(list)
    for meeting in evidence.meetings:
        history = evidence.events.get(meeting.meeting_id)
        if history:
            end_s = history[-1].at.timestamp() if history[-1].to_state in TERMINAL else float("inf")
            spans[_call(meeting)].append((history[0].at.timestamp(), end_s, meeting.meeting_id))
    for of_call in spans.values():
        of_call.sort()
        for (_, end_s, earlier), (begin_s, _, later) in pairwise(of_call):
            if begin_s < end_s:
                yield f"I1: meeting {later}: was accepted at {begin_s:.3f}, while meeting {earlier} was in that call"


def _call(meeting: Meeting) -> object:
    return meeting.user_id, meeting.ref.platform, meeting.ref.native_id


def workloads_have_meetings(evidence: Evidence) -> Iterator[str]:
    """I4: no workload without a meeting that wants it, for longer than a sweep."""
    known = {meeting.meeting_id for meeting in evidence.meetings}
    most_s = evidence.allowance.sweep_s + evidence.policy.kill_grace_s
    for life in evidence.lives:
        meeting_id, until_s = life.workload.meeting_id, evidence.until_s(life)
        history = evidence.events.get(meeting_id, ())
        unwanted_s = life.started_s if known and meeting_id not in known else _unwanted_s(history, life)
        if unwanted_s is None:
            continue
        outlived_s = evidence.calm_s(max(unwanted_s, life.started_s), until_s)
        if outlived_s > most_s:
            yield f"I4: meeting {meeting_id}: {life.workload} ran {outlived_s:.1f} s after nobody wanted it"


def _unwanted_s(history: Sequence[MeetingEvent], life: Life) -> float | None:
    """Return when the meeting was over, or its attempt."""
    over = (line for line in history if line.to_state in TERMINAL or line.attempt > life.workload.attempt)
    return next((line.at.timestamp() for line in over), None)


def dead_bots_are_noticed(evidence: Evidence) -> Iterator[str]:
    """I4: a meeting whose workload has ended does not stay as if it ran, for longer than it takes to notice."""
    for life in evidence.lives:
        history = evidence.events.get(life.workload.meeting_id, ())
        lines = [line for line in history if line.attempt == life.workload.attempt]
        if life.ended_s is None or not lines:
            continue
        noticed = (line.at.timestamp() for line in history if _is_noticed(line, life))
        until_s = next(noticed, evidence.now_s)
        if until_s is None:
            continue
        unnoticed_s = evidence.calm_s(life.ended_s, until_s)
        if unnoticed_s > evidence.allowance.detection_s:
            yield f"I4: meeting {life.workload.meeting_id}: {life.workload} was dead for {unnoticed_s:.1f} s unnoticed"


def _is_noticed(line: MeetingEvent, life: Life) -> bool:
    return line.attempt > life.workload.attempt or (
        line.attempt == life.workload.attempt and line.version > 1 and line.to_state not in _NEEDS_WORKLOAD
    )


def the_living_are_not_declared_dead(evidence: Evidence) -> Iterator[str]:
    """I4: what is said to have ended has ended; not to know is not a verdict.

    Who says so has looked a moment before: what began since then is not counted.
    """
    lives = {life.workload: life for life in evidence.lives}
    for meeting_id, history in evidence.events.items():
        for line in history:
            if (line.event, line.by) not in _SAYS_ENDED:
                continue
            attempt = line.attempt - (line.event is Event.RETRY_GRANTED)
            name, at_s = WorkloadName(meeting_id, attempt), line.at.timestamp()
            life = lives.get(name)
            if life is None or life.started_s > at_s - evidence.allowance.sight_s:
                continue
            if evidence.until_s(life) > at_s + _INSTANT_S:
                yield f"I4: meeting {meeting_id}: {line.event} at {at_s:.3f}, but {name} was running"


def silent_bots_are_noticed(evidence: Evidence) -> Iterator[str]:
    """I4: a bot that was heard, and is silent for longer than its lease and the time to notice it, is given up."""
    began = {life.workload: life.started_s for life in evidence.lives}
    for silence in evidence.silences:
        if silence.started_s < began.get(silence.workload, 0.0) + evidence.policy.heartbeat_s:
            continue
        history = evidence.events.get(silence.workload.meeting_id, ())
        noticed = (line.at.timestamp() for line in history if _is_given_up(line, silence))
        until_s = min(next(noticed, math.inf), evidence.until_s(silence))
        silent_s = evidence.calm_s(silence.started_s, until_s)
        if silent_s > evidence.policy.lease_s + evidence.allowance.detection_s:
            yield f"I4: meeting {silence.workload.meeting_id}: {silence.workload} was silent for {silent_s:.1f} s"


def _is_given_up(line: MeetingEvent, silence: Life) -> bool:
    """Say whether a meeting expects no word of that bot any more."""
    return _is_noticed(line, silence) or (line.attempt == silence.workload.attempt and line.to_state in ENDING)


def stop_wins(evidence: Evidence) -> Iterator[str]:
    """I8: once a stop is accepted, nothing of the meeting begins to live, or lives on, beyond the kill time."""
    most_s = evidence.policy.leave_grace_s + evidence.policy.kill_grace_s + evidence.allowance.kill_s
    for life in evidence.lives:
        history = evidence.events.get(life.workload.meeting_id, ())
        stops = (line.at.timestamp() for line in history if line.event is Event.STOP_REQUESTED)
        stopped_s = next(stops, None)
        if stopped_s is None:
            continue
        late_s = evidence.calm_s(stopped_s, life.started_s)
        lived_s = evidence.calm_s(max(stopped_s, life.started_s), evidence.until_s(life))
        if late_s > most_s:
            yield f"I8: meeting {life.workload.meeting_id}: {life.workload} began {late_s:.1f} s after the stop"
        if lived_s > most_s:
            yield f"I8: meeting {life.workload.meeting_id}: {life.workload} lived on for {lived_s:.1f} s after the stop"
