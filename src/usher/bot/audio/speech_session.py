"""One connection to the speech service: audio out, text in, settings changed on the way."""

import asyncio
from datetime import datetime
from typing import Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.door import Knock
from usher.bot.audio.frames import SAMPLE_BYTES, Frame, count
from usher.bot.audio.life import Life
from usher.bot.audio.passes import Passes
from usher.bot.audio.segments import LooseName, SegmentReader
from usher.bot.audio.speech import Speech
from usher.bot.audio.tape import Tape
from usher.protocol.segments import SpokenSegment
from usher.protocol.whisper import (
    END_OF_AUDIO,
    EXTENSIONS_HEADER,
    ClientOptions,
    Configure,
    Configured,
    Disconnect,
    LanguageDetected,
    Problem,
    Segments,
    ServerReady,
    Wait,
    parse_server_message,
)
from usher.protocol.whisper import Task as WhisperTask

log = structlog.get_logger(__name__)

_MOST_WAIT_S = 60.0
_MOST_IN_FRAME = 4 * SAMPLE_RATE
_MOST_AHEAD = 20 * SAMPLE_RATE
_LAST_SILENCE = 2 * SAMPLE_RATE
_NO_HURRY = 3


class Source(Protocol):
    """Whose audio a session sends, and who gets its text."""

    tape: Tape

    @property
    def finishing(self) -> bool:
        """Whether no more audio comes."""
        ...

    @property
    def leaving(self) -> bool:
        """Whether the bot leaves, and there is no time."""
        ...

    def asked_at(self, position: int) -> tuple[Speech, int | None]:
        """Return what to ask of the service for speech from a position on, and where that changes."""
        ...

    async def wait_for_audio(self) -> None:
        """Return when there is more audio, none will come, or other settings are wanted."""
        ...

    def heard(self, session: "SpeechSession", segments: list[SpokenSegment]) -> None:
        """Take what a session heard."""
        ...

    def speaker(self) -> str | None:
        """Return who is talking."""
        ...


