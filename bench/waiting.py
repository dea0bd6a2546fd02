"""Waiting for something to become true, by looking again and again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_LOOK_S = 0.05


async def until(is_true: Callable[[], Awaitable[bool]], within_s: float, *, look_s: float = _LOOK_S) -> bool:
    """Look until something is true, every so many seconds; False if it is not within the time, seconds."""
    deadline = time.monotonic() + within_s
    while not await is_true():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(look_s)
    return True
