"""A simulated installation: managers, a machine with bots, a store and a Redis, and how they are treated."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tests.explorer.chronicle import Chronicle
from tests.explorer.faults import Boundaries, now_s
from tests.explorer.fleet import Fleet
from tests.explorer.inbox import Inbox
from tests.explorer.machine import Book, Machine
from tests.explorer.network import Endpoint, Network
from tests.explorer.plans import Place, Plan
from tests.explorer.processes import Process
from tests.explorer.redis_server import RedisServer
from tests.explorer.scripts import Script
from tests.explorer.store import WatchedStore
from tests.explorer.users import Diary
from tests.explorer.wiring import Served

from usher.domain.policy import Deadlines, Policy
from usher.domain.reconcile import WorkloadName
from usher.protocol.bot import Patience

POLICY = Policy(
    deadlines=Deadlines(
        requested_s=120.0,
        starting_s=60.0,
        joining_s=60.0,
        awaiting_admission_s=120.0,
        active_s=300.0,
        reconfiguring_s=30.0,
        stopping_s=60.0,
        error_s=180.0,
    ),
    missed_after_s=120.0,
    scheduled_lead_s=20.0,
)
"""The rules of the simulated installation: deadlines are shorter than usual, so that more happens in a run."""

PATIENCE = Patience(manager_away_s=120.0)


@dataclass(slots=True)
class Outages:
    """Spans in which something was away that every promise about time rests upon.

    Attributes:
        spans: Those that are over, in seconds of the loop.
    """

    spans: list[tuple[float, float]]

    def add(self, begin_s: float, end_s: float) -> None:
        """Note one."""
        self.spans.append((begin_s, end_s))


class Simulation:
    """Everything in one place.

    Args:
        plan: What goes wrong at boundaries.
        chronicle: Takes down what happens.
        managers: How many there are.
        script: What becomes of the bot of each attempt.
        restart_s: How long after its death a manager is started again.
    """

    def __init__(
        self,
        plan: Plan,
        chronicle: Chronicle,
        *,
        managers: int,
        script: Callable[[WorkloadName], Script],
        restart_s: Callable[[], float],
        policy: Policy = POLICY,
    ) -> None:
        self.chronicle = chronicle
        self.policy = policy
        self.boundaries = Boundaries(plan, chronicle)
        self.store = WatchedStore(chronicle)
        self.machine = Machine()
        self.book = Book(chronicle)
        self.redis = RedisServer()
        self.inbox = Inbox()
        self.network = Network(self.boundaries, self.endpoints)
        self.diary = Diary()
        self.outages = Outages([])
        self.fleet = Fleet(
            machine=self.machine,
            book=self.book,
            redis=self.redis,
            boundaries=self.boundaries,
            network=self.network,
            chronicle=chronicle,
            script=script,
        )
        self._ground = Process("nature")
        self._restart_s = restart_s
        self._down_since: float | None = None
        self.managers: list[Served] = []
        self.managers += [self._start_manager(number) for number in range(1, managers + 1)]

    def endpoints(self) -> list[Endpoint]:
        """Return the managers that answer."""
        return [one.endpoint for one in self.managers if one.process.alive]

    def kill_manager(self, index: int, kind: str = "manager killed") -> None:
        """Kill a manager; another one takes its place after a while."""
        process = self.managers[index].process
        if process.alive:
            self.chronicle.fault(now_s(), kind, process.name, "is killed")
            process.crash()

    def pause_manager(self, index: int, seconds: float) -> None:
        """Stop a manager between two steps, and let it go on later."""
        process = self.managers[index].process
        if process.alive and not process.paused:
            self.chronicle.fault(now_s(), "manager paused", process.name, f"stands still for {seconds:.1f} s")
            process.pause_for(seconds)

    async def away(self, place: Place, seconds: float) -> None:
        """Let something be away for a while."""
        self.chronicle.fault(now_s(), f"{place} away", str(place), f"is away for {seconds:.1f} s")
        begin_s = now_s()
        self.boundaries.away.add(place)
        if place is Place.REDIS:
            self.redis.cut()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.boundaries.away.discard(place)
            self.chronicle.note(now_s(), str(place), "is back")
            self.outages.add(begin_s, now_s())

    def _start_manager(self, number: int) -> Served:
        served = Served(
            f"manager {number}",
            boundaries=self.boundaries,
            store=self.store,
            machine=self.machine,
            book=self.book,
            redis=self.redis,
            inbox=self.inbox,
            policy=self.policy,
            patience=PATIENCE,
            on_crash=lambda: self._replace_later(number),
            on_change=self._note_work,
        )
        served.begin()
        return served

    def _replace_later(self, number: int) -> None:
        seconds = self._restart_s()
        self.chronicle.note(now_s(), f"manager {number}", f"is dead, and started again in {seconds:.1f} s")
        self._note_work()
        self._ground.spawn(self._replace(number, seconds))

    async def _replace(self, number: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.chronicle.note(now_s(), f"manager {number}", "is started again")
        self.managers[number - 1] = self._start_manager(number)
        self._note_work()

    def _note_work(self) -> None:
        """Note since when no manager works, or that one does again."""
        works = any(one.process.alive and not one.process.paused for one in self.managers)
        if works and self._down_since is not None:
            self.outages.add(self._down_since, now_s())
            self._down_since = None
        elif not works and self._down_since is None:
            self._down_since = now_s()
