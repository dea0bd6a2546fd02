"""Whose turn it is: one user's slow server must not keep the messages of others back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Line:
    """One user's messages.

    Attributes:
        free: A permit for each that may be under way.
        there: How many are under way or wait.
        stuck: Somebody waited in vain, and nobody has got a permit since.
    """

    free: asyncio.Semaphore
    there: int = 0
    stuck: bool = False


class Turns:
    """Lets at most so many messages of one user be under way at a time.

    More of them wait for a moment, which is enough if the server answers at all. If it does not, they are sent away,
    and later ones at once. What is kept of a user is forgotten when none of their messages is left.

    Args:
        most: Messages of one user under way at a time.
        wait_s: How long one message waits for its turn, in seconds.
    """

    def __init__(self, *, most: int = 16, wait_s: float = 1.0) -> None:
        self._most = most
        self._wait_s = wait_s
        self._lines: dict[int, _Line] = {}

    def __len__(self) -> int:
        """Return how many users have messages under way or waiting."""
        return len(self._lines)

    @asynccontextmanager
    async def take(self, user_id: int) -> AsyncIterator[bool]:
        """Wait for a turn, hold it meanwhile, and say whether there is one."""
        line = self._lines.setdefault(user_id, _Line(asyncio.Semaphore(self._most)))
        line.there += 1
        try:
            mine = await self._enter(line)
            try:
                yield mine
            finally:
                if mine:
                    line.free.release()
        finally:
            line.there -= 1
            if not line.there:
                del self._lines[user_id]

    async def _enter(self, line: _Line) -> bool:
        if line.stuck and line.free.locked():
            return False
        try:
            async with asyncio.timeout(self._wait_s):
                await line.free.acquire()
        except TimeoutError:
            line.stuck = True
            return False
        line.stuck = False
        return True
