"""The machine that runs workloads, how managers reach it, and its book of what ran when."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tests.explorer.chronicle import Chronicle
from tests.explorer.faults import Boundaries, Lost, now_s
from tests.explorer.plans import Place
from tests.explorer.store import EPOCH
from tests.support.invariants import Life

from usher.adapters.memory.launcher import Bot, Machine, MemoryLauncher
from usher.domain.errors import NoRoom, Unavailable
from usher.domain.reconcile import Gone, Observation, Unknown, WorkloadName
from usher.ports import WorkloadSpec

_SETTLED_S = 20.0

_T = TypeVar("_T")


@dataclass(slots=True)
class _Entry:
    workload: WorkloadName
    started_s: float
    ended_s: float | None = None


class Book:
    """What ran, and when.

    Attributes:
        overlooked: Workloads that a list has left out once.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        self.overlooked: set[WorkloadName] = set()
        self._chronicle = chronicle
        self._entries: list[_Entry] = []

    def begin(self, name: WorkloadName) -> _Entry:
        """Note that a workload began to run."""
        entry = _Entry(name, now_s())
        self._entries.append(entry)
        self._chronicle.note(now_s(), "machine", f"{name} runs", name.meeting_id)
        return entry

    def end(self, entry: _Entry, how: str) -> None:
        """Note that it runs no more."""
        if entry.ended_s is None:
            entry.ended_s = now_s()
            self._chronicle.note(now_s(), "machine", f"{entry.workload} has ended: {how}", entry.workload.meeting_id)

    def lives(self) -> list[Life]:
        """Return everything that ever ran."""
        begin_s = EPOCH.timestamp()
        return [
            Life(one.workload, begin_s + one.started_s, None if one.ended_s is None else begin_s + one.ended_s)
            for one in self._entries
        ]

    def settled(self, seconds: float) -> set[WorkloadName]:
        """Return what has been running for longer."""
        return {one.workload for one in self._entries if one.started_s < now_s() - seconds}

    def bot_seconds(self) -> float:
        """Return for how long bots ran altogether."""
        return sum((now_s() if one.ended_s is None else one.ended_s) - one.started_s for one in self._entries)


class RemoteLauncher:
    """A manager's way to the machine: it may be silent, and its answers may be lost."""

    def __init__(self, machine: Machine, book: Book, boundaries: Boundaries) -> None:
        self._book = book
        self._launcher = MemoryLauncher(machine)
        self._boundaries = boundaries

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload."""
        await self._cross("start", lambda: self._start(spec), spec.name)

    async def _start(self, spec: WorkloadSpec) -> None:
        """Start what does not run yet only where there is room."""
        if isinstance(await self._launcher.observe(spec.name), Gone) and self._boundaries.plan.is_full():
            raise NoRoom("every place is taken")
        await self._launcher.start(spec)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Stop a workload, and say what is left."""
        try:
            return await self._cross("stop", lambda: self._launcher.stop(name, grace_s=grace_s), name)
        except Unavailable as error:
            return Unknown(error.detail)

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        try:
            return await self._cross("observe", lambda: self._launcher.observe(name), name)
        except Unavailable as error:
            return Unknown(error.detail)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all workloads; None if there is no answer."""
        try:
            return self._incomplete(await self._cross("list", self._launcher.list))
        except Unavailable:
            return None

    def _incomplete(
        self, listed: Mapping[WorkloadName, Observation] | None
    ) -> Mapping[WorkloadName, Observation] | None:
        """Leave a workload out, once in its life, and not soon after its start.

        A list may be read while the machine changes it. Together with a list that is older than the start, which a
        slow manager may hold, it would be the second look that makes an absence a fact.
        """
        if not listed:
            return listed
        candidates = sorted(listed.keys() & self._book.settled(_SETTLED_S) - self._book.overlooked, key=str)
        spot = self._boundaries.plan.blind_spot(len(candidates))
        if spot is None:
            return listed
        name = candidates[spot]
        self._book.overlooked.add(name)
        self._boundaries.chronicle.fault(now_s(), "list incomplete", "launcher", f"{name} left out", name.meeting_id)
        return {known: observation for known, observation in listed.items() if known != name}

    async def remove(self, name: WorkloadName) -> None:
        """Kill and forget a workload."""
        await self._cross("remove", lambda: self._launcher.remove(name), name)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return what a bot printed."""
        try:
            return await self._cross("logs", lambda: self._launcher.logs(name, last_bytes=last_bytes), name)
        except Unavailable:
            return b""

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what a bot left behind."""
        try:
            return await self._cross("last_words", lambda: self._launcher.last_words(name), name)
        except Unavailable:
            return b""

    async def listen(self, wake: Callable[[], None]) -> None:  # noqa: ARG002 - it is the port's
        """Tell of nothing: the listing has to be enough."""
        await asyncio.Event().wait()

    async def _cross(self, name: str, call: Callable[[], Awaitable[_T]], workload: WorkloadName | None = None) -> _T:
        meeting_id = None if workload is None else workload.meeting_id
        told = f"launcher.{name}({workload or ''})"
        try:
            result = await self._boundaries.cross(Place.LAUNCHER, told, call, meeting_id)
        except Lost as error:
            raise Unavailable(str(error)) from None
        if workload is not None:
            said = "" if result is None or isinstance(result, bytes) else f" → {result}"
            self._boundaries.chronicle.note(now_s(), "launcher", told + said, meeting_id)
        return result


async def reboot(machine: Machine, *, forgetting: bool) -> None:
    """Let every workload die at once; `forgetting` if the machine knows nothing of them afterwards."""
    for name in sorted(machine.running(), key=str):
        machine.crash(name, detail="the machine was rebooted")
    await asyncio.sleep(0)
    if forgetting:
        machine.workloads.clear()


__all__ = ["Book", "Bot", "Machine", "RemoteLauncher", "reboot"]
