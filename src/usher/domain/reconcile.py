"""What the reconciler does about the difference between what should run and what runs. Pure.

The launcher is listed first and the rows are read second: a workload of a meeting that began after the listing is
simply not in it, and a workload in the listing whose meeting is not live was over before the rows were read.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from usher.domain.lifecycle import ENDING, HAS_WORKLOAD, LAUNCHING, LEASED, Event, Reason, State

WORKLOAD_PREFIX = "usher"
_NUMBERS = re.compile(r"-([1-9][0-9]{0,18})-([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Running:
    """The launcher says that the workload runs, or will run by itself as soon as it can.

    Attributes:
        waiting: Why it has not begun yet, where that is for want of room; empty otherwise.
    """

    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """The workload has ended and the launcher still remembers it.

    Attributes:
        code: Exit code; 128 + n for signal n; None if the launcher does not know.
        detail: What the launcher says of it (out of memory, image missing, …); may be empty.
        reason: Why, where the launcher knows more than the exit code says.
    """

    code: int | None
    detail: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The launcher answers, and knows no such workload."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The launcher does not answer: nothing may be concluded."""

    detail: str = ""


Observation = Running | Exited | Gone | Unknown


def evidence(ended: Exited) -> str:
    """Return in words how a workload ended."""
    told = "no exit code" if ended.code is None else f"exit code {ended.code}"
    return f"{told}. {ended.detail}".strip()


class WorkloadName(NamedTuple):
    """Deterministic name of what runs for one attempt: `usher-<meeting_id>-<attempt>`.

    A tuple, because thousands are looked up in each pass: it hashes and compares without running Python code.
    """

    meeting_id: int
    attempt: int

    def __str__(self) -> str:
        return self.engine_name(WORKLOAD_PREFIX)

    def engine_name(self, installation: str) -> str:
        """Return the name by which an engine knows it that serves several installations."""
        return f"{installation}-{self.meeting_id}-{self.attempt}"


def parse_workload_name(name: str) -> WorkloadName | None:
    """Return what `name` names, or None if it is not exactly the name of an Usher workload."""
    return parse_engine_name(name, WORKLOAD_PREFIX)


def parse_engine_name(name: str, installation: str) -> WorkloadName | None:
    """Return what an engine's `name` names, or None if it is not exactly a name of that installation's workloads."""
    found = _NUMBERS.fullmatch(name, len(installation)) if name.startswith(installation) else None
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


class Standing(NamedTuple):
    """What several watched meetings have in common; the words are those of `Watched`."""

    status: State
    deadline_passed: bool
    lease_expired: bool
    missed: bool


class Watchlist(Collection[Watched]):
    """Watched meetings, gathered by how they stand.

    Of ten thousand meetings nearly all stand alike, and what stands alike is judged at once.

    Args:
        standings: For each standing, the workloads of the meetings, and the version of each meeting.
    """

    def __init__(self, standings: Mapping[Standing, Mapping[WorkloadName, int]]) -> None:
        self.standings = standings

    @classmethod
    def of(cls, rows: Iterable[Watched]) -> Self:
        """Gather rows that come one by one."""
        standings: dict[Standing, dict[WorkloadName, int]] = defaultdict(dict)
        for row in rows:
            standing = Standing(row.status, row.deadline_passed, row.lease_expired, row.missed)
            standings[standing][row.workload] = row.version
        return cls(standings)

    def __len__(self) -> int:
        return sum(map(len, self.standings.values()))

    def __iter__(self) -> Iterator[Watched]:
        for standing, members in self.standings.items():
            for name, version in members.items():
                yield Watched(name.meeting_id, name.attempt, *standing, version)

    def __contains__(self, row: object) -> bool:
        return any(row == one for one in self)


