"""Launchers that fail in one named way, around one that works. Each fails while `failing` is set."""

import asyncio
from collections.abc import Callable, Mapping

from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.reconcile import Observation, Unknown, WorkloadName
from usher.ports import Launcher, WorkloadSpec


class _Wrapped:
    """Passes every call on.

    Attributes:
        failing: Whether the failure is in force.
    """

    def __init__(self, inner: Launcher) -> None:
        self._inner = inner
        self.failing = True

    async def start(self, spec: WorkloadSpec) -> None:
        await self._inner.start(spec)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        return await self._inner.stop(name, grace_s=grace_s)

    async def observe(self, name: WorkloadName) -> Observation:
        return await self._inner.observe(name)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        return await self._inner.list()

    async def remove(self, name: WorkloadName) -> None:
        await self._inner.remove(name)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        return await self._inner.logs(name, last_bytes=last_bytes)

    async def last_words(self, name: WorkloadName) -> bytes:
        return await self._inner.last_words(name)

    async def listen(self, wake: Callable[[], None]) -> None:
        await self._inner.listen(wake)


class RefusingLauncher(_Wrapped):
    """Says of every workload that it can never run, and starts nothing."""

    async def start(self, spec: WorkloadSpec) -> None:
        """Refuse.

        Raises:
            LaunchRejected: Always, while failing.
        """
        if self.failing:
            raise LaunchRejected("no such image")
        await super().start(spec)


class FullLauncher(_Wrapped):
    """Has no room for anything new."""

    async def start(self, spec: WorkloadSpec) -> None:
        """Start nothing.

        Raises:
            NoRoom: Always, while failing.
        """
        if self.failing:
            raise NoRoom("all 2 places are taken")
        await super().start(spec)


class ForgettingLauncher(_Wrapped):
    """Starts and removes as it should, and loses the answer."""

    async def start(self, spec: WorkloadSpec) -> None:
        """Start, and do not say so.

        Raises:
            Unavailable: Always, while failing; the workload runs.
        """
        await super().start(spec)
        self._lose_answer()

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Stop, and do not say so."""
        observation = await super().stop(name, grace_s=grace_s)
        return Unknown("the answer was lost") if self.failing else observation

    async def remove(self, name: WorkloadName) -> None:
        """Remove, and do not say so.

        Raises:
            Unavailable: Always, while failing; the workload is gone.
        """
        await super().remove(name)
        self._lose_answer()

    def _lose_answer(self) -> None:
        if self.failing:
            raise Unavailable("the answer was lost")


class SilentLauncher(_Wrapped):
    """Does nothing and knows nothing: its machine cannot be reached."""

    async def start(self, spec: WorkloadSpec) -> None:
        """Start nothing.

        Raises:
            Unavailable: Always, while failing.
        """
        self._be_silent()
        await super().start(spec)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Stop nothing."""
        return Unknown("no answer") if self.failing else await super().stop(name, grace_s=grace_s)

    async def observe(self, name: WorkloadName) -> Observation:
        """Know nothing."""
        return Unknown("no answer") if self.failing else await super().observe(name)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Know nothing."""
        return None if self.failing else await super().list()

    async def remove(self, name: WorkloadName) -> None:
        """Remove nothing.

        Raises:
            Unavailable: Always, while failing.
        """
        self._be_silent()
        await super().remove(name)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Know nothing."""
        return b"" if self.failing else await super().logs(name, last_bytes=last_bytes)

    async def last_words(self, name: WorkloadName) -> bytes:
        """Know nothing."""
        return b"" if self.failing else await super().last_words(name)

    def _be_silent(self) -> None:
        if self.failing:
            raise Unavailable("no answer")


class SlowLauncher(_Wrapped):
    """Takes its time before it does anything.

    Args:
        inner: Does the work.
        delay_s: How long each call takes longer.
    """

    def __init__(self, inner: Launcher, delay_s: float) -> None:
        super().__init__(inner)
        self._delay_s = delay_s

    async def start(self, spec: WorkloadSpec) -> None:
        """Start, late."""
        await self._dawdle()
        await super().start(spec)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Stop, late."""
        await self._dawdle()
        return await super().stop(name, grace_s=grace_s)

    async def observe(self, name: WorkloadName) -> Observation:
        """Observe, late."""
        await self._dawdle()
        return await super().observe(name)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """List, late."""
        await self._dawdle()
        return await super().list()

    async def remove(self, name: WorkloadName) -> None:
        """Remove, late."""
        await self._dawdle()
        await super().remove(name)

    async def _dawdle(self) -> None:
        if self.failing:
            await asyncio.sleep(self._delay_s)
