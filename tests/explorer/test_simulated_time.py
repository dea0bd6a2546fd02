"""The ground that the explorer stands on: simulated time, and processes that can be paused and killed."""

import asyncio
import time

import pytest
from tests.explorer import virtual_loop
from tests.explorer.processes import Process, current
from tests.explorer.virtual_loop import Stuck


def test_hours_pass_in_the_time_the_code_takes() -> None:
    async def wait() -> float:
        await asyncio.sleep(3600.0)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert virtual_loop.run(wait()) == pytest.approx(3600.0)
    assert time.monotonic() - began < 60.0


def test_timers_fire_in_their_order() -> None:
    async def order() -> list[float]:
        seen: list[float] = []

        async def note(seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(note(seconds) for seconds in (3.0, 1.0, 2.0)))
        return seen

    assert virtual_loop.run(order()) == [1.0, 2.0, 3.0]


def test_a_timeout_is_a_simulated_one() -> None:
    async def give_up() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(90.0):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert virtual_loop.run(give_up()) == pytest.approx(90.0)


def test_a_world_in_which_everything_waits_is_an_error() -> None:
    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing is scheduled"):
        virtual_loop.run(wait_for_nothing())


def test_a_loop_that_never_waits_is_an_error() -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="time stands still"):
        virtual_loop.run(spin())


def test_a_killed_process_does_nothing_any_more() -> None:
    async def story() -> list[str]:
        done: list[str] = []
        process = Process("p")

        async def work() -> None:
            try:
                await asyncio.sleep(10.0)
            finally:
                await process.gate()
                done.append("cleaned up")

        process.spawn(work())
        await asyncio.sleep(1.0)
        process.kill()
        await asyncio.sleep(100.0)
        return done

    assert virtual_loop.run(story()) == []


def test_a_paused_process_goes_on_where_it_stood() -> None:
    async def story() -> list[float]:
        done: list[float] = []
        process = Process("p")

        async def work() -> None:
            await asyncio.sleep(1.0)
            await process.gate()
            done.append(asyncio.get_running_loop().time())

        process.spawn(work())
        process.pause_for(30.0)
        process.do(lambda: done.append(-1.0))
        await asyncio.sleep(100.0)
        return done

    assert virtual_loop.run(story()) == [-1.0, 30.0]


def test_tasks_belong_to_the_process_that_made_them() -> None:
    async def story() -> bool:
        process, owners = Process("p"), list[Process | None]()

        async def inner() -> None:
            owners.append(current())
            await asyncio.sleep(1000.0)

        async def outer() -> None:
            await asyncio.create_task(inner())

        task = process.spawn(outer())
        await asyncio.sleep(1.0)
        process.kill()
        await asyncio.sleep(1.0)
        return owners == [process] and task.done()

    assert virtual_loop.run(story())
