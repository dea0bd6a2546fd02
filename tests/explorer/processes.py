"""Simulated processes: which task belongs to whom, and what it is for one to be paused or killed."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

_T = TypeVar("_T")


def _nothing() -> None:
    pass


class Process:
    """An owner of tasks that can be stopped as an operating system stops a process: between any two steps.

    A killed process runs the `finally` clauses of its tasks, which a real one does not; but it never crosses a boundary
    again, so nobody outside sees a difference. A paused one is stopped at its next crossing.

    Args:
        name: For the story.
        on_crash: Called when an accident ends it.
        on_change: Called when it was paused, or goes on.

    Attributes:
        name: For the story.
        alive: False once it was killed or has ended.
        since_s: When it began, in seconds of the loop.
    """

    def __init__(
        self, name: str, on_crash: Callable[[], None] = _nothing, on_change: Callable[[], None] = _nothing
    ) -> None:
        self.name = name
        self.alive = True
        self._on_crash = on_crash
        self._on_change = on_change
        self.since_s = asyncio.get_running_loop().time()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: list[Callable[[], None]] = []
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def spawn(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        """Run something as a part of this process."""
        context = Context()
        context.run(_CURRENT.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def own(self, task: "asyncio.Task[Any]") -> None:
        """Count a task as one of this process."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def disown(self, task: "asyncio.Task[Any] | None") -> None:
        """Count a task no more: it outlives the process."""
        if task is not None:
            self._tasks.discard(task)

    @property
    def paused(self) -> bool:
        """Whether it is stopped for a while."""
        return not self._goes_on.is_set()

    def pause(self) -> None:
        """Let it stop at its next crossing."""
        self._goes_on.clear()
        self._on_change()

    def pause_for(self, seconds: float) -> None:
        """Let it stop at its next crossing, and go on later."""
        self.pause()
        asyncio.get_running_loop().call_later(seconds, self.resume)

    def resume(self) -> None:
        """Let it go on."""
        self._goes_on.set()
        held, self._held = self._held, []
        for action in held:
            self.do(action)
        self._on_change()

    def do(self, action: Callable[[], None]) -> None:
        """Do what others see and what takes no time: later while the process is paused, never once it is dead."""
        if self.paused:
            self._held.append(action)
        elif self.alive:
            action()

    def kill(self) -> None:
        """Let it be over, now."""
        self.alive = False
        for task in sorted(self._tasks, key=hash):
            task.cancel()

    def crash(self) -> None:
        """Let it be over, now, by an accident that whoever runs it gets to know of."""
        self.kill()
        self._on_crash()

    async def gate(self) -> None:
        """Pass if the process runs; wait while it is paused, and for ever when it is dead."""
        while not (self.alive and self._goes_on.is_set()):
            if self.alive:
                await self._goes_on.wait()
            else:
                await asyncio.Event().wait()


_CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)


def current() -> Process | None:
    """Return the process that the running task belongs to."""
    return _CURRENT.get()


def become(process: Process) -> None:
    """Let the running task belong to `process` from now on, and to nobody else."""
    task = asyncio.current_task()
    before = _CURRENT.get()
    if task is not None:
        if before is not None:
            before.disown(task)
        process.own(task)
    _CURRENT.set(process)


def claim(task: "asyncio.Task[Any]", context: Context | None) -> None:
    """Give a new task to the process in whose context it was made."""
    process = _CURRENT.get() if context is None else context.get(_CURRENT)
    if process is not None:
        process.own(task)
