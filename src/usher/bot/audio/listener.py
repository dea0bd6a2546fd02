"""One speaker's sessions with the speech service: opened, kept, opened again where one breaks, finished in the end."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from websockets.exceptions import WebSocketException

from usher.bot.audio.clock import SAMPLE_RATE, Moments
from usher.bot.audio.speech import Speech
from usher.bot.audio.speech_session import SpeechSession
from usher.bot.audio.tape import Tape
from usher.protocol.segments import SegmentEntry, SpokenSegment
from usher.protocol.whisper import ProtocolViolation

log = structlog.get_logger(__name__)

Publish = Callable[[SegmentEntry], None]


class Listener:
    """Keeps one speaker's audio flowing to the speech service, and its segments flowing back.

    Audio stays on the tape until final text covers it, so that a broken connection loses none: the next session begins
    where the text of the last one ended.

    Args:
        meeting_id: Whose segments these are.
        speech: How to reach the service.
        clock: When the samples on the tape were heard.
        publish: Takes entries for the segment stream.
        speaker: Tells who that is.
        first_uid: Name of the first session; further ones get new names.
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
    ) -> None:
        self._meeting_id = meeting_id
        self._speech = speech
        self._clock = clock
        self._publish = publish
        self._speaker = speaker
        self._uid = first_uid
        self.tape = Tape()
        self._news = asyncio.Event()
        self._finishing = False
        self._session: SpeechSession | None = None
        self._task = asyncio.create_task(self._run(), name="listener")
        self._task.add_done_callback(_note_death)

    def wake(self) -> None:
        """Notice that the tape has grown."""
        self._news.set()

    async def configure(self, speech: Speech) -> None:
        """Change language and task for speech from now on, within the open session where the server can.

        Raises:
            TimeoutError: The server did not answer in time.
        """
        self._speech = speech
        self._news.set()
        if self._session is not None:
            await self._session.confirmed(speech)

    async def finish(self) -> None:
        """Send what is on the tape, take the last text, and end. Bounded; idempotent."""
        self._finishing = True
        self._news.set()
        patience = self._speech.patience
        # A server that has everything at once needs the one; one that is away is tried again for the other.
        done, _ = await asyncio.wait({self._task}, timeout=patience.finish_s + patience.send_s)
        if not done:
            log.warning("listener_not_finished", unheard_samples=self.tape.end - self.tape.start)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=patience.close_s)

    async def _run(self) -> None:
        failures = 0
        retry_s = self._speech.patience.retry_s
        while not (self._finishing and failures >= len(retry_s)):
            session = self._session = SpeechSession(self, self._uid)
            try:
                await session.run()
                if self._finishing and session.ended:
                    return
                failures = 0
            except (OSError, WebSocketException, TimeoutError, ProtocolViolation) as error:
                log.warning("speech_session_broke", error=type(error).__name__, failures=failures)
                failures = 0 if session.ready else failures + 1
            finally:
                self._session = None
            self._uid = str(uuid.uuid4())
            await asyncio.sleep(session.wait_s or retry_s[min(failures, len(retry_s) - 1)])

    # What follows is `Source`, for the session only.

    @property
    def finishing(self) -> bool:
        """Whether no more audio comes."""
        return self._finishing

    @property
    def speech(self) -> Speech:
        """What to ask of the service now."""
        return self._speech

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


def _note_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("listener_died", error=type(error).__name__, exc_info=error)
