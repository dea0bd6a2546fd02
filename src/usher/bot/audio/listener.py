"""One speaker's sessions with the speech service: opened, kept, opened again where one breaks, finished in the end."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from websockets.exceptions import WebSocketException

from usher.bot.audio.clock import SAMPLE_RATE, Moments
from usher.bot.audio.door import Door
from usher.bot.audio.segments import LooseName
from usher.bot.audio.speech import Speech
from usher.bot.audio.speech_session import SpeechSession
from usher.bot.audio.tape import Tape
from usher.protocol.credentials import name_session
from usher.protocol.segments import SegmentEntry, SpokenSegment
from usher.protocol.whisper import ProtocolViolation

log = structlog.get_logger(__name__)

_MOST_CHANGES = 100

Publish = Callable[[SegmentEntry], None]


class Listener:
    """Keeps one speaker's audio flowing to the speech service, and its segments flowing back.

    Audio stays on the tape until final text covers it, so that a broken connection loses none: the next session begins
    where the final text of the last one ended, and its first text takes the place of what was not final.

    Args:
        meeting_id: Whose segments these are.
        speech: How to reach the service.
        clock: When the samples on the tape were heard.
        publish: Takes entries for the segment stream.
        speaker: Tells who that is.
        first_uid: Name of the first session; further ones get new names.
        tape: Where audio is kept; None for one in memory.
        door: The way into the service that all speakers share; None for one of its own.

    Attributes:
        tape: Where audio is kept.
        unheard: Samples that nobody made text of, known in the end.
    """

    def __init__(
        self,
        meeting_id: int,
        speech: Speech,
        clock: Moments,
        publish: Publish,
        speaker: Callable[[], str | None],
        *,
        first_uid: str,
        tape: Tape | None = None,
        door: Door | None = None,
    ) -> None:
        self._meeting_id = meeting_id
        self._speech = speech
        self._changes: deque[tuple[int, Speech]] = deque([(0, speech)], maxlen=_MOST_CHANGES)
        self._clock = clock
        self._publish = publish
        self._speaker = speaker
        self._uid = first_uid
        self._door = door or Door(speech.patience.retry_s)
        self.tape = tape or Tape()
        self.unheard = 0
        self._news = asyncio.Event()
        self._finishing = False
        self._leaving = False
        self._failures_before = 0
        self._session: SpeechSession | None = None
        self._open: SegmentEntry | None = None
        self._task = asyncio.create_task(self._run(), name="listener")
        self._task.add_done_callback(self._note_end)

    @property
    def is_behind(self) -> bool:
        """Whether there is audio that the service never had."""
        return self.tape.sent_until < self.tape.end

    def wake(self) -> None:
        """Notice that the tape has grown."""
        self._news.set()

    async def configure(self, speech: Speech) -> None:
        """Change language and task for speech from now on, within the open session where the server can.

        Raises:
            TimeoutError: The server did not answer in time.
        """
        self._speech = speech
        if self._changes[-1][0] == self.tape.end:
            self._changes.pop()
        self._changes.append((self.tape.end, speech))
        self._news.set()
        if self._session is not None:
            await self._session.confirmed(speech)

    async def drain(self) -> None:
        """Send what is on the tape, take the last text, and end, however long the service is away. Idempotent."""
        self._finishing = True
        self._news.set()
        await asyncio.wait({self._task})

    async def finish(self, within_s: float | None = None) -> None:
        """Send what is on the tape, take the last text, and end. Bounded; idempotent.

        Args:
            within_s: How long that may take; by default as `SpeechPatience` says.
        """
        if not self._leaving:
            self._failures_before = self._door.failures
        self._finishing = self._leaving = True
        self._news.set()
        patience = self._speech.patience
        done, _ = await asyncio.wait({self._task}, timeout=patience.last_s if within_s is None else within_s)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=patience.close_s)

    async def _run(self) -> None:
        loose: LooseName | None = None
        fruitless = 0
        while not self._is_over():
            knock = await self._door.turn()
            if self._is_over():
                knock.withdraw()
                break
            session = self._session = SpeechSession(self, self._uid, knock, loose)
            try:
                await session.run()
            except (OSError, WebSocketException, TimeoutError, ProtocolViolation) as error:
                log.warning("speech_session_broke", error=type(error).__name__, failures=self._door.failures)
            finally:
                self._session = None
                knock.refused(session.wait_s)
                self._note_open_text(loose := session.loose)
            if session.abandoned and self._leaving:
                break
            self._uid = name_session(self._uid, uuid.uuid4().hex)
            fruitless = 0 if session.fruitful or not session.ready else fruitless + 1
            retry_s = self._speech.patience.retry_s
            await asyncio.sleep(retry_s[min(fruitless, len(retry_s) - 1)] if session.ready else 0.0)

    def _is_over(self) -> bool:
        """Say whether there is nothing left to do, or no hope in the time that is left."""
        if not self._finishing:
            return False
        failed = self._door.failures - self._failures_before
        return not self.tape.kept or (self._leaving and failed >= len(self._speech.patience.retry_s))

    def _note_open_text(self, loose: LooseName | None) -> None:
        """Forget text that the service took back."""
        if loose is None or loose.withdrawn:
            self._open = None

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("listener_died", error=type(error).__name__, exc_info=error)
        if self._open is not None:
            # Nobody will hear it again: better this than nothing.
            self._publish(_final(self._open))
        self.unheard = self.tape.dropped + self.tape.kept
        if self.unheard:
            log.warning("audio_unheard", samples=self.unheard, dropped_samples=self.tape.dropped)
        self.tape.clear()

    # What follows is `Source`, for the session only.

    @property
    def finishing(self) -> bool:
        """Whether no more audio comes."""
        return self._finishing

    @property
    def leaving(self) -> bool:
        """Whether the bot leaves, and there is no time."""
        return self._leaving

    def asked_at(self, position: int) -> tuple[Speech, int | None]:
        """Return what to ask of the service for speech from a position on, and where that changes."""
        while len(self._changes) > 1 and self._changes[1][0] <= self.tape.start:
            self._changes.popleft()
        asked, until = self._changes[0][1], None
        for begin, speech in self._changes:
            if begin > position:
                until = begin
                break
            asked = speech
        return replace(self._speech, language=asked.language, task=asked.task), until

    async def wait_for_audio(self) -> None:
        """Return when the tape has grown or ends, or other settings are wanted."""
        self._news.clear()
        await self._news.wait()

    def heard(self, session: SpeechSession, segments: list[SpokenSegment]) -> None:
        """Hand on what a session heard."""
        if session.started is None:
            session.started = self._clock.at(session.origin)
        entry = SegmentEntry(
            meeting_id=self._meeting_id,
            session_uid=session.uid,
            session_start=session.started,
            segments=[self._on_time(session.origin, session.started, segment) for segment in segments],
        )
        for segment in entry.segments:
            if not segment.completed:
                self._open = entry.model_copy(update={"segments": [segment]})
            elif self._open is not None and self._open.segments[0].segment_id == segment.segment_id:
                self._open = None
        self._publish(entry)

    def speaker(self) -> str | None:
        """Return who is talking."""
        return self._speaker()

    def _on_time(self, origin: int, started: datetime, segment: SpokenSegment) -> SpokenSegment:
        """Correct the drift between the audio clock, in which the service counts, and the time of day."""
        start, end = (
            (self._clock.at(origin + int(s * SAMPLE_RATE)) - started) / timedelta(seconds=1)
            for s in (segment.start_s, segment.end_s)
        )
        return segment.model_copy(update={"start_s": max(0.0, start), "end_s": max(0.0, start, end)})


def _final(entry: SegmentEntry) -> SegmentEntry:
    segments = [one.model_copy(update={"completed": True, "revision": one.revision + 1}) for one in entry.segments]
    return entry.model_copy(update={"segments": segments})
