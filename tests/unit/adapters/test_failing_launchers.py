"""Each failing launcher fails in its own way, and works again once it is told to."""

import asyncio

import pytest

from usher.adapters.memory.failing_launchers import (
    ForgettingLauncher,
    RefusingLauncher,
    SilentLauncher,
    SlowLauncher,
)
from usher.adapters.memory.launcher import Machine, MemoryLauncher, Workload
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.reconcile import Exited, Gone, Running, Unknown, WorkloadName
from usher.ports import WorkloadSpec

NAME = WorkloadName(1, 1)
SPEC = WorkloadSpec(NAME, {})


async def test_a_refusing_launcher_starts_nothing() -> None:
    launcher = RefusingLauncher(MemoryLauncher())
    with pytest.raises(LaunchRejected):
        await launcher.start(SPEC)
    assert await launcher.observe(NAME) == Gone()
    launcher.failing = False
    await launcher.start(SPEC)
    assert await launcher.observe(NAME) == Running()
    await launcher.remove(NAME)


async def test_a_forgetting_launcher_does_it_and_does_not_say_so() -> None:
    launcher = ForgettingLauncher(MemoryLauncher())
    with pytest.raises(Unavailable):
        await launcher.start(SPEC)
    assert await launcher.observe(NAME) == Running()
    assert isinstance(await launcher.stop(NAME, grace_s=1.0), Unknown)
    assert await launcher.observe(NAME) == Exited(143, "killed by SIGTERM")
    with pytest.raises(Unavailable):
        await launcher.remove(NAME)
    assert await launcher.list() == {}


async def test_a_silent_launcher_does_and_knows_nothing() -> None:
    inner = MemoryLauncher()
    await inner.start(SPEC)
    launcher = SilentLauncher(inner)
    assert await launcher.list() is None
    assert isinstance(await launcher.observe(NAME), Unknown)
    assert isinstance(await launcher.stop(NAME, grace_s=0.0), Unknown)
    with pytest.raises(Unavailable):
        await launcher.start(WorkloadSpec(WorkloadName(2, 1), {}))
    with pytest.raises(Unavailable):
        await launcher.remove(NAME)
    assert await inner.list() == {NAME: Running()}
    launcher.failing = False
    assert await launcher.list() == {NAME: Running()}
    await launcher.remove(NAME)


async def test_a_slow_launcher_acts_late() -> None:
    inner = MemoryLauncher()
    launcher = SlowLauncher(inner, delay_s=0.05)
    starting = asyncio.create_task(launcher.start(SPEC))
    await asyncio.sleep(0)
    assert await inner.observe(NAME) == Gone()
    await starting
    assert await launcher.observe(NAME) == Running()
    await launcher.remove(NAME)


async def test_a_bot_in_memory_that_raises_has_crashed() -> None:
    async def broken(_: Workload) -> int:
        raise RuntimeError("no browser")

    launcher = MemoryLauncher(Machine(broken))
    await launcher.start(SPEC)
    await asyncio.sleep(0)
    assert await launcher.observe(NAME) == Exited(1, "RuntimeError('no browser')")


async def test_a_bot_in_memory_can_be_killed_from_outside() -> None:
    launcher = MemoryLauncher()
    await launcher.start(SPEC)
    launcher.machine.crash(NAME)
    assert await launcher.observe(NAME) == Exited(137, "killed by SIGKILL")
    assert launcher.machine.running() == frozenset()
    assert launcher.machine.starts == {NAME: 1}
