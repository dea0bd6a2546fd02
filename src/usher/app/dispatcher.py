"""Runs what committed transitions owe the world: claim an effect, run it with no open transaction, settle it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from usher.app.loops import Wakeups, run_every, run_forever
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Effect
from usher.domain.policy import Policy
from usher.ports import Claim, ClaimedEffect, Lane, Outbox
from usher.telemetry import EFFECTS

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The effect is settled and leaves the outbox."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The effect was completed by the transition that it led to."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not yet: try again after the back-off, or after `delay_s`; with `last`, never again; with `endless`, for ever."""

    why: str
    delay_s: float | None = None
    last: bool = False
    endless: bool = False


_LAST_EFFECTS_S = 30.0
_PARALLEL = {Lane.WORKLOAD: 32, Lane.COMMAND: 16, Lane.NOTIFY: 256}

Result = Done | Settled | Again
Handler = Callable[[ClaimedEffect], Awaitable[Result]]


class Dispatcher:
    """One loop a lane; within a lane at most `parallel[lane]` effects run at a time, never two of one meeting.

    Several dispatchers may work on one store. One that is paused past its claims changes nothing afterwards: each
    settlement carries the claim.
    """

    def __init__(
        self,
        outbox: Outbox,
        handlers: Mapping[Effect, Handler],
        policy: Policy,
        wakeups: Wakeups,
        *,
        parallel: Mapping[Lane, int] = _PARALLEL,
        poll_s: float = 0.5,
    ) -> None:
        self._outbox = outbox
        self._handlers = handlers
        self._policy = policy
        self._parallel = parallel
        self._poll_s = poll_s
        self._wakeups = wakeups
        self._running: dict[Lane, set[asyncio.Task[None]]] = {lane: set() for lane in Lane}
        self._held: dict[Claim, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Dispatch until cancelled; effects that run at that moment are finished first, their claims held meanwhile."""
        holding = asyncio.create_task(
            run_every(self._policy.claim_renewal_s, "hold-claims", self.renew_claims), name="hold-claims"
        )
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in Lane:
                    lanes.create_task(self._run_lane(lane), name=f"dispatch-{lane}")
        finally:
            running = set().union(*self._running.values())
            if running:
                await asyncio.wait(running, timeout=_LAST_EFFECTS_S)
            holding.cancel()

    async def run_pending(self) -> int:
        """Run what is due now, once, and return how many effects that were."""
        tasks = [task for lane in Lane for task in await self._begin(lane)]
        await asyncio.gather(*tasks)
        return len(tasks)

    async def _run_lane(self, lane: Lane) -> None:
        wakeup = self._wakeups[lane]

        async def one_pass() -> bool:
            return bool(await self._begin(lane))

        await run_forever(f"dispatch-{lane}", one_pass, lambda: wakeup.wait(self._poll_s))

    async def _begin(self, lane: Lane) -> list[asyncio.Task[None]]:
        """Claim as many due effects as there is room for, and begin to run them."""
        running = self._running[lane]
        if len(running) >= self._parallel[lane]:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        limit = self._parallel[lane] - len(running)
        claimed = await self._outbox.claim(lane, limit=limit, claim_s=self._policy.claim_s)
        tasks = [asyncio.create_task(self._run_one(effect, lane)) for effect in claimed]
        for task in tasks:
            running.add(task)
            task.add_done_callback(running.discard)
        self._held.update(zip((effect.claim for effect in claimed), tasks, strict=True))
        return tasks

    async def renew_claims(self) -> None:
        """Hold the claims on what is running.

        Short claims that are renewed, rather than long ones: the work of a manager that died is taken over in seconds.
        Whoever lost a claim may go on: what it does is done twice at worst, and it can settle nothing.
        """
        self._held = {claim: task for claim, task in self._held.items() if not task.done()}
        if self._held:
            await self._outbox.renew(list(self._held), claim_s=self._policy.claim_s)

    async def _run_one(self, effect: ClaimedEffect, lane: Lane) -> None:
        try:
            await self._settle(effect, await self._attempt(effect))
        except Unavailable as error:
            log.warning("effect_not_settled", effect=effect.effect, meeting_id=effect.meeting_id, why=error.detail)
        self._wakeups[lane].wake()

    async def _attempt(self, effect: ClaimedEffect) -> Result:
        try:
            async with asyncio.timeout(self._policy.effect_timeout_s):
                return await self._handlers[effect.effect](effect)
        except Unavailable as error:
            return Again(error.detail, max(error.retry_after_s, self._policy.effect_retry.delay_s(effect.tries + 1)))
        except TimeoutError:
            return Again("it took longer than it may")
        except Exception as error:  # the guard of effects: a bug in one must not stop the lane
            log.exception("effect_failed", effect=effect.effect, meeting_id=effect.meeting_id)
            return Again(f"a bug: {type(error).__name__}")

    async def _settle(self, effect: ClaimedEffect, result: Result) -> None:
        EFFECTS.labels(effect.effect, type(result).__name__.lower()).inc()
        match result:
            case Done():
                await self._outbox.complete(effect.claim)
            case Again(why, last=last, endless=endless) if last or (
                not endless and effect.tries + 1 >= self._policy.effect_tries
            ):
                log.error("effect_buried", effect=effect.effect, meeting_id=effect.meeting_id, why=why)
                await self._outbox.bury(effect.claim, error=why)
            case Again(why, delay_s):
                delay = self._policy.effect_retry.delay_s(effect.tries + 1) if delay_s is None else delay_s
                await self._outbox.postpone(effect.claim, delay_s=delay, error=why)
            case Settled():
                pass
