"""The one door: every change of a meeting's state goes through `Transitions.apply`."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from usher.domain.errors import InvariantBroken, NotFound
from usher.domain.lifecycle import (
    CHANGING,
    COUNTED,
    ENDING,
    FAILING,
    IN_MEETING,
    STANDING,
    TERMINAL,
    TIMED_FROM_START,
    Applied,
    Decision,
    Effect,
    Event,
    Ignored,
    Reason,
    Refused,
    Source,
    State,
    Transition,
    decide,
    reason_of,
)
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import (
    LEAVE,
    RECONFIGURE,
    Acknowledgement,
    Change,
    Claim,
    Configuration,
    Feed,
    Meeting,
    MeetingEvent,
    Meetings,
    Owed,
    Seat,
    StoredCommand,
    Void,
)
from usher.protocol.live import MeetingTag, StatusFrame, StatusPayload, dump
from usher.telemetry import NOT_APPLIED, TRANSITIONS

log = structlog.get_logger(__name__)

_RACES = 20
_COMMANDS = {Event.STOP_REQUESTED: LEAVE, Event.CONFIGURATION_REQUESTED: RECONFIGURE}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event: the decision, and the meeting as it is after it."""

    decision: Decision
    meeting: Meeting

    @property
    def applied(self) -> bool:
        """Whether the event moved the meeting."""
        return isinstance(self.decision, Applied)


@dataclass(frozen=True, slots=True)
class Report:
    """An event that somebody reports about one attempt of a meeting.

    Attributes:
        event: The event, or a pure function that chooses it from the meeting as it is at that moment.
        reason: Why, if the reporter knows.
        detail: Evidence for people.
        configuration: What is asked for, with `configuration_requested`.
        acknowledgement: Of a command, with what a bot reports of a configuration.
        claim: The claimed effect that this report is the outcome of: it is completed with the change.
        version: What the report judges: if the meeting has had another event since, the report is old news.

    The attempt is told by its number, or by the connection that belongs to it.
    """

    event: Event | Callable[[Meeting], Event]
    by: Source
    attempt: int | str
    reason: Reason | None = None
    detail: str = ""
    configuration: Configuration | None = None
    acknowledgement: Acknowledgement | None = None
    claim: Claim | None = None
    version: int | None = None


