"""Whose turn it is: nobody waits for somebody else's server."""

import asyncio
from contextlib import AsyncExitStack

from usher.app.turns import Turns

SLOW, QUICK = 1, 2


async def test_so_many_at_a_time_and_no_more() -> None:
    turns = Turns(most=2, wait_s=0.05)
    async with AsyncExitStack() as held:
        got = [await held.enter_async_context(turns.take(SLOW)) for _ in range(3)]
        assert got == [True, True, False]
        assert await held.enter_async_context(turns.take(QUICK)), "another user is not concerned"
    async with turns.take(SLOW) as mine:
        assert mine, "turns are given back"


async def test_who_waits_gets_the_turn_that_is_given_back() -> None:
    turns = Turns(most=1, wait_s=60.0)
    order: list[str] = []

    async def tell(name: str) -> None:
        async with turns.take(QUICK) as mine:
            assert mine
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(tell(name) for name in "abc"))
    assert order == ["a", "b", "c"]


async def test_once_one_has_waited_in_vain_the_others_need_not() -> None:
    turns = Turns(most=1, wait_s=1.0)
    async with turns.take(SLOW):
        async with asyncio.timeout(50.0):
            for _ in range(100):
                async with turns.take(SLOW) as mine:
                    assert not mine
    async with turns.take(SLOW) as mine:
        assert mine, "as soon as the server answers it has its turns again"


async def test_a_turn_is_given_back_whatever_happens() -> None:
    turns = Turns(most=1, wait_s=0.05)

    async def hang() -> None:
        async with turns.take(SLOW):
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    async with turns.take(SLOW) as mine:
        assert mine
    assert len(turns) == 0, "nothing is kept of users without messages"
