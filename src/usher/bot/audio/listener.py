"""One track's sessions with the speech service: opened, kept, opened again where one breaks, finished in the end."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from usher.bot.audio.clock import SAMPLE_RATE, SampleClock
from usher.bot.audio.segments import SegmentReader
from usher.bot.audio.tape import Tape, count
from usher.protocol.commands import Task
from usher.protocol.segments import SegmentEntry, SpokenSegment
from usher.protocol.whisper import (
    END_OF_AUDIO,
    EXTENSIONS_HEADER,
    ClientOptions,
    Configure,
    Configured,
    Disconnect,
    LanguageDetected,
    Problem,
    ProtocolViolation,
    Segments,
    ServerReady,
    Wait,
    parse_server_message,
)
from usher.protocol.whisper import Task as WhisperTask

log = structlog.get_logger(__name__)

_OPEN_S = 10.0
_READY_S = 60.0
_SEND_S = 10.0
_FINISH_S = 8.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)

Publish = Callable[[SegmentEntry], None]


@dataclass(frozen=True, slots=True)
class Speech:
    """How to reach the speech service, and what to ask of it."""

    url: str
    token: SecretStr
    language: str | None
    task: Task


class Listener:
    """Keeps one track's audio flowing to the speech service, and its segments flowing back.

    Audio stays on the tape until final text covers it, so that a broken connection loses none: the next session begins
    where the text of the last one ended.

    Args:
        meeting_id: Whose segments these are.
        speech: How to reach the service.
        publish: Takes entries for the segment stream.
        speaker: Tells who is talking on this track.
        first_uid: Name of the first session; further ones get new names.
    """

    def __init__(
        self,
        meeting_id: int,
        speech: Speech,
        clock: SampleClock,
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
        self._session: _Session | None = None
        self._task = asyncio.create_task(self._run(), name="listener")

    def wake(self) -> None:
        """Notice that the tape has grown."""
        self._news.set()

    async def configure(self, speech: Speech) -> None:
        """Change language and task for speech from now on, within the open session where the server can.

        Raises:
            TimeoutError: The server did not answer in time.
        """
        self._speech = speech
        if self._session is not None:
            await self._session.configure(speech)

    async def finish(self) -> None:
        """Send what is on the tape, take the last text, and end. Bounded; idempotent."""
        self._finishing = True
        self._news.set()
        done, _ = await asyncio.wait({self._task}, timeout=_FINISH_S + _SEND_S)
        if not done:
            log.warning("listener_not_finished", unheard_samples=self.tape.end - self.tape.start)
            self._task.cancel()

    async def _run(self) -> None:
        failures = 0
        while True:
            session = _Session(self, self._uid)
            try:
                await session.run()
                if self._finishing:
                    return
                failures = 0
            except (OSError, WebSocketException, TimeoutError, ProtocolViolation) as error:
                log.warning("speech_session_broke", error=type(error).__name__, failures=failures)
                failures = 0 if session.ready else failures + 1
                if self._finishing and failures >= len(_RETRY_S):
                    return
            finally:
                self._session = None
            self._uid = str(uuid.uuid4())
            await asyncio.sleep(session.wait_s or _RETRY_S[min(failures, len(_RETRY_S) - 1)])

    # What follows is for the session only.

    @property
    def finishing(self) -> bool:
        """Whether no more audio comes."""
        return self._finishing

    @property
    def speech(self) -> Speech:
        """What to ask of the service now."""
        return self._speech

    async def wait_for_audio(self) -> None:
        """Return when the tape has grown or ends."""
        self._news.clear()
        await self._news.wait()

    def opened(self, session: "_Session") -> None:
        """Take note of the session that is open."""
        self._session = session

    def heard(self, session: "_Session", segments: list[SpokenSegment]) -> None:
        """Hand on what a session heard."""
        entry = SegmentEntry(
            meeting_id=self._meeting_id,
            session_uid=session.uid,
            session_start=self._clock.at(session.origin),
            segments=[self._on_time(session, segment) for segment in segments],
        )
        self._publish(entry)

    def speaker(self) -> str | None:
        """Return who is talking."""
        return self._speaker()

    def _on_time(self, session: "_Session", segment: SpokenSegment) -> SpokenSegment:
        """Correct the drift between the audio clock, in which the service counts, and the time of day."""
        started = self._clock.at(session.origin)
        start, end = (
            (self._clock.at(session.origin + int(s * SAMPLE_RATE)) - started) / timedelta(seconds=1)
            for s in (segment.start_s, segment.end_s)
        )
        return segment.model_copy(update={"start_s": max(0.0, start), "end_s": max(0.0, start, end)})


class _Session:
    """One connection to the speech service; its seconds count from `origin`, a position on the tape."""

    def __init__(self, listener: Listener, uid: str) -> None:
        self._listener = listener
        self.uid = uid
        self.origin = listener.tape.start
        self.ready = False
        self.wait_s: float | None = None
        self._sent_until = self.origin
        self._reader = SegmentReader(uid)
        self._socket: ClientConnection | None = None
        self._reopen = asyncio.Event()
        self._configured = asyncio.Event()
        self._can_configure = False

    async def run(self) -> None:
        """Serve until the audio ends, the server ends, or a stock server has to be asked anew."""
        speech = self._listener.speech
        headers = {"Authorization": f"Bearer {speech.token.get_secret_value()}"}
        async with connect(
            speech.url, additional_headers=headers, compression=None, open_timeout=_OPEN_S, close_timeout=2.0
        ) as socket:
            self._socket = socket
            self._can_configure = _knows_configure(socket)
            await socket.send(self._options(speech))
            async with asyncio.timeout(_READY_S):
                while not self.ready:
                    if not self._take(await socket.recv()):
                        return
            self._listener.opened(self)
            sender = asyncio.create_task(self._send(socket))
            try:
                await self._receive(socket)
            finally:
                sender.cancel()
                await asyncio.wait({sender})

    async def configure(self, speech: Speech) -> None:
        """Change the open session if the server knows how, else let a new one follow it."""
        if not self._can_configure or self._socket is None:
            self._reopen.set()
            self._listener.wake()
            return
        self._configured.clear()
        message = Configure(language=speech.language, task=WhisperTask(speech.task))
        async with asyncio.timeout(_SEND_S):
            await self._socket.send(message.model_dump_json())
            await self._configured.wait()

    def _options(self, speech: Speech) -> str:
        options = ClientOptions(
            uid=self.uid, language=speech.language, task=WhisperTask(speech.task), model="base", use_vad=True
        )
        return options.model_dump_json(exclude_none=True) if speech.language else options.model_dump_json()

    async def _send(self, socket: ClientConnection) -> None:
        tape = self._listener.tape
        while True:
            for frame in tape.after(self._sent_until):
                async with asyncio.timeout(_SEND_S):
                    await socket.send(frame.pcm)
                self._sent_until = frame.position + count(frame)
                tape.sent_until = self._sent_until
            if self._listener.finishing or self._reopen.is_set():
                await socket.send(END_OF_AUDIO)
                return
            if self._sent_until >= tape.end:
                await self._listener.wait_for_audio()

    async def _receive(self, socket: ClientConnection) -> None:
        async for message in socket:
            if not self._take(message):
                break
        last = self._reader.close()
        if last is not None:
            self._listener.heard(self, [last])
        if self._listener.finishing or self._reopen.is_set():
            self._listener.tape.forget(self._sent_until)

    def _take(self, data: str | bytes) -> bool:
        """Act on a message; False ends the session."""
        match parse_server_message(data):
            case ServerReady():
                self.ready = True
            case Wait(message=minutes):
                self.wait_s = min(60.0, max(1.0, float(minutes) * 60.0))
                return False
            case Segments(segments=segments):
                news = self._reader.read(segments, self._listener.speaker())
                if news:
                    self._listener.heard(self, news)
                    final_until = self.origin + int(self._reader.final_until_s * SAMPLE_RATE)
                    self._listener.tape.forget(min(self._sent_until, final_until))
            case LanguageDetected(language=language):
                self._reader.language = language
            case Configured():
                self._configured.set()
            case Problem(status="ERROR", message=text):
                log.warning("speech_service_complains", why=text[:200])
            case Disconnect():
                return False
            case _:
                pass
        return True


def _knows_configure(socket: ClientConnection) -> bool:
    """Say whether the server told in its handshake that it is Usher's own; a stock server closes at a text message."""
    return socket.response is not None and EXTENSIONS_HEADER in socket.response.headers
