"""When a speech service says something: a stock server tells the outcome of every pass over the audio."""

import asyncio
from contextlib import suppress


class Passes:
    """Counts messages with text.

    Attributes:
        news_s: When something new came last, by the loop's clock.
        longest_s: Longest time of late from open text to the next message.
        without_news: Messages without anything new, in a row.
    """

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._at_s: float | None = None
        self.news_s = 0.0
        self.longest_s = 0.0
        self.without_news = 0

    def begin_anew(self) -> None:
        """Count from here: what comes next may be of a pass that began before."""
        self.without_news = -1

    def note(self, *, is_news: bool, is_open: bool) -> None:
        """Take a message; while text is open, the server goes on with one pass after the other."""
        now_s = asyncio.get_running_loop().time()
        if self._at_s is not None:
            # Half of it is forgotten with each message: the server may have become quicker.
            self.longest_s = max(now_s - self._at_s, self.longest_s / 2)
        self._at_s = now_s if is_open else None
        if is_news:
            self.news_s = now_s
            self.without_news = min(self.without_news, 0)
        else:
            self.without_news += 1
        self._came.set()

    async def next_one(self, within_s: float) -> bool:
        """Wait for the next message; say whether one came in time."""
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._came.wait()
                return True
        return False