class SpeechSession:
    """One connection to the speech service.

    Args:
        source: Whose audio it is.
        uid: Name of the session.
        knock: Told whether the service lets the session in.
        loose: A name that the session before left.

    Attributes:
        uid: Its name, for the server and in the segment stream.
        origin: Position on the tape from which its seconds count.
        started: When the sample at `origin` was heard, from the first text on.
        ready: Whether the server ever took audio.
        ended: Whether the server was told that no more audio comes.
        abandoned: Whether the server was told so and never came to an end.
        fruitful: Whether any text came.
        wait_s: How long the server, being full, wants to be left alone.
    """

    def __init__(self, source: Source, uid: str, knock: Knock, loose: LooseName | None = None) -> None:
        self._source = source
        self._knock = knock
        self.uid = uid
        self.origin = source.tape.start
        self.ready = False
        self.ended = False
        self.abandoned = False
        self.fruitful = False
        self.wait_s: float | None = None
        self.started: datetime | None = None
        self._sent_until = self.origin
        self._reader = SegmentReader(uid, loose)
        self._asked, _ = source.asked_at(self.origin)
        self._patience = self._asked.patience
        self._passes = Passes()
        self._in_force: Speech | None = None
        self._settled = asyncio.Event()
        self._can_configure = False
        self._is_sure = False
        self._dismissed = False
        self._over = False
        self._life = Life(self._patience.stall_s)

    @property
    def loose(self) -> LooseName | None:
        """The name that this session leaves to the next one."""
        return self._reader.loose

    async def run(self) -> None:
        """Serve until the audio ends, the server ends, or a stock server has to be asked anew.

        Raises:
            OSError: The server is not to be reached, or not any more.
            WebSocketException: The same, or it breaks the rules of WebSockets.
            ProtocolViolation: It breaks the rules of speech services.
            TimeoutError: It gives no sign of life.
        """
        token = self._asked.token.get_secret_value()
        patience = self._patience
        try:
            async with connect(
                self._asked.url,
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                open_timeout=patience.open_s,
                close_timeout=patience.close_s,
                # A server that is behind does not read, and so answers no ping; see `Life`.
                ping_interval=None,
                proxy=None,
            ) as socket:
                await self._serve(socket)
        finally:
            # Whoever waits for new settings need not wait longer: the next session begins with them.
            self._over = True
            self._settled.set()

    async def confirmed(self, speech: Speech) -> None:
        """Return when speech from now on is heard as asked, in this session or a following one.

        Raises:
            TimeoutError: The server did not answer in time.
        """
        is_behind = self._source.tape.end - self._sent_until > _MOST_AHEAD
        if not self.ready or is_behind or not self._can_configure:
            return  # The settings go out before the audio for which they are, in this session or the next one.
        async with asyncio.timeout(self._patience.send_s):
            while not self._over and self._in_force != speech:
                self._settled.clear()
                await self._settled.wait()

    async def _serve(self, socket: ClientConnection) -> None:
        self._can_configure = _knows_configure(socket)
        await socket.send(self._options(self._asked))
        async with asyncio.timeout(self._patience.ready_s):
            while not self.ready:
                if not self._take(await socket.recv()):
                    return
        self._knock.opened()
        self._settle(self._asked)
        sending = asyncio.create_task(self._send(socket))
        receiving = asyncio.create_task(self._receive(socket))
        watching = asyncio.create_task(self._life.watch(socket))
        tasks = {sending, receiving, watching}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and sending.exception() is None:
                await self._hear_out(receiving, watching)
            else:
                # What came before the connection broke may not be read yet.
                await asyncio.wait({receiving}, timeout=self._patience.close_s)
            if receiving.done():
                receiving.result()
                self._close()
            elif watching.done():
                watching.result()
            else:
                sending.result()
                self.abandoned = True
        finally:
            for task in tasks:
                task.cancel()
            # Whatever the others died of, the first one has told.
            await asyncio.gather(*tasks, return_exceptions=True)
            self._forget_final()

    def _options(self, speech: Speech) -> str:
        options = ClientOptions(
            uid=self.uid, language=speech.language, task=WhisperTask(speech.task), model="base", use_vad=True
        )
        return options.model_dump_json(exclude_none=True) if speech.language else options.model_dump_json()

    async def _send(self, socket: ClientConnection) -> None:
        """Send what is on the tape until no more comes, or this session cannot go on with it."""
        tape = self._source.tape
        while (most := await self._adapt(socket)) > 0:
            frame = await tape.read(self._sent_until, most)
            if frame is not None and not self._follows(frame):
                break
            if frame is not None:
                await self._send_audio(socket, frame)
            elif self._source.finishing:
                break
            else:
                await self._source.wait_for_audio()
        if not self._can_configure:
            # A stock server leaves less than a second unheard, and forgets at the end what is not yet text.
            await socket.send(bytes(_LAST_SILENCE * SAMPLE_BYTES))
            self._is_sure = await self._wait_for_quiet()
        async with asyncio.timeout(self._patience.send_s):
            await socket.send(END_OF_AUDIO)
        self.ended = True

    def _follows(self, frame: Frame) -> bool:
        """Say whether a frame can be sent: a server that misses a stretch of the tape would count wrongly after it."""
        if self._sent_until == self.origin:
            self.origin = self._sent_until = frame.position
        return frame.position == self._sent_until

    async def _send_audio(self, socket: ClientConnection, frame: Frame) -> None:
        """Send audio as fast as it is taken; a stock server, which throws away what it cannot hold, not faster."""
        tape = self._source.tape
        if not self._can_configure:
            await self._wait_for_text(count(frame) / SAMPLE_RATE)
        await socket.send(frame.pcm)
        self._sent_until = frame.position + count(frame)
        tape.sent_until = max(tape.sent_until, self._sent_until)

    async def _wait_for_text(self, within_s: float) -> None:
        """Wait until the server has made text of most that it was sent, or at most for `within_s`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        while self._sent_until - self._text_until > _MOST_AHEAD and (left_s := until_s - loop.time()) > 0:
            await self._passes.next_one(left_s)

    @property
    def _text_until(self) -> int:
        return self.origin + int(self._reader.known_until_s * SAMPLE_RATE)

    async def _wait_for_quiet(self) -> bool:
        """Give a stock server time to make text of what it was sent: it tells every pass, the last over and over.

        Returns:
            Whether it told so; else it has nothing to say, or is slow.
        """
        leaving = self._source.leaving
        patience_s = self._patience.finish_s if leaving else self._patience.stall_s
        least_s = self._patience.quiet_s * (1 if leaving or self.fruitful else _NO_HURRY)
        return await self._passes.settled(least_s, patience_s)

    async def _adapt(self, socket: ClientConnection) -> int:
        """Ask the server for other settings if others are wanted from here on.

        Returns:
            How many samples may be sent under them; 0 if the server does not know how to change.
        """
        speech, until = self._source.asked_at(self._sent_until)
        most = _MOST_IN_FRAME if until is None else min(_MOST_IN_FRAME, until - self._sent_until)
        if speech == self._asked:
            return most
        if not self._can_configure:
            return 0
        self._asked = speech
        message = Configure(language=speech.language, task=WhisperTask(speech.task))
        await socket.send(message.model_dump_json())
        return most

    async def _receive(self, socket: ClientConnection) -> None:
        async for message in socket:
            if not self._take(message):
                self._dismissed = True
                break

    async def _hear_out(self, receiving: "asyncio.Task[None]", watching: "asyncio.Task[None]") -> None:
        """Wait for the last text, while there is text or, unless the bot leaves, hope."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while not receiving.done() and not watching.done():
            patience_s = self._patience.finish_s if self._source.leaving else self._patience.stall_s
            left_s = max(begun_s, self._passes.news_s) + patience_s - loop.time()
            if left_s <= 0:
                return
            # Whether the bot leaves may change meanwhile.
            await asyncio.wait({receiving, watching}, timeout=min(left_s, 1.0), return_when=asyncio.FIRST_COMPLETED)

    def _close(self) -> None:
        """If all that was sent is text, take the last one as final, and let go of the audio."""
        if not self.ended or self._dismissed:
            return
        # Usher's server makes text of everything before it closes. A stock server may have been too slow for it; what
        # it has not told of, other than silence, another session hears again if there is time.
        told_all = self._can_configure or self._is_sure or self._source.leaving
        if not told_all and self.fruitful:
            return
        last = self._reader.close()
        if last is not None:
            self._source.heard(self, [last])
        self._source.tape.forget(self._sent_until)

    def _forget_final(self) -> None:
        final_until = self.origin + int(self._reader.final_until_s * SAMPLE_RATE)
        self._source.tape.forget(min(self._sent_until, final_until))

    def _settle(self, speech: Speech) -> None:
        self._in_force = speech
        self._settled.set()

    def _take(self, data: str | bytes) -> bool:
        """Act on a message; False ends the session."""
        self._life.note()
        match parse_server_message(data):
            case ServerReady():
                self.ready = True
            case Wait(message=minutes):
                self.wait_s = min(_MOST_WAIT_S, max(self._patience.retry_s[0], float(minutes) * 60.0))
                return False
            case Segments(segments=segments):
                news = self._reader.read(segments, self._source.speaker())
                self._passes.note(is_news=bool(news), is_open=self._reader.is_open)
                if news:
                    self.fruitful = True
                    self._source.heard(self, news)
                self._forget_final()
            case LanguageDetected(language=language):
                self._reader.language = language
            case Configured():
                self._settle(self._asked)
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
