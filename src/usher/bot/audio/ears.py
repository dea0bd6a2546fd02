"""All that a bot hears: one listener for each track on which anything is to be heard."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from usher.bot.audio.clock import SampleClock, SteadyClock
from usher.bot.audio.listener import Listener, Publish
from usher.bot.audio.receiver import Frame
from usher.bot.audio.speech import Speech
from usher.bot.audio.tape import count, is_loud
from usher.protocol.commands import Task

log = structlog.get_logger(__name__)

_PREROLL_FRAMES = 10
_MOST_TRACKS = 200
_MOST_NAME = 255


class _Track:
    """One track of the page: quiet until something is heard, then listened to until it ends."""

    def __init__(self, track_id: str, clock: SteadyClock) -> None:
        self.track_id = track_id
        self.clock = SampleClock(clock)
        self.preroll: deque[Frame] = deque(maxlen=_PREROLL_FRAMES)
        self.listener: Listener | None = None


class TrackEars:
    """Implements `receiver.Ears`: hands each track's audio to a listener of its own.

    Args:
        meeting_id: Whose segments these are.
        connection_id: Name of the first session; further ones get new names.
        speech: How to reach the speech service.
        publish: Takes entries for the segment stream.
    """

    def __init__(self, meeting_id: int, connection_id: str, speech: Speech, publish: Publish) -> None:
        self._meeting_id = meeting_id
        self._first_uid: str | None = connection_id
        self._speech = speech
        self._publish = publish
        self._clock = SteadyClock()
        self._tracks: dict[int, _Track] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._names: Mapping[str, str] = {}

    def begin(self, track: int, track_id: str) -> None:
        """A track appeared. A page that was loaded anew counts from one again: then it takes the old one's place."""
        known = self._tracks.get(track)
        if known is not None and known.track_id != track_id:
            self.end(track)
        if track not in self._tracks and len(self._tracks) < _MOST_TRACKS:
            self._tracks[track] = _Track(track_id, self._clock)

    def hear(self, track: int, frame: Frame) -> None:
        """Take samples of a track; a listener is opened with the first sound, a second of silence before included."""
        heard = self._tracks.get(track)
        if heard is None:
            return
        heard.clock.note(frame.position, count(frame))
        if heard.listener is not None:
            heard.listener.tape.add(frame)
            heard.listener.wake()
            return
        heard.preroll.append(frame)
        if is_loud(frame):
            heard.listener = self._open(heard)

    def end(self, track: int) -> None:
        """Finish listening to a track that is over."""
        heard = self._tracks.pop(track, None)
        if heard is not None and heard.listener is not None:
            _note_losses(heard.listener)
            task = asyncio.create_task(heard.listener.finish())
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)

    def name(self, names: Mapping[str, str]) -> None:
        """Say who speaks on which track, by the page's name of the track."""
        self._names = {track_id: name[:_MOST_NAME] for track_id, name in names.items() if name}

    async def configure(self, language: str | None, task: Task) -> None:
        """Change language and task for speech from now on, on every track.

        Raises:
            TimeoutError: The speech service did not confirm in time.
        """
        self._speech = replace(self._speech, language=language, task=task)
        await asyncio.gather(*(listener.configure(self._speech) for listener in self._listeners()))

    async def finish(self) -> None:
        """Take the last text of every track. Bounded by the listeners' own limits."""
        for listener in self._listeners():
            _note_losses(listener)
        await asyncio.gather(*(listener.finish() for listener in self._listeners()), *self._ended)

    def _listeners(self) -> list[Listener]:
        return [track.listener for track in self._tracks.values() if track.listener is not None]

    def _open(self, track: _Track) -> Listener:
        uid, self._first_uid = self._first_uid or str(uuid.uuid4()), None
        listener = Listener(
            self._meeting_id, self._speech, track.clock, self._publish, self._speaker_of(track.track_id), first_uid=uid
        )
        for frame in track.preroll:
            listener.tape.add(frame)
        track.preroll.clear()
        listener.wake()
        log.info("track_opened", session_uid=uid)
        return listener

    def _speaker_of(self, track_id: str) -> Callable[[], str | None]:
        """Return who speaks on a track, and remember it when the page has already taken the person away."""
        last: list[str] = []

        def speaker() -> str | None:
            name = self._names.get(track_id)
            if name is not None:
                last[:] = [name]
            return last[0] if last else None

        return speaker


def _note_losses(listener: Listener) -> None:
    tape = listener.tape
    if tape.missing or tape.dropped:
        log.warning("audio_incomplete", missing_samples=tape.missing, dropped_samples=tape.dropped)
