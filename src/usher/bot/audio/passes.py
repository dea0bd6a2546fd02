"""When a speech service says something: a stock server tells the outcome of every pass over the audio."""

import asyncio
from contextlib import suppress

_SURE = 2
_SLOW = 3


class Passes:
    """Counts messages with text.

    Attributes:
        news_s: When something new came last, by the loop's clock.
    """

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._at_s: float | None = None
        self.news_s = 0.0
        self._longest_s = 0.0
        self._without_news = 0

    def note(self, *, is_news: bool, is_open: bool) -> None:
        """Take a message; while text is open, the server goes on with one pass after the other."""
        now_s = asyncio.get_running_loop().time()
        if self._at_s is not None:
            # Half of it is forgotten with each message: the server may have become quicker.
            self._longest_s = max(now_s - self._at_s, self._longest_s / 2)
        self._at_s = now_s if is_open else None
        if is_news:
            self.news_s = now_s
            self._without_news = min(self._without_news, 0)
        else:
            self._without_news += 1
        self._came.set()

    async def next_one(self, within_s: float) -> bool:
        """Wait for the next message; say whether one came in time."""
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._came.wait()
                return True
        return False

    async def settled(self, least_s: float, patience_s: float) -> bool:
        """Wait until the service has gone over all that it was sent and has nothing new to say.

        Args:
            least_s: How long it may say nothing at all; longer, if it was slow before.
            patience_s: How long to wait at most.

        Returns:
            Whether it told so; else it has nothing to say, or is slow.
        """
        # What comes next may be of a pass that began before.
        self._without_news = -1
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self._without_news < _SURE:
                    if not await self.next_one(max(least_s, _SLOW * self._longest_s)):
                        return False
        return self._without_news >= _SURE
