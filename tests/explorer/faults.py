"""The boundaries between processes and what they use: where everything that goes wrong goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import RedisError
from tests.explorer.chronicle import Chronicle
from tests.explorer.plans import Place, Plan, Verdict
from tests.explorer.processes import Process, current

from usher.domain.errors import Unavailable, UsherError

_T = TypeVar("_T")


class Lost(Exception):
    """A call got no answer: it was done or not. Each proxy tells it in the words of its port."""


class Boundaries:
    """Where every call out of a process passes.

    Attributes:
        away: What does not answer at all at the moment.
        ground: Whatever goes on without a process of its own.
    """

    def __init__(self, plan: Plan, chronicle: Chronicle) -> None:
        self.plan = plan
        self.chronicle = chronicle
        self.away: set[Place] = set()
        self.ground = Process("ground")

    async def cross(
        self, place: Place, name: str, call: Callable[[], Awaitable[_T]], meeting_id: int | None = None
    ) -> _T:
        """Make a call as the plan wants it.

        Raises:
            Lost: There is no answer.
        """
        process = current()
        if process is not None:
            await process.gate()
        verdict = self._verdict(place, name, process, meeting_id)
        await self._travel(process)
        if verdict is Verdict.LOST or place in self.away:
            raise Lost(f"{place} does not answer")
        if verdict is Verdict.LATE:
            self.ground.spawn(self._late(place, call))
            raise Lost(f"{place} did not answer in time")
        await self.befall(verdict in {Verdict.CRASH_BEFORE, Verdict.PAUSE_BEFORE}, verdict, process)
        result = await call()
        if verdict is Verdict.TWICE:
            result = await call()
        await self.befall(verdict in {Verdict.CRASH_AFTER, Verdict.PAUSE_AFTER}, verdict, process)
        await self._travel(process, back=True)
        if verdict is Verdict.UNANSWERED:
            raise Lost(f"the answer of {place} was lost")
        return result

    def _verdict(self, place: Place, name: str, process: Process | None, meeting_id: int | None) -> Verdict:
        verdict = self.plan.verdict(place, name, process)
        actor = process.name if process is not None else "-"
        self.chronicle.crossed(actor, name, verdict)
        if verdict is not Verdict.FINE:
            self.chronicle.fault(now_s(), f"{place} {verdict}", actor, f"{name}: {verdict}", meeting_id)
        return verdict

    async def _late(self, place: Place, call: Callable[[], Awaitable[Any]]) -> None:
        """Do what was given up: a database soon or never, a launcher whenever it comes to it."""
        await asyncio.sleep(self.plan.late_s() if place is Place.LAUNCHER else self.plan.delay_s())
        with suppress(UsherError, RedisError):
            await call()

    async def befall(self, now: bool, verdict: Verdict, process: Process | None) -> None:
        """Let an accident happen to a process, if this is the moment for it."""
        if now and process is not None:
            if verdict in {Verdict.CRASH_BEFORE, Verdict.CRASH_AFTER}:
                process.crash()
            else:
                process.pause_for(self.plan.pause_s())
            await process.gate()

    async def _travel(self, process: Process | None, *, back: bool = False) -> None:
        delay_s = self.plan.answer_s() if back else self.plan.delay_s()
        if delay_s:
            await asyncio.sleep(delay_s)
        if process is not None:
            await process.gate()


class Remote:
    """Something on the other side of a boundary: every method of it is a crossing, and may raise `Unavailable`."""

    def __init__(self, target: object, boundaries: Boundaries, place: Place) -> None:
        self._target = target
        self._boundaries = boundaries
        self._place = place

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            work = partial(method, *args, **kwargs)
            try:
                return await self._boundaries.cross(self._place, f"{self._place}.{name}", work, _concerned(args))
            except Lost as error:
                raise Unavailable(str(error)) from None

        setattr(self, name, call)
        return call


def _concerned(args: Sequence[Any]) -> int | None:
    """Return the meeting that a call is about, if its first argument says so."""
    first = args[0] if args else None
    if isinstance(first, int) and not isinstance(first, bool):
        return first
    meeting_id: int | None = getattr(first, "meeting_id", None)
    return meeting_id


def now_s() -> float:
    """Return the simulated time."""
    return asyncio.get_running_loop().time()
