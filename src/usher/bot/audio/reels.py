"""What was heard and waits for the speech service for longer than a minute: on disk, bounded, gone with the process."""

import asyncio
import heapq
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO

import numpy as np
import structlog

from usher.bot.audio.clock import SAMPLE_RATE

log = structlog.get_logger(__name__)

REEL = 10 * SAMPLE_RATE
"""Samples of one reel at most."""

_SAMPLE_BYTES = 2
_FULL_SCALE = 32_767.0


@dataclass(frozen=True, slots=True, eq=False)
class Reel:
    """Sound on disk.

    Attributes:
        place: Where in the file, in reels.
    """

    reels: "Reels"
    place: int

    async def read(self, first: int, samples: int) -> bytes:
        """Return sound, float32, from sample number `first` on.

        Raises:
            OSError: The disk does not give it back.
        """
        return await self.reels.read(self, first, samples)

    def free(self) -> None:
        """Let go of it. Idempotent."""
        self.reels.free(self)


Wound = Callable[[Reel | None], None]
"""Told that sound is on disk, or that it could not be put there."""
Lost = Callable[[Reel], None]
"""Told that a reel had to make room for a newer one."""


class Reels:
    """A file without a name, in the folder for temporary files, shared by all tapes of a bot.

    Samples have 16 bits there: half the room, and as much as the microphones and codecs of meetings tell apart. The
    disk is read and written by one thread, in the order in which it is asked. When the file is full, the oldest reel of
    all goes. Everything but the disk's work belongs to the event loop.

    Args:
        most_s: Seconds of sound at most; less than a reel for nothing at all.
    """

    def __init__(self, most_s: float) -> None:
        self._places = list(range(int(most_s * SAMPLE_RATE) // REEL))
        self._kept: OrderedDict[Reel, Lost] = OrderedDict()
        self._file: IO[bytes] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reels")
        self._is_full = False
        self._is_broken = False
        self._is_closed = False

    def wind(self, pcm: bytes, wound: Wound, lost: Lost) -> None:
        """Put sound on disk: float32, at most `REEL` samples. Does not wait; `wound` is told in the end."""
        place = self._take_place()
        if place is None:
            wound(None)
            return
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, place, pcm)
        writing.add_done_callback(partial(self._note_written, Reel(self, place), wound, lost))

    async def read(self, reel: Reel, first: int, samples: int) -> bytes:
        """See `Reel.read`."""
        if self._is_closed:
            raise OSError("the file is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, reel, first, samples)

    def free(self, reel: Reel) -> None:
        """See `Reel.free`."""
        if self._kept.pop(reel, None) is not None:
            heapq.heappush(self._places, reel.place)
            if not self._kept:
                self._is_full = False
                log.info("audio_on_disk_heard")
                self._thread.submit(self._empty)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._kept.clear()
            self._places.clear()
            self._thread.submit(self._close)
            self._thread.shutdown(wait=False)

    def _take_place(self) -> int | None:
        if not self._places and self._kept:
            oldest, lost = self._kept.popitem(last=False)
            heapq.heappush(self._places, oldest.place)
            lost(oldest)
            if not self._is_full:
                self._is_full = True
                log.warning("audio_on_disk_full", reels=len(self._kept) + 1)
        return heapq.heappop(self._places) if self._places else None

    def _note_written(self, reel: Reel, wound: Wound, lost: Lost, writing: "asyncio.Future[None]") -> None:
        error = None if writing.cancelled() else writing.exception()
        if writing.cancelled() or error is not None or self._is_closed:
            heapq.heappush(self._places, reel.place)
            if error is not None and not self._is_broken:
                log.warning("audio_not_kept_on_disk", error=type(error).__name__)
            self._is_broken = True
            wound(None)
            return
        if not self._kept:
            log.info("audio_goes_to_disk")
        self._is_broken = False
        self._kept[reel] = lost
        wound(reel)

    def _write(self, place: int, pcm: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="usher-audio-", buffering=0)  # noqa: SIM115 - closed by `close`
        samples = np.nan_to_num(np.frombuffer(pcm, dtype="<f4"), nan=0.0, posinf=1.0, neginf=-1.0)
        small = np.rint(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()
        if os.pwrite(self._file.fileno(), small, place * REEL * _SAMPLE_BYTES) < len(small):
            raise OSError("the disk took only a part")

    def _read(self, reel: Reel, first: int, samples: int) -> bytes:
        if self._file is None:
            raise OSError("the file is closed")
        at = (reel.place * REEL + first) * _SAMPLE_BYTES
        small = os.pread(self._file.fileno(), samples * _SAMPLE_BYTES, at)
        if len(small) < samples * _SAMPLE_BYTES:
            raise OSError("the disk gave only a part")
        return (np.frombuffer(small, dtype="<i2") / np.float32(_FULL_SCALE)).astype("<f4").tobytes()

    def _empty(self) -> None:
        """Give the disk back to others. Whatever is to be written next comes after this in the thread."""
        if self._file is not None:
            self._file.truncate(0)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
