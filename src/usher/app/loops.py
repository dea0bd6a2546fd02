"""Loops that never die: the one place that catches whatever a pass may raise."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from usher.domain.errors import Unavailable
from usher.domain.policy import Backoff
from usher.ports import Lane

log = structlog.get_logger(__name__)

_LEAST_REST_S = 0.2
_BACKOFF = Backoff(first_s=0.2, factor=2.0, most_s=10.0)


class Wakeup:
    """A hint that there is work. Losing one costs at most the poll interval."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Let the waiting loop go round now."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when woken, after `timeout_s` at the latest."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


class Wakeups:
    """One wake-up for each lane of the outbox."""

    def __init__(self) -> None:
        self._of = {lane: Wakeup() for lane in Lane}

    def __getitem__(self, lane: Lane) -> Wakeup:
        return self._of[lane]

    def wake(self) -> None:
        """Let every lane look at the outbox now."""
        for wakeup in self._of.values():
            wakeup.wake()


async def run_forever(name: str, one_pass: Callable[[], Awaitable[bool]], wait: Callable[[], Awaitable[None]]) -> None:
    """Run `one_pass` until cancelled; wait between passes unless a pass says that there is more to do.

    A pass that raises is logged and tried again after a back-off, so that no outage ends the loop.
    """
    failures = 0
    while not _is_cancelled():
        try:
            more = await one_pass()
            failures = 0
        except Unavailable as error:
            failures += 1
            log.warning("loop_waits", loop=name, why=error.detail, failures=failures)
        except Exception:  # the loop guard: a bug in one pass must not end the loop
            failures += 1
            log.exception("loop_failed", loop=name, failures=failures)
        if failures:
            await asyncio.sleep(_BACKOFF.delay_s(failures) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        elif not more:
            await wait()
    raise asyncio.CancelledError


async def run_every(
    interval_s: float, name: str, work: Callable[[], Awaitable[object]], wakeup: Wakeup | None = None
) -> None:
    """Run `work` until cancelled, `interval_s` after it has ended last or when woken; otherwise like `run_forever`."""

    async def wait() -> None:
        if wakeup is None:
            await asyncio.sleep(interval_s)
        else:
            await asyncio.sleep(min(_LEAST_REST_S, interval_s))
            await wakeup.wait(interval_s)

    async def one_pass() -> bool:
        await work()
        return False

    await run_forever(name, one_pass, wait)


def _is_cancelled() -> bool:
    """Say whether this task was cancelled: on Python 3.11 a library's `wait_for` may swallow the exception."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
