"""The recorder: hears what the ears hear, works beside the event loop, and never holds up the bot."""

import asyncio
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from usher.bot.audio.receiver import Frame
from usher.bot.line import Line
from usher.bot.recording.desk import Desk, Heard, News
from usher.bot.recording.shipping import Shipping
from usher.bot.recording.spool import Spool
from usher.protocol.bot import BotConfiguration
from usher.protocol.recordings import MIXED, FileDescription, FileState

log = structlog.get_logger(__name__)

_TURN_S = 0.5
_END_S = 5.0
_MOST_WAITING = 5000


class Recorder:
    """Records one attempt. Everything is begun by the first frame, and ends with `finish`.

    Frames are encoded twice a second in a thread. Whatever goes wrong here ends the recording, not the visit.

    Args:
        configuration: Whose recording it is, and where it goes.
        line: In the place of one of its own. The caller closes it.
    """

    def __init__(self, configuration: BotConfiguration, line: Line | None = None) -> None:
        self._configuration = configuration
        self._given_line = line
        self._heard: list[tuple[Hashable, Heard | None]] = []
        self._dropped = 0
        self._ending = asyncio.Event()
        self._ended = False
        self._recording: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")

    def hear(self, lane: Hashable, name: str | None, frame: Frame, at: datetime) -> None:
        """Take a frame of a lane. Never waits.

        Args:
            lane: Whose sound it is: equal for the same speaker, whatever track it comes by.
            name: What the speaker is called now.
            frame: Samples; their positions count on one time line for all tracks of the speaker.
            at: When the first of them was heard.
        """
        if self._ended:
            return
        if self._recording is None:
            self._recording = asyncio.create_task(self._record(at))
            self._recording.add_done_callback(self._note_end)
        if len(self._heard) >= _MOST_WAITING:
            self._dropped += 1
            return
        now_s = asyncio.get_running_loop().time()
        self._heard.append((lane, Heard(lane, name, frame, at, now_s)))

    def end(self, lane: Hashable) -> None:
        """Finish the file of a lane that is over. Another frame of it would begin another file."""
        if self._recording is not None and not self._ended:
            self._heard.append((lane, None))

    async def finish(self) -> None:
        """Upload what is left, within some seconds, and let go of everything. Idempotent."""
        self._ending.set()
        if self._recording is None:
            self._ended = True
            return
        await asyncio.wait({self._recording}, timeout=_END_S)
        self._recording.cancel()
        await asyncio.wait({self._recording})

    async def _record(self, start: datetime) -> None:
        line = self._given_line or Line(self._configuration)
        spool = Spool()
        shipping = Shipping(line, spool)
        try:
            async with asyncio.TaskGroup() as group:
                uploading = group.create_task(shipping.run())
                await self._work(Desk(start), shipping)
                await shipping.empty()
                uploading.cancel()
        # The guard of the recording: whatever goes wrong in it, the visit goes on, and the manager is told.
        except Exception as error:
            log.exception("recording_died")
            shipping.give_up(type(error).__name__)
        finally:
            if shipping.waiting:
                log.warning("recording_cut_off", pieces=shipping.waiting)
            spool.close()
            await self._close(line, shipping.given_up, start)

    async def _close(self, line: Line, given_up: str | None, start: datetime) -> None:
        """Tell that the recording ends before its time, if the manager can be told, and close the line."""
        if given_up is not None and not line.over.is_set():
            said = FileDescription(started_at=start, state=FileState.GIVEN_UP)
            await line.ask("PUT", f"/recordings/{MIXED}", said.model_dump(mode="json"))
        if self._given_line is None:
            await line.close()

    async def _work(self, desk: Desk, shipping: Shipping) -> None:
        """Run the desk until the end is wished for or recording makes no sense any more."""
        loop = asyncio.get_running_loop()
        while shipping.given_up is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TURN_S):
                    await self._ending.wait()
            ending = self._ending.is_set()
            heard, self._heard = self._heard, []
            turn = partial(_turn, desk, heard, loop.time(), ending=ending)
            shipping.take(await loop.run_in_executor(self._thread, turn))
            if ending:
                return

    def _note_end(self, _task: "asyncio.Task[None]") -> None:
        self._ended = True
        self._heard.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._dropped:
            log.warning("recording_frames_dropped", frames=self._dropped)


def _turn(desk: Desk, heard: list[tuple[Hashable, Heard | None]], now_s: float, *, ending: bool) -> list[News]:
    for lane, frame in heard:
        if frame is None:
            desk.end(lane, now_s)
        else:
            desk.hear(frame)
    return desk.close(now_s) if ending else desk.advance(now_s)