@dataclass(frozen=True, slots=True)
class Finding:
    """An event that the reconciler reports about a meeting.

    Attributes:
        version: Of the row that was judged: a meeting that has moved on since is judged anew in the next pass.
        reason: Why, if the launcher knows.
    """

    meeting_id: int
    attempt: int
    event: Event
    detail: str = ""
    version: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass does.

    Attributes:
        findings: Events to report, at most one a meeting.
        removals: Workloads that nobody asked for any more.
        suspects: Workloads that look dead for the first time; a second look in the next pass makes it a fact.
        waiting: Workloads that wait for room.
    """

    findings: tuple[Finding, ...]
    removals: tuple[WorkloadName, ...]
    suspects: frozenset[WorkloadName]
    waiting: frozenset[WorkloadName] = frozenset()


def plan(
    rows: Iterable[Watched],
    observed: Mapping[WorkloadName, Observation] | None,
    suspects: frozenset[WorkloadName] = frozenset(),
    waiting: frozenset[WorkloadName] = frozenset(),
) -> Plan:
    """Compare the meetings that are not over with the workloads that the launcher lists.

    Args:
        rows: Every meeting that is not over.
        observed: Every workload that the launcher lists; None if it did not answer, and then nothing is concluded
            about any workload.
        suspects: `suspects` of the pass before.
        waiting: `waiting` of the pass before: what has been said of them is not said again.
    """
    watchlist = rows if isinstance(rows, Watchlist) else Watchlist.of(rows)
    findings: list[Finding] = []
    doubted: set[WorkloadName] = set()
    awaiting: set[WorkloadName] = set()
    for standing, members in watchlist.standings.items():
        event = _overdue(standing)
        if event is not None:
            findings += [Finding(*name, event, "", version) for name, version in members.items()]
        elif observed is not None and standing.status in _JUDGED:
            dead = list(_dead(standing.status, members, observed))
            findings += [finding for name, finding in dead if name in suspects]
            doubted.update(name for name, _ in dead if name not in suspects)
            waits = list(_waiting(standing.status, members, observed))
            findings += [finding for name, finding in waits if name not in waiting]
            awaiting.update(name for name, _ in waits)
    current = set[WorkloadName]().union(*watchlist.standings.values())
    removals = tuple(name for name in observed or () if name not in current)
    return Plan(tuple(findings), removals, frozenset(doubted), frozenset(awaiting))


_JUDGED = HAS_WORKLOAD - {State.ERROR}
"""States in which the end of a workload is news; in `error` it is what clean-up is there to confirm."""

MAY_NOT_HAVE_BEGUN = LAUNCHING | ENDING
"""States in which an absent workload means nothing: a launch may be under way, also of a bot that was stopped since.

What ends a stopped one for certain is owed by the stop.
"""


def _overdue(standing: Standing) -> Event | None:
    if standing.lease_expired and standing.status in LEASED:
        return Event.LEASE_EXPIRED
    if standing.missed:
        return Event.MISSED
    return Event.DEADLINE_PASSED if standing.deadline_passed else None


def _dead(
    status: State, members: Mapping[WorkloadName, int], observed: Mapping[WorkloadName, Observation]
) -> Iterator[tuple[WorkloadName, Finding]]:
    """Say of which workloads the launcher's word means the end, and what it is."""
    for name in [name for name in members if not isinstance(observed.get(name), Running)]:
        match observed.get(name, Gone()):
            case Exited(reason=reason) as ended:
                yield name, Finding(*name, Event.CRASHED, evidence(ended), members[name], reason)
            case Gone() if status not in MAY_NOT_HAVE_BEGUN:
                yield name, Finding(*name, Event.WORKLOAD_VANISHED, "", members[name])


def _waiting(
    status: State, members: Mapping[WorkloadName, int], observed: Mapping[WorkloadName, Observation]
) -> Iterator[tuple[WorkloadName, Finding]]:
    """Say which workloads the launcher has no room for yet."""
    for name in members if status in LAUNCHING else ():
        match observed.get(name):
            case Running(waiting=why) if why:
                yield name, Finding(*name, Event.ROOM_AWAITED, why, members[name])
