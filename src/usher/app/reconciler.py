"""The loop that compares what should run with what runs, and reports the difference. Safe to run many times over."""

import asyncio

import structlog

from usher.app.loops import run_forever
from usher.app.transitions import Report, Transitions
from usher.domain.lifecycle import Source
from usher.domain.reconcile import Finding, WorkloadName, plan
from usher.ports import Launcher, Meetings

log = structlog.get_logger(__name__)


class Reconciler:
    """Runs `plan()` over the store and the launcher and carries its findings through the one door."""

    def __init__(
        self, meetings: Meetings, transitions: Transitions, launcher: Launcher, *, interval_s: float = 2.0
    ) -> None:
        self._meetings = meetings
        self._transitions = transitions
        self._launcher = launcher
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
        observed = await self._launcher.list()
        rows = await self._meetings.watched()
        todo = plan(rows, observed, self._suspects)
        self._suspects = todo.suspects
        for finding in todo.findings:
            await self._report(finding)
        for name in todo.removals:
            log.warning("orphan_removed", workload=str(name))
            await self._launcher.remove(name)

    async def _report(self, finding: Finding) -> None:
        report = Report(finding.event, Source.RECONCILER, finding.attempt, detail=finding.detail)
        outcome = await self._transitions.apply(finding.meeting_id, report)
        log.info("finding_reported", meeting_id=finding.meeting_id, trigger=finding.event, applied=outcome.applied)
