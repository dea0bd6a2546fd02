"""A crash at every step: one story, told again for each boundary that is crossed in it, with the caller dying there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.explorer import virtual_loop, weathers
from tests.explorer.chronicle import Chronicle
from tests.explorer.conditions import controlled
from tests.explorer.exploration import at_rest
from tests.explorer.faults import now_s
from tests.explorer.findings import complaints
from tests.explorer.plans import Place, Verdict
from tests.explorer.processes import Process
from tests.explorer.scripts import QUICK, End, Script
from tests.explorer.simulation import Simulation
from tests.explorer.users import open_account

from usher.domain.lifecycle import IN_MEETING, TERMINAL, State
from usher.domain.reconcile import Exited, WorkloadName

ACCIDENTS = (Verdict.CRASH_BEFORE, Verdict.CRASH_AFTER, Verdict.LOST, Verdict.UNANSWERED, Verdict.PAUSE_AFTER)
_FAILS = replace(QUICK, lobby_s=None, stay_s=0.5, end=End.KILLED)
_LATENCY_S = 0.01
_PAUSE_S = 12.0
_RESTART_S = 2.0
_LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Accident:
    """What befalls the caller of the crossing with this number, counted from 0."""

    crossing: int
    verdict: Verdict


class OneAccident:
    """A plan in which one thing goes wrong, and everything takes its time.

    Attributes:
        worth_counting: Says whether a crossing of that name may make a difference now.
        crossings: How many of those there were.
        where: What the accident befell; empty until then.
    """

    def __init__(self, accident: Accident | None) -> None:
        self._accident = accident
        self.worth_counting: Callable[[str], bool] = lambda _: False
        self.crossings = 0
        self.where = ""

    def verdict(self, place: Place, name: str, process: Process | None) -> Verdict:  # noqa: ARG002 - of the protocol
        """Strike at the chosen crossing."""
        if process is None or not process.name.startswith(("manager", "bot")) or not self.worth_counting(name):
            return Verdict.FINE
        number, self.crossings = self.crossings, self.crossings + 1
        if self._accident is None or number != self._accident.crossing:
            return Verdict.FINE
        self.where = f"{process.name}: {name}"
        return self._accident.verdict

    def delay_s(self) -> float:
        """Return the same time for every way."""
        return _LATENCY_S

    def answer_s(self) -> float:
        """Return the same time for every way."""
        return _LATENCY_S

    def late_s(self) -> float:
        """Return the same time for everything."""
        return _LATENCY_S

    def is_deaf(self) -> bool:
        """Let every message arrive."""
        return False

    def is_full(self) -> bool:
        """Have room."""
        return False

    def blind_spot(self, count: int) -> int | None:  # noqa: ARG002 - of the protocol
        """Leave nothing out."""
        return None

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
    chronicle = Chronicle(told=told)
    with controlled(0, chronicle):
        return virtual_loop.run(_tell(accident, chronicle))


def retell(accidents: Sequence[Verdict] = ACCIDENTS, *, first: int = 0, step: int = 1) -> Iterator[Retold]:
    """Tell the story with each of the accidents at every `step`th crossing from the `first` on."""
    for crossing in range(first, tell(None).crossings, step):
        for verdict in accidents:
            yield tell(Accident(crossing, verdict))


async def _tell(accident: Accident | None, chronicle: Chronicle) -> Retold:
    """Request, one crash and its retry, a change of configuration, a stop."""
    plan = OneAccident(accident)
    world = Simulation(plan, chronicle, managers=2, script=_script, restart_s=lambda: _RESTART_S)
    plan.worth_counting = lambda name: _makes_a_difference(world, name)
    ann = await open_account(world.store, "ann", 1, world.network.transport(), world.diary, has_webhook=True)
    while (meeting_id := await ann.request("weekly-sync", key="k")) is None:
        await asyncio.sleep(1.0)
    await _until(lambda: _status(world, meeting_id) in IN_MEETING and _attempt(world, meeting_id) > 1)
    await _repeat(lambda: ann.configure("weekly-sync", "de"), lambda: _is_over(world, meeting_id))
    await asyncio.sleep(1.0)
    await _repeat(lambda: ann.stop("weekly-sync"), lambda: _is_over(world, meeting_id))
    await _until(lambda: _is_over(world, meeting_id))
    settled = await _settle(world)
    found = complaints(world, settled=settled, allowance=weathers.allowance(weathers.GALE))
    return Retold(
        accident=accident,
        where=plan.where,
        complaints=found if settled else [*found, "I3: the world does not settle"],
        crossings=plan.crossings,
        states=[line.to_state for line in world.store.tables.events[meeting_id]],
        chronicle=chronicle,
    )


def _makes_a_difference(world: Simulation, name: str) -> bool:
    """Say whether a crossing is more than one of a loop that finds nothing to do."""
    tables = world.store.tables
    match name:
        case "store.claim":
            return any(row.due(tables.now()) and not row.claimed(tables.now()) for row in tables.outbox.values())
        case "redis.read":
            return bool(world.redis.segments.held)
        case "launcher.list()" | "store.watched":
            return any(isinstance(one.observe(), Exited) for one in world.machine.workloads.values())
        case "store.attend" | "redis.accounts" | "store.bots":
            return False
        case _:
            return True


def _script(name: WorkloadName) -> Script:
    return _FAILS if name.attempt == 1 else QUICK


def _status(world: Simulation, meeting_id: int) -> State:
    return world.store.tables.meetings[meeting_id].status


def _attempt(world: Simulation, meeting_id: int) -> int:
    return world.store.tables.meetings[meeting_id].attempt


def _is_over(world: Simulation, meeting_id: int) -> bool:
    return _status(world, meeting_id) in TERMINAL


async def _until(condition: Callable[[], bool]) -> None:
    while not condition() and now_s() < _LONGEST_S:
        await asyncio.sleep(0.5)


async def _repeat(wish: Callable[[], Awaitable[bool]], void: Callable[[], bool]) -> None:
    """Wish for something until it is granted, or void."""
    while not (await wish() or void() or now_s() > _LONGEST_S):
        await asyncio.sleep(1.0)


async def _settle(world: Simulation) -> bool:
    await _until(lambda: at_rest(world))
    return at_rest(world)
