"""Work in the background that begins when there is some, and work that gives way to something more urgent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class Background:
    """One task at a time that works off what waits. A bot with nothing of the kind to do has no task for it.

    Args:
        name: Of the task.
        work: Works until nothing waits.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to work, unless that is being done. Idempotent."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name=self._name)

    async def done(self, timeout_s: float) -> bool:
        """Wait until the work is done, at most so long; say whether it is."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout_s)
        return self._task is None or self._task.done()

    async def stop(self) -> None:
        """Give up what is not done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


async def unless(urgent: asyncio.Event, work: Coroutine[Any, Any, _T], *, within_s: float) -> _T | None:
    """Do some work and return what comes of it; None if it was given up: for lack of time, or for `urgent`."""
    doing, interrupted = asyncio.create_task(work), asyncio.create_task(urgent.wait())
    try:
        await asyncio.wait({doing, interrupted}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        doing.cancel()
        interrupted.cancel()
        await asyncio.wait({doing, interrupted})
