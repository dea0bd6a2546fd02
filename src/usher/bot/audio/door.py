"""The way into the speech service, which all speakers of a bot share."""

import asyncio
import random
from collections.abc import Sequence


class Knock:
    """One try to get in.

    Args:
        door: Where.
        has_turn: Whether others wait until this one is answered.
    """

    def __init__(self, door: "Door", *, has_turn: bool) -> None:
        self._door = door
        self._has_turn = has_turn
        self._answered = False
        self.began_s = asyncio.get_running_loop().time()

    def opened(self) -> None:
        """The service takes audio."""
        if not self._answered:
            self._door.note_open()
            self.withdraw()

    def refused(self, wait_s: float | None) -> None:
        """The service is full and names a time, or is not to be reached. Nothing if it was opened before."""
        if not self._answered:
            self._door.note_refusal(self, wait_s)
            self.withdraw()

    def withdraw(self) -> None:
        """Nobody waits for an answer any more. Idempotent."""
        if not self._answered and self._has_turn:
            self._door.next_turn()
        self._answered = True


class Door:
    """Lets everybody in at once while all is well. After a refusal one knocks at a time, and not too soon.

    Waits are drawn a little longer or shorter, so that the bots of an installation do not knock together; the time that
    a full service names is never cut short.

    Args:
        retry_s: Waits by the number of failures in a row.

    Attributes:
        failures: How often in a row the service was not to be reached.
        waiting: How many wait for their turn.
    """

    def __init__(self, retry_s: Sequence[float]) -> None:
        self._retry_s = retry_s
        self._turn = asyncio.Lock()
        self._opens_s = 0.0
        self._failed_s = 0.0
        self._is_well = True
        self.failures = 0
        self.waiting = 0

    async def turn(self) -> Knock:
        """Return when it is one's turn to knock."""
        if self._is_well:
            return Knock(self, has_turn=False)
        self.waiting += 1
        try:
            await self._turn.acquire()
            try:
                await self._closed()
            except asyncio.CancelledError:
                self._turn.release()
                raise
        finally:
            self.waiting -= 1
        return Knock(self, has_turn=True)

    def note_open(self) -> None:
        """Take that somebody got in."""
        self.failures = 0
        self._is_well = not self.waiting

    def note_refusal(self, knock: Knock, wait_s: float | None) -> None:
        """Take that somebody did not get in; those who knocked together failed together."""
        now_s = asyncio.get_running_loop().time()
        self._is_well = False
        if wait_s is not None:
            self._opens_s = max(self._opens_s, now_s + wait_s * random.uniform(1.0, 1.2))  # noqa: S311 - no secret
        elif knock.began_s >= self._failed_s:
            delay_s = self._retry_s[min(self.failures, len(self._retry_s) - 1)]
            self._opens_s = max(self._opens_s, now_s + delay_s * random.uniform(0.7, 1.3))  # noqa: S311 - no secret
            self._failed_s = now_s
            self.failures += 1

    def next_turn(self) -> None:
        """Let the next one knock."""
        self._turn.release()

    async def _closed(self) -> None:
        """Return when the door may be open again."""
        while (left_s := self._opens_s - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110 - it may be put off
            await asyncio.sleep(left_s)
