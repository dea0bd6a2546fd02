"""The loop that compares what should run with what runs, and reports the difference. Safe to run many times over."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from usher.app.last_words import Legacy
from usher.app.loops import Wakeup, run_every
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.errors import InvariantBroken, Unavailable
from usher.domain.lifecycle import TERMINAL, Event, Source
from usher.domain.policy import Policy
from usher.domain.reconcile import Finding, Observation, WorkloadName, plan
from usher.ports import Launcher, Meeting, Meetings
from usher.telemetry import FINDINGS, ORPHANS, RECONCILE_SECONDS

log = structlog.get_logger(__name__)

_REMOVE_S = 60.0
_MOST_REMOVALS = 32
_LISTEN_AGAIN_S = 1.0


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
        list_timeout_s: float = 10.0,
    ) -> None:
        self._meetings = meetings
        self._transitions = transitions
        self._launcher = launcher
        self._legacy = legacy
        self._policy = policy
        self._interval_s = interval_s
        self._list_timeout_s = list_timeout_s
        self._wakeup = Wakeup()
        self._suspects: frozenset[WorkloadName] = frozenset()
        self._waiting: frozenset[WorkloadName] = frozenset()
        self._removing: dict[WorkloadName, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Reconcile until cancelled: after each interval, or when the launcher tells of a change."""
        listen = partial(self._launcher.listen, self._wakeup.wake)
        listening = asyncio.create_task(run_every(_LISTEN_AGAIN_S, "launcher-changes", listen))
        try:
            await run_every(self._interval_s, "reconcile", self.reconcile, self._wakeup)
        finally:
            listening.cancel()
            for removal in self._removing.values():
                removal.cancel()

    async def reconcile(self) -> None:
        """Do one pass: list the launcher first, read the rows second."""
        begun = time.perf_counter()
        observed = await self._list()
        rows = await self._meetings.watched(self._policy)
        todo = plan(rows, observed, self._suspects, self._waiting)
        self._suspects, self._waiting = todo.suspects, todo.waiting
        self._remove(todo.removals)
        for finding in todo.findings:
            await self._report_surely(finding)
        RECONCILE_SECONDS.observe(time.perf_counter() - begun)

    async def settle(self) -> None:
        """Wait until the removals that were begun have ended."""
        while self._removing:
            await asyncio.wait(self._removing.values())

    async def _list(self) -> Mapping[WorkloadName, Observation] | None:
        try:
            async with asyncio.timeout(self._list_timeout_s):
                return await self._launcher.list()
        except TimeoutError:
            log.warning("workloads_not_listed", seconds=self._list_timeout_s)
            return None

    def _remove(self, names: Sequence[WorkloadName]) -> None:
        """Begin to remove workloads, some at a time: one that cannot be removed holds up nothing else."""
        for name in names:
            if len(self._removing) < _MOST_REMOVALS and name not in self._removing:
                self._removing[name] = asyncio.create_task(self._remove_one(name))

    async def _remove_one(self, name: WorkloadName) -> None:
        try:
            async with asyncio.timeout(_REMOVE_S):
                await self._take_up_last_words(name)
                await self._launcher.remove(name)
        except (Unavailable, TimeoutError) as error:
            log.warning("orphan_not_removed", workload=str(name), why=str(error))
        else:
            ORPHANS.inc()
            log.warning("orphan_removed", workload=str(name))
        finally:
            del self._removing[name]

    async def _take_up_last_words(self, name: WorkloadName) -> None:
        """Let a workload whose meeting is over end by itself, and hear what it leaves, before it is forgotten."""
        meeting = await self._meetings.find(name.meeting_id)
        if meeting is not None and meeting.attempt == name.attempt:
            await self._launcher.stop(name, grace_s=self._policy.kill_grace_s)
            await self._legacy.take_up(meeting)

    async def _report_surely(self, finding: Finding) -> None:
        """Report a finding; one meeting whose row is broken must not keep the others from their end."""
        try:
            await self._report(finding)
        except InvariantBroken:
            log.exception("finding_not_reported", meeting_id=finding.meeting_id, trigger=finding.event)

    async def _report(self, finding: Finding) -> None:
        """Report a finding, after what the bot itself may have left to say of its end."""
        meeting = await self._meetings.find(finding.meeting_id)
        if meeting is not None and finding.event in _ENDS_WORKLOAD and meeting.attempt == finding.attempt:
            await self._legacy.take_up(meeting)
        outcome = await self._apply(finding)
        while outcome.applied and _is_overdue(outcome.meeting):
            again = replace(finding, event=Event.DEADLINE_PASSED, version=outcome.meeting.version)
            outcome = await self._apply(again)

    async def _apply(self, finding: Finding) -> Outcome:
        event, detail = finding.event, finding.detail
        FINDINGS.labels(event).inc()
        report = Report(event, Source.RECONCILER, finding.attempt, finding.reason, detail, version=finding.version)
        outcome = await self._transitions.apply(finding.meeting_id, report)
        if outcome.applied:
            log.info("finding_reported", meeting_id=finding.meeting_id, trigger=event, detail=detail)
        return outcome


_ENDS_WORKLOAD = frozenset({Event.CRASHED, Event.WORKLOAD_VANISHED})


def _is_overdue(meeting: Meeting) -> bool:
    """Say whether the deadline of the state just entered had passed before: both times are the store's.

    A meeting whose configuration is changed again and again may else outstay its time.
    """
    if meeting.status in TERMINAL or meeting.deadline_at is None:
        return False
    return meeting.deadline_at <= meeting.updated_at
