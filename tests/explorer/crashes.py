"""A crash at every step: one story, told again for each boundary that is crossed in it, with the caller dying there."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.explorer import virtual_loop
from tests.explorer.chronicle import Chronicle
from tests.explorer.exploration import at_rest, determined, listen_to_log
from tests.explorer.faults import Place, Verdict, now_s
from tests.explorer.findings import ROUGH, complaints
from tests.explorer.processes import Process
from tests.explorer.scripts import QUICK, End, Script
from tests.explorer.simulation import Simulation
from tests.explorer.users import open_account

from usher.domain.lifecycle import IN_MEETING, TERMINAL, State
from usher.domain.reconcile import WorkloadName

ACCIDENTS = (Verdict.CRASH_BEFORE, Verdict.CRASH_AFTER, Verdict.LOST, Verdict.UNANSWERED, Verdict.PAUSE_AFTER)
_FAILS = replace(QUICK, lobby_s=None, stay_s=0.5, end=End.KILLED)
_LATENCY_S = 0.01
_PAUSE_S = 12.0
_RESTART_S = 2.0
_STORY_S = 40.0
_LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Accident:
    """What befalls the caller of the crossing with this number, counted from 0."""

    crossing: int
    verdict: Verdict


class OneAccident:
    """A plan in which one thing goes wrong, and everything takes its time.

    Attributes:
        crossings: How many there were so far, until the story was over.
        where: What the accident befell; empty until then.
    """

    def __init__(self, accident: Accident | None) -> None:
        self._accident = accident
        self.counting = True
        self.crossings = 0
        self.where = ""

    def verdict(self, place: Place, process: Process | None) -> Verdict:
        """Strike at the chosen crossing."""
        if process is None or not self.counting or not process.name.startswith(("manager", "bot")):
            return Verdict.FINE
        number, self.crossings = self.crossings, self.crossings + 1
        if self._accident is None or number != self._accident.crossing:
            return Verdict.FINE
        self.where = f"{process.name} at {place}"
        return self._accident.verdict

    def delay_s(self) -> float:
        """Return the same time for every way."""
        return _LATENCY_S

    def pause_s(self) -> float:
        """Return longer than a claim, shorter than a lease."""
        return _PAUSE_S


@dataclass(frozen=True, slots=True)
class Retold:
    """What came of one telling.

    Attributes:
        crossings: How many boundaries were crossed in the story.
        states: Where the meeting was, in order.
    """

    accident: Accident | None
    where: str
    complaints: list[str]
    crossings: int
    states: list[State]
    chronicle: Chronicle


def tell(accident: Accident | None, *, told: bool = False) -> Retold:
    """Tell the story with one accident, or none."""
    with determined(0):
        chronicle = Chronicle(told=told)
        listen_to_log(chronicle)
        return virtual_loop.run(_tell(accident, chronicle))


def retell(step: int = 1, first: int = 0) -> Iterator[Retold]:
    """Tell the story with every accident at every `step`th crossing."""
    crossings = tell(None).crossings
    for crossing in range(first, crossings, step):
        for verdict in ACCIDENTS:
            yield tell(Accident(crossing, verdict))


async def _tell(accident: Accident | None, chronicle: Chronicle) -> Retold:
    """Request, one crash and its retry, a change of configuration, a stop."""
    plan = OneAccident(accident)
    world = Simulation(plan, chronicle, managers=2, script=_script, restart_s=lambda: _RESTART_S)
    ann = await open_account(world.store, "ann", 1, world.network.transport(), world.diary)
    while (meeting_id := await ann.request("weekly-sync", key="k")) is None:
        await asyncio.sleep(1.0)
    await _until(world, meeting_id, IN_MEETING)
    while not (await ann.configure("weekly-sync", "de") or _is_over(world, meeting_id)):
        await asyncio.sleep(1.0)
    await asyncio.sleep(1.0)
    while not (await ann.stop("weekly-sync") or _is_over(world, meeting_id)):
        await asyncio.sleep(1.0)
    await _until(world, meeting_id, TERMINAL)
    await asyncio.sleep(_STORY_S)
    plan.counting = False
    settled = await _settle(world)
    states = [line.to_state for line in world.store.tables.events[meeting_id]]
    found = complaints(world, settled=settled, allowance=ROUGH)
    if not settled:
        found.append("I3: the world does not settle")
    return Retold(accident, plan.where, found, plan.crossings, states, chronicle)


def _script(name: WorkloadName) -> Script:
    return _FAILS if name.attempt == 1 else QUICK


def _is_over(world: Simulation, meeting_id: int) -> bool:
    return world.store.tables.meetings[meeting_id].status in TERMINAL


async def _until(world: Simulation, meeting_id: int, states: frozenset[State]) -> None:
    """Wait until the meeting is in one of the states, or over."""
    while world.store.tables.meetings[meeting_id].status not in states | TERMINAL and now_s() < _LONGEST_S:
        await asyncio.sleep(0.5)


async def _settle(world: Simulation) -> bool:
    while not at_rest(world):
        if now_s() > _LONGEST_S:
            return False
        await asyncio.sleep(5.0)
    return True
