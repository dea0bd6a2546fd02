"""How fast one client may go."""

import asyncio
from collections.abc import Callable

from usher.domain.rates import Bucket
from usher.transcription.config import ServerConfig


class Pace:
    """How fast one client may go. One that goes faster is read more slowly; nothing it sent is lost."""

    def __init__(self, config: ServerConfig, clock: Callable[[], float]) -> None:
        self._texts = Bucket(per_s=config.texts_per_s, burst=4 * config.texts_per_s, clock=clock)
        self._frames = Bucket(per_s=config.frames_per_s, burst=config.frames_per_s, clock=clock)
        self._audio = Bucket(per_s=config.max_speed, burst=config.max_speed, clock=clock)

    async def text(self) -> None:
        """Waits as long as one more text message asks for."""
        await asyncio.sleep(self._texts.take())

    async def frame(self, duration_s: float) -> None:
        """Waits as long as one more frame asks for.

        Args:
            duration_s: How much audio is in it.
        """
        await asyncio.sleep(max(self._frames.take(), self._audio.take(duration_s)))
