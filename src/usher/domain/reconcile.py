"""What the reconciler does about the difference between what should run and what runs. Pure.

The launcher is listed first and the rows are read second: a workload of a meeting that began after the listing is
simply not in it, and a workload in the listing whose meeting is not live was over before the rows were read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from usher.domain.lifecycle import HAS_WORKLOAD, LAUNCHING, LEASED, Event, State

WORKLOAD_PREFIX = "usher"
_WORKLOAD = re.compile(WORKLOAD_PREFIX + r"-([1-9][0-9]{0,18})-([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Running:
    """The launcher says that the workload runs."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The workload has ended and the launcher still remembers it.

    Attributes:
        code: Exit code; 128 + n for signal n; None if the launcher does not know.
        detail: What the launcher says of it (out of memory, image missing, …); may be empty.
    """

    code: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """The launcher answers, and knows no such workload."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The launcher does not answer: nothing may be concluded."""

    detail: str = ""


Observation = Running | Exited | Gone | Unknown


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """Deterministic name of what runs for one attempt: `usher-<meeting_id>-<attempt>`."""

    meeting_id: int
    attempt: int

    def __str__(self) -> str:
        return f"{WORKLOAD_PREFIX}-{self.meeting_id}-{self.attempt}"


def parse_workload_name(name: str) -> WorkloadName | None:
    """Return what `name` names, or None if it is not exactly the name of an Usher workload."""
    found = _WORKLOAD.fullmatch(name)
    return WorkloadName(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Watched:
    """A meeting that is not over, as the database sees it at one moment of its own clock.

    Attributes:
        deadline_passed: It was in its state for too long.
        lease_expired: Its bot was heard once and then not for a whole lease, while somebody listened.
        missed: It is scheduled, and its join time is so long ago that nobody wants the bot any more.
        version: Number of its last event at that moment.
    """

    meeting_id: int
    attempt: int
    status: State
    deadline_passed: bool
    lease_expired: bool
    missed: bool = False
    version: int = 0

    @property
    def workload(self) -> WorkloadName:
        """The name of the current attempt's workload."""
        return WorkloadName(self.meeting_id, self.attempt)


@dataclass(frozen=True, slots=True)
class Finding:
    """An event that the reconciler reports about a meeting.

    Attributes:
        version: Of the row that was judged: a meeting that has moved on since is judged anew in the next pass.
    """

    meeting_id: int
    attempt: int
    event: Event
    detail: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass does.

    Attributes:
        findings: Events to report, at most one a meeting.
        removals: Workloads that nobody asked for any more.
        suspects: Workloads that look dead for the first time; a second look in the next pass makes it a fact.
    """

    findings: tuple[Finding, ...]
    removals: tuple[WorkloadName, ...]
    suspects: frozenset[WorkloadName]


def plan(
    rows: Iterable[Watched],
    observed: Mapping[WorkloadName, Observation] | None,
    suspects: frozenset[WorkloadName] = frozenset(),
) -> Plan:
    """Compare the meetings that are not over with the workloads that the launcher lists.

    Args:
        rows: Every meeting that is not over.
        observed: Every workload that the launcher lists; None if it did not answer, and then nothing is concluded
            about any workload.
        suspects: `suspects` of the pass before.
    """
    findings: list[Finding] = []
    doubted: set[WorkloadName] = set()
    current: set[WorkloadName] = set()
    for row in rows:
        current.add(row.workload)
        finding = _overdue(row)
        if finding is None and observed is not None:
            finding = _dead(row, observed.get(row.workload, Gone()))
            if finding is not None and row.workload not in suspects:
                doubted.add(row.workload)
                finding = None
        if finding is not None:
            findings.append(finding)
    removals = tuple(name for name in observed or () if name not in current)
    return Plan(tuple(findings), removals, frozenset(doubted))


def _overdue(row: Watched) -> Finding | None:
    if row.lease_expired and row.status in LEASED:
        return _found(row, Event.LEASE_EXPIRED)
    if row.missed:
        return _found(row, Event.MISSED)
    if row.deadline_passed:
        return _found(row, Event.DEADLINE_PASSED)
    return None


def _dead(row: Watched, observation: Observation) -> Finding | None:
    """Say what the launcher's word about the workload means, if it means the end of it.

    While the attempt is being launched an absent workload means nothing, and in `error` its end is what clean-up
    is there to confirm.
    """
    if row.status not in HAS_WORKLOAD or row.status is State.ERROR:
        return None
    match observation:
        case Exited(code, detail):
            return _found(row, Event.CRASHED, f"exit code {code}. {detail}".strip())
        case Gone() if row.status not in LAUNCHING:
            return _found(row, Event.WORKLOAD_VANISHED)
        case _:
            return None


def _found(row: Watched, event: Event, detail: str = "") -> Finding:
    return Finding(row.meeting_id, row.attempt, event, detail, row.version)