class Transitions:
    """Applies events to meetings.

    Args:
        meetings: The store.
        feed: Where live viewers hear of it, after commit; a loss there is healed by the version in the frame.
        policy: Deadlines and delays.
        wake: Called after a commit that owes effects at once.
        send: Called after a commit that wrote a command, with the command. What it loses, the outbox makes up for.
    """

    def __init__(
        self,
        meetings: Meetings,
        feed: Feed,
        policy: Policy,
        wake: Callable[[], None],
        send: Callable[[StoredCommand], None],
    ) -> None:
        self._meetings = meetings
        self._feed = feed
        self._policy = policy
        self._wake = wake
        self._send = send

    def send(self, command: StoredCommand) -> None:
        """Publish a command that was just committed; nobody waits for it."""
        self._send(command)

    async def apply(self, meeting_id: int, report: Report, *, known: Meeting | None = None) -> Outcome:
        """Decide what the report does to the meeting, and write it in one transaction or not at all.

        Safe to repeat: a repeated report is ignored.

        Args:
            meeting_id: Whose.
            report: What is reported.
            known: The meeting as it was read a moment ago. That spares a read where the report moves it; a report that
                does not is judged by a fresh one.

        Raises:
            NotFound: There is no such meeting.
            Unavailable: The store does not answer; nothing was changed, or the change is found by repeating.
        """
        outcome = None if known is None else await self._apply(known, report, fresh=False)
        for _ in range(_RACES):
            if outcome is not None:
                return outcome
            meeting = await self._meetings.find(meeting_id)
            if meeting is None:
                raise NotFound("unknown_meeting", f"There is no meeting {meeting_id}.")
            outcome = await self._apply(meeting, report, fresh=True)
        raise InvariantBroken(f"meeting {meeting_id} changed {_RACES} times under one report")

    async def _apply(self, meeting: Meeting, report: Report, *, fresh: bool) -> Outcome | None:
        """Try once; None if the meeting is not as it was read, or may not be."""
        event = report.event if isinstance(report.event, Event) else report.event(meeting)
        decision = _decide(meeting, event, report)
        if not isinstance(decision, Applied):
            return self._not_applied(decision, meeting, event, report.by) if fresh else None
        changed = await self._meetings.change(self._change(meeting, decision.transition, report))
        if isinstance(changed, Meeting):
            self._announce_soon(changed, decision.transition, report.by)
            return Outcome(decision, changed)
        if changed is Void.STALE:
            return None
        return self._not_applied(Refused(_WHY[changed]), meeting, event, report.by)

    def _not_applied(self, decision: Ignored | Refused, meeting: Meeting, event: Event, by: Source) -> Outcome:
        verdict = "ignored" if isinstance(decision, Ignored) else "refused"
        log.info("event_not_applied", meeting_id=meeting.meeting_id, trigger=event, by=by, why=decision.why)
        NOT_APPLIED.labels(event, meeting.status, verdict).inc()
        return Outcome(decision, meeting)

    def announce_created(self, meeting: Meeting, transition: Transition) -> None:
        """Tell viewers and the dispatcher of a meeting that was just created."""
        self._announce_soon(meeting, transition, Source.USER)

    def _announce_soon(self, meeting: Meeting, transition: Transition, by: Source) -> None:
        """Announce in the loop's next turn: whoever waits for the outcome does not wait for this as well.

        A command goes first, for its bot is waited for.
        """
        if (action := _command(transition)) is not None:
            wanted = meeting.desired_configuration
            self._send(StoredCommand(meeting.command_seq, meeting.connection_id, action, wanted))
        asyncio.get_running_loop().call_soon(self._announce, meeting, transition, by)

    def _announce(self, meeting: Meeting, transition: Transition, by: Source) -> None:
        log.info(
            "meeting_moved",
            meeting_id=meeting.meeting_id,
            trigger=transition.event,
            from_state=transition.from_state,
            to_state=transition.to_state,
            by=by,
            attempt=meeting.attempt,
            reason=meeting.reason,
        )
        TRANSITIONS.labels(transition.event, transition.to_state).inc()
        if any(effect.delay_s == 0 for effect in owed(self._policy, transition, meeting.attempt)):
            self._wake()
        self._feed.publish(meeting.meeting_id, dump(status_frame(meeting)))

    def _change(self, meeting: Meeting, row: Transition, report: Report) -> Change:
        from_state, to_state = meeting.status, row.to_state
        retry = row.event is Event.RETRY_GRANTED
        reason = self._reason(meeting, row, report)
        return Change(
            meeting_id=meeting.meeting_id,
            expected_version=meeting.version,
            transition=row,
            by=report.by,
            reason=reason,
            detail=report.detail,
            deadline_s=deadline_s(self._policy, to_state),
            deadline_from_start=to_state in TIMED_FROM_START,
            deadline_stays=row.event in STANDING,
            deadline_cap_s=self._policy.deadlines.active_s if to_state in IN_MEETING else None,
            expire_commands=to_state in TERMINAL or retry,
            expire_changes=_ran_out(row),
            stop_requested=meeting.stop_requested or row.event is Event.STOP_REQUESTED or to_state in ENDING,
            next_connection_id=str(uuid.uuid4()) if retry else None,
            clear_reason=retry or (meeting.snapshot.waits_for is not None and reason is None),
            failure_stage=_failure_stage(from_state, to_state),
            workload=_workload(meeting, row),
            desired_configuration=report.configuration,
            adopt_configuration=row.event is Event.CONFIGURATION_APPLIED,
            drop_configuration=from_state in CHANGING
            and row.event not in {Event.CONFIGURATION_APPLIED, Event.CONFIGURATION_REQUESTED},
            command=_command(row),
            acknowledgement=report.acknowledgement,
            seat=_seat(from_state, to_state),
            owed=owed(self._policy, row, meeting.attempt),
            claim=report.claim,
        )

    def _reason(self, meeting: Meeting, row: Transition, report: Report) -> Reason | None:
        waits_for = meeting.snapshot.waits_for
        reason = reason_of(row.event, meeting.status, report.reason, waits_for=waits_for)
        return None if meeting.stop_requested and row.event is not Event.DEADLINE_PASSED else reason


