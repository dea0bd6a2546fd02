"""The loop that compares what should run with what runs, and reports the difference. Safe to run many times over."""

import asyncio
import time

import structlog

from usher.app.last_words import Legacy
from usher.app.loops import run_forever
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.lifecycle import TERMINAL, Event, Source
from usher.domain.policy import Policy
from usher.domain.reconcile import Finding, WorkloadName, plan
from usher.ports import Launcher, Meeting, Meetings
from usher.telemetry import FINDINGS, ORPHANS, RECONCILE_SECONDS

log = structlog.get_logger(__name__)


class Reconciler:
    """Runs `plan()` over the store and the launcher and carries its findings through the one door."""

    def __init__(
        self,
        meetings: Meetings,
        transitions: Transitions,
        launcher: Launcher,
        legacy: Legacy,
        policy: Policy,
        *,
        interval_s: float = 2.0,
    ) -> None:
        self._meetings = meetings
        self._transitions = transitions
        self._launcher = launcher
        self._legacy = legacy
        self._policy = policy
        self._interval_s = interval_s
        self._suspects: frozenset[WorkloadName] = frozenset()

    async def run(self) -> None:
        """Reconcile until cancelled."""

        async def one_pass() -> bool:
            await self.reconcile()
            return False

        await run_forever("reconcile", one_pass, lambda: asyncio.sleep(self._interval_s))

    async def reconcile(self) -> None:
        """Do one pass: list the launcher first, read the rows second."""
        begun = time.perf_counter()
        observed = await self._launcher.list()
        rows = await self._meetings.watched(self._policy)
        todo = plan(rows, observed, self._suspects)
        self._suspects = todo.suspects
        for finding in todo.findings:
            await self._report(finding)
        for name in todo.removals:
            log.warning("orphan_removed", workload=str(name))
            ORPHANS.inc()
            await self._launcher.remove(name)
        RECONCILE_SECONDS.observe(time.perf_counter() - begun)

    async def _report(self, finding: Finding) -> None:
        """Report a finding, after what the bot itself may have left to say of its end."""
        meeting = await self._meetings.find(finding.meeting_id)
        if meeting is not None and finding.event in _ENDS_WORKLOAD and meeting.attempt == finding.attempt:
            await self._legacy.take_up(meeting)
        outcome = await self._apply(finding, finding.event)
        while outcome.applied and _is_overdue(outcome.meeting):
            outcome = await self._apply(finding, Event.DEADLINE_PASSED)

    async def _apply(self, finding: Finding, event: Event) -> Outcome:
        FINDINGS.labels(event).inc()
        report = Report(event, Source.RECONCILER, finding.attempt, detail=finding.detail)
        outcome = await self._transitions.apply(finding.meeting_id, report)
        log.info("finding_reported", meeting_id=finding.meeting_id, trigger=event, applied=outcome.applied)
        return outcome


_ENDS_WORKLOAD = frozenset({Event.CRASHED, Event.WORKLOAD_VANISHED})


def _is_overdue(meeting: Meeting) -> bool:
    """Say whether the deadline of the state just entered had passed before: both times are the store's.

    A meeting whose configuration is changed again and again may else outstay its time.
    """
    if meeting.status in TERMINAL or meeting.deadline_at is None:
        return False
    return meeting.deadline_at <= meeting.updated_at
