"""One connection to the speech service: audio out, text in, settings changed on the way."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.frames import count
from usher.bot.audio.segments import SegmentReader
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


class Source(Protocol):
    """Whose audio a session sends, and who gets its text."""

    tape: Tape

    @property
    def finishing(self) -> bool:
        """Whether no more audio comes."""
        ...

    @property
    def speech(self) -> Speech:
        """What to ask of the service now."""
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

    Attributes:
        uid: Its name, for the server and in the segment stream.
        origin: Position on the tape from which its seconds count.
        started: When the sample at `origin` was heard, from the first text on.
        ready: Whether the server ever took audio.
        ended: Whether the server was told that no more audio comes.
        wait_s: How long the server, being full, wants to be left alone.
    """

    def __init__(self, source: Source, uid: str) -> None:
        self._source = source
        self.uid = uid
        self.origin = source.tape.start
        self.ready = False
        self.ended = False
        self.wait_s: float | None = None
        self.started: datetime | None = None
        self._sent_until = self.origin
        self._reader = SegmentReader(uid)
        self._asked = source.speech
        self._patience = source.speech.patience
        self._text = asyncio.Event()
        self._in_force: Speech | None = None
        self._settled = asyncio.Event()
        self._can_configure = False
        self._over = False

    async def run(self) -> None:
        """Serve until the audio ends, the server ends, or a stock server has to be asked anew."""
        token = self._asked.token.get_secret_value()
        patience = self._patience
        try:
            async with connect(
                self._asked.url,
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                open_timeout=patience.open_s,
                close_timeout=patience.close_s,
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
        if not self.ready:
            return  # The settings are sent before the audio.
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
        self._settle(self._asked)
        sending = asyncio.create_task(self._send(socket))
        receiving = asyncio.create_task(self._receive(socket))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            # Either all is sent, or the connection is broken. A server that never comes to an end is not waited for.
            await asyncio.wait({receiving}, timeout=self._patience.finish_s)
            finished = receiving.done()
            if finished:
                receiving.result()
            else:
                sending.result()
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.wait({sending, receiving})
        self._close(finished=finished)

    def _options(self, speech: Speech) -> str:
        options = ClientOptions(
            uid=self.uid, language=speech.language, task=WhisperTask(speech.task), model="base", use_vad=True
        )
        return options.model_dump_json(exclude_none=True) if speech.language else options.model_dump_json()

    async def _send(self, socket: ClientConnection) -> None:
        """Send what is on the tape until no more comes, or this session cannot go on with it."""
        tape = self._source.tape
        while await self._adapt(socket):
            for frame in tape.after(self._sent_until):
                async with asyncio.timeout(self._patience.send_s):
                    await socket.send(frame.pcm)
                self._sent_until = frame.position + count(frame)
                tape.sent_until = max(tape.sent_until, self._sent_until)
            if self._source.finishing:
                break
            if self._sent_until >= tape.end:
                await self._source.wait_for_audio()
        if self._source.finishing and not self._can_configure:
            await self._wait_for_quiet()
        async with asyncio.timeout(self._patience.send_s):
            await socket.send(END_OF_AUDIO)
        self.ended = True

    async def _wait_for_quiet(self) -> None:
        """Give a stock server, which forgets at the end what it has not yet made text of, time to do so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.finish_s):
                while True:
                    self._text.clear()
                    async with asyncio.timeout(self._patience.quiet_s):
                        await self._text.wait()

    async def _adapt(self, socket: ClientConnection) -> bool:
        """Ask the server for other settings if others are wanted now; False if it does not know how."""
        speech = self._source.speech
        if speech == self._asked:
            return True
        if not self._can_configure:
            return False
        self._asked = speech
        message = Configure(language=speech.language, task=WhisperTask(speech.task))
        async with asyncio.timeout(self._patience.send_s):
            await socket.send(message.model_dump_json())
        return True

    async def _receive(self, socket: ClientConnection) -> None:
        async for message in socket:
            if not self._take(message):
                break

    def _close(self, *, finished: bool) -> None:
        """Take the last text, and let go of the audio that need not be heard again."""
        last = self._reader.close()
        if last is not None:
            self._source.heard(self, [last])
        # Usher's server makes text of everything before it closes; a stock server does not.
        if finished and self.ended and (self._can_configure or self._source.finishing):
            self._source.tape.forget(self._sent_until)
        else:
            self._forget_final()

    def _forget_final(self) -> None:
        final_until = self.origin + int(self._reader.final_until_s * SAMPLE_RATE)
        self._source.tape.forget(min(self._sent_until, final_until))

    def _settle(self, speech: Speech) -> None:
        self._in_force = speech
        self._settled.set()

    def _take(self, data: str | bytes) -> bool:
        """Act on a message; False ends the session."""
        match parse_server_message(data):
            case ServerReady():
                self.ready = True
            case Wait(message=minutes):
                self.wait_s = min(_MOST_WAIT_S, max(self._patience.retry_s[0], float(minutes) * 60.0))
                return False
            case Segments(segments=segments):
                news = self._reader.read(segments, self._source.speaker())
                if news:
                    self._source.heard(self, news)
                    self._text.set()
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
