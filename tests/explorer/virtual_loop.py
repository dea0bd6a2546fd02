"""An event loop whose clock jumps to the next timer when nothing is ready: hours pass in the time the code takes."""

import asyncio
import itertools
import selectors
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from tests.explorer.processes import claim

_MOST_ROUNDS_AT_ONE_TIME = 200_000
_LAST_WORDS_S = 600.0

_Result = TypeVar("_Result")


class Stuck(Exception):
    """The simulated world cannot go on: nothing is scheduled, or time stands still."""


class Step(asyncio.Task[Any]):
    """A task whose place in a set depends on when it was made, and not on its address: runs are repeatable."""

    def __init__(
        self, number: int, coro: Coroutine[Any, Any, Any], *, loop: asyncio.AbstractEventLoop, context: Context | None
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, context=context)

    def __hash__(self) -> int:
        return self._number


class _Jump(selectors.SelectSelector):
    """Instead of waiting for the network, lets the time pass that the loop wants to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is scheduled, and the story is not over: every task waits for another")
        self._rounds = 0 if timeout > 0 else self._rounds + 1
        if self._rounds > _MOST_ROUNDS_AT_ONE_TIME:
            self._rounds = 0
            raise Stuck(f"time stands still at {self.now_s:.3f} s: a loop goes round without waiting")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. For one run; what it runs may not use threads, sockets or signals."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._numbers = itertools.count(1)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the simulated time, in seconds since the beginning of the run."""
        return self._jump.now_s

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None
    ) -> "asyncio.Future[Any]":
        task = Step(next(self._numbers), coro, loop=loop, context=context)
        claim(task, context)
        return task


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run `main` to its end on a loop of its own, and then let whatever else is left notice the end.

    Raises:
        Stuck: Everything waits, and nothing will ever happen.
    """
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        _end_all(loop)
        loop.close()


def _end_all(loop: VirtualLoop) -> None:
    left = sorted(asyncio.all_tasks(loop), key=hash)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS_S))