def _decide(meeting: Meeting, event: Event, report: Report) -> Decision:
    if report.version is not None and report.version != meeting.version:
        return Ignored("it has moved on since it was judged")
    return decide(meeting.snapshot, event, report.by, _attempt(meeting, report))


def _attempt(meeting: Meeting, report: Report) -> int:
    """Return which attempt a report is about; a connection that is not the current one is of an older attempt."""
    if isinstance(report.attempt, int):
        return report.attempt
    return meeting.attempt if report.attempt == meeting.connection_id else meeting.attempt - 1


def status_frame(meeting: Meeting) -> StatusFrame:
    """Return the live frame that tells a meeting's present state."""
    return StatusFrame(
        meeting=MeetingTag(id=meeting.meeting_id, platform=meeting.ref.platform, native_id=meeting.ref.native_id),
        payload=StatusPayload(
            status=meeting.status, version=meeting.version, attempt=meeting.attempt, reason=meeting.reason
        ),
        ts=datetime.now(UTC),
    )


def event_frame(meeting: Meeting, event: MeetingEvent) -> StatusFrame:
    """Return the live frame that tells of an event of the meeting; the newest one has the reason that stands now."""
    reason = meeting.reason if event.version == meeting.version else event.reason
    told = StatusPayload(status=event.to_state, version=event.version, attempt=event.attempt, reason=reason)
    return status_frame(meeting).model_copy(update={"payload": told, "ts": event.at})


def deadline_s(policy: Policy, state: State) -> float | None:
    """Return how long a meeting may stay in `state`, in seconds.

    None for terminal states, which last, and for `scheduled`, whose deadline is the join time.
    """
    seconds: float | None = getattr(policy.deadlines, f"{state.value}_s", None)
    return seconds


def owed(policy: Policy, row: Transition, attempt: int) -> tuple[Owed, ...]:
    """Return the effects that a transition owes, with their delays."""
    delays = {Effect.TERMINATE_AFTER_GRACE: policy.leave_grace_s, Effect.SEND_COMMAND: policy.command_again_s}
    if row.event is Event.RETRY_GRANTED:
        delays[Effect.LAUNCH] = policy.retry.delay_s(attempt)
    return tuple(Owed(effect, delays.get(effect, 0.0)) for effect in row.effects)


def _ran_out(row: Transition) -> bool:
    """Say whether the time for a change of configuration is over."""
    return row.event is Event.DEADLINE_PASSED and row.from_state in CHANGING


def _failure_stage(from_state: State, to_state: State) -> State | None:
    return from_state if to_state in FAILING and from_state not in FAILING else None


def _workload(meeting: Meeting, row: Transition) -> str | None:
    if row.event is not Event.LAUNCH_BEGUN:
        return None
    return str(WorkloadName(meeting.meeting_id, meeting.attempt))


def _command(row: Transition) -> str | None:
    if Effect.SEND_COMMAND not in row.effects:
        return None
    return _COMMANDS.get(row.event, LEAVE)


def _seat(from_state: State, to_state: State) -> Seat:
    held, holds = from_state in COUNTED, to_state in COUNTED
    if held == holds:
        return Seat.KEEP
    return Seat.TAKE if holds else Seat.RELEASE


_WHY = {
    Void.CLAIM_LOST: "the claim on the effect was lost",
    Void.NO_SEAT: "the user has no room for another bot",
}

__all__ = [
    "Applied",
    "Ignored",
    "Outcome",
    "Refused",
    "Report",
    "Transitions",
    "deadline_s",
    "event_frame",
    "owed",
    "status_frame",
]
