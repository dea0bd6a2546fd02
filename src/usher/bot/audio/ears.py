"""All that a bot hears: each frame goes to the lane of whoever speaks, and each lane to the speech service."""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import structlog

from usher.bot.audio.attribution import Attributed, Attribution
from usher.bot.audio.clock import SAMPLE_RATE, Moments, SampleClock, SteadyClock
from usher.bot.audio.clues import Clues
from usher.bot.audio.door import Door
from usher.bot.audio.frames import SAMPLE_BYTES, Frame, count
from usher.bot.audio.lane import Lane
from usher.bot.audio.listener import Listener, Publish
from usher.bot.audio.reels import Reels
from usher.bot.audio.sound import Sound
from usher.bot.audio.speech import Speech
from usher.bot.audio.tape import Tape, loudness
from usher.bot.platforms.port import Sighting
from usher.protocol.commands import Task
from usher.protocol.credentials import name_session

log = structlog.get_logger(__name__)

_MOST_TRACKS = 200
_MOST_LANES = 200
_MOST_NAMES = 2000
_MOST_NAME = 255
_STALLED = 2 * SAMPLE_RATE
_IDLE = 120 * SAMPLE_RATE
_IDLE_WHILE_OTHERS_WAIT = 5 * SAMPLE_RATE
_MOST_RETIRED = 100
_OUTPUT_AFTER_REMOTE = 10 * SAMPLE_RATE
_OUTPUT_TURN = SAMPLE_RATE


_LaneOf = Callable[[Callable[[], str | None]], Lane]


class _Track:
    """One track of the page.

    Attributes:
        lane: For what is said by whoever owns the track, or by nobody who is known.
        person: Who owns it, by id, as far as known.
        heard_until: Position, as the page counts, up to which it was heard.
        missing: Samples that never came.
    """

    def __init__(
        self, track_id: str, attribution: Attribution, lane_of: _LaneOf, *, is_output: bool, offset: int
    ) -> None:
        self.track_id = track_id
        self.attribution = attribution
        self.person: str | None = None
        self.lane = lane_of(lambda: self.person)
        self.is_output = is_output
        self.offset = offset
        self.heard_until: int | None = None
        self.missing = 0

    def place(self, frame: Frame) -> Frame | None:
        """Put a frame on the bot's time line, without what was heard before; None if that is all of it."""
        begin = frame.position if self.heard_until is None else self.heard_until
        doubled = max(0, begin - frame.position)
        if doubled >= count(frame):
            return None
        self.missing += max(0, frame.position - begin)
        self.heard_until = frame.position + count(frame)
        return Frame(frame.position + doubled + self.offset, frame.pcm[doubled * SAMPLE_BYTES :])


class Witness(Protocol):
    """Whoever is told of all sound, silence between included, of everybody who was ever heard: a recording."""

    def hear(self, lane: Hashable, name: str | None, frame: Frame, at: datetime) -> None:
        """Take a frame of a speaker.

        Args:
            lane: Who it is: the id of the person, or our number of the track.
            name: What the speaker is called now.
            frame: Samples, placed on the bot's time line.
            at: When the first of them was heard.
        """
        ...

    def end(self, lane: Hashable) -> None:
        """Take that a track is over."""
        ...


class TrackEars:
    """Implements `receiver.Ears`: hands what is heard to a listener for each speaker.

    All positions are brought to one time line, which begins with the bot.

    Args:
        meeting_id: Whose segments these are.
        connection_id: Name of the first session; further ones get new names.
        speech: How to reach the speech service.
        publish: Takes entries for the segment stream.
        witness: Told of all sound as well.
        backlog_s: Seconds of sound, of all speakers together, that are kept on disk for the speech service at most.
    """

    def __init__(
        self,
        meeting_id: int,
        connection_id: str,
        speech: Speech,
        publish: Publish,
        witness: Witness | None = None,
        *,
        backlog_s: float = 0.0,
    ) -> None:
        self._meeting_id = meeting_id
        self._connection_id = connection_id
        self._next_uid = connection_id
        self._speech = speech
        self._publish = publish
        self._witness = witness
        self._steady = SteadyClock()
        self._began = self._steady.now()
        self._moments = SampleClock(self._steady)
        self._clues = Clues()
        self._tracks: dict[int, _Track] = {}
        self._lanes: dict[str, list[Lane]] = {}
        self._names: OrderedDict[str, str] = OrderedDict()
        self._own: set[str] = set()
        self._door = Door(speech.patience.retry_s)
        self._reels = Reels(backlog_s) if backlog_s > 0 else None
        self._retired: dict[Listener, asyncio.Task[None]] = {}
        self._unheard = 0
        self._remote_loud_until = -_OUTPUT_AFTER_REMOTE
        self._output: tuple[int, int] = (0, 0)
        self._watched = False

    def begin(self, track: int, track_id: str, *, kind: str = "remote", age_s: float = 0.0) -> None:
        """A track appeared. A number that is used again for another one takes the old one's place."""
        known = self._tracks.get(track)
        if known is not None and known.track_id != track_id:
            self.end(track)
        if track in self._tracks or len(self._tracks) >= _MOST_TRACKS:
            return
        is_output = kind == "output"
        attribution = Attribution(track, track_id, self._clues, patient=is_output)
        new = _Track(track_id, attribution, self._lane, is_output=is_output, offset=self._position(age_s))
        new.person = self._clues.voices.get(track_id)
        self._tracks[track] = new

    def hear(self, track: int, frame: Frame) -> None:
        """Take samples of a track."""
        heard = self._tracks.get(track)
        placed = heard.place(frame) if heard is not None else None
        if heard is None or placed is None:
            return
        self._moments.note(placed.position, count(placed))
        sound = Sound(placed, loudness(placed))
        if sound.is_loud and not heard.is_output:
            self._remote_loud_until = max(self._remote_loud_until, sound.end)
        self._hand_on(track, heard, heard.attribution.add(sound))
        self._pass_time(self._settled_until())

    def sources(self, track: int, position: int, heard: Sequence[int]) -> None:
        """Take which contributing sources are in a track from a position on."""
        known = self._tracks.get(track)
        if known is not None:
            known.attribution.sources(position + known.offset, heard)

    def speaks(self, people: Collection[str], *, age_s: float = 0.0) -> None:
        """Take whom the page shows as heard; a page on which nobody ever was shown so has no such signs."""
        if not people and not self._watched:
            return
        self._watched = True
        self._clues.signs.note(set(people) - self._own, self._position(age_s))

    def end(self, track: int) -> None:
        """Finish listening to a track that is over."""
        heard = self._tracks.pop(track, None)
        if heard is None:
            return
        self._hand_on(track, heard, heard.attribution.flush())
        self._clues.drop(track)
        if self._witness is not None:
            self._witness.end(track)
        _note_missing(heard)
        self._retire(heard.lane)
        self._pass_time(self._settled_until())

    def see(self, seen: Sighting) -> None:
        """Take from a look at the page who is there, under which names, and whose the tracks and sources are."""
        for person in seen.people:
            person_id = person.person_id or person.name
            if person.is_self:
                self._own.add(person_id)
            if person.name:
                self._remember(person_id, person.name)
        voices = {track_id: person_id for track_id, person_id in seen.voices.items() if person_id}
        for track in self._tracks.values():
            # The page may take a person away before their last words are text.
            track.person = voices.get(track.track_id, track.person)
            if track.person is not None:
                voices[track.track_id] = track.person
        self._clues.tell(voices, seen.sources)
        speaking = {person.person_id or person.name for person in seen.people if person.speaks}
        if not self._watched and (speaking or self._clues.signs.known):
            self._clues.signs.note(speaking - self._own, self._position())

    async def configure(self, language: str | None, task: Task) -> None:
        """Change language and task for speech from now on, of every speaker.

        Raises:
            TimeoutError: The speech service did not confirm in time.
        """
        self._speech = replace(self._speech, language=language, task=task)
        await asyncio.gather(*(listener.configure(self._speech) for listener in self._listeners()))

    async def finish(self, within_s: float | None = None) -> float:
        """Take the last text of every speaker.

        Args:
            within_s: How long that may take; by default as `SpeechPatience` says.

        Returns:
            Seconds of sound of which nobody made text, during all of the visit.
        """
        for number, track in self._tracks.items():
            self._hand_on(number, track, track.attribution.flush())
            _note_missing(track)
        listeners, unheard = [*self._listeners(), *self._retired], self._unheard
        await asyncio.gather(*(listener.finish(within_s) for listener in listeners))
        if self._reels is not None:
            self._reels.close()
        return (unheard + sum(listener.unheard for listener in listeners)) / SAMPLE_RATE

    def _hand_on(self, number: int, track: _Track, told: list[Attributed]) -> None:
        for one in told:
            if track.is_output and not self._is_only_sound(number, one.sound):
                continue
            lane = self._lane_of(track, one)
            lane.hear(one.sound)
            if self._witness is not None and lane.listener is not None:
                speaker, person = (number, track.person) if one.person is None else (one.person, one.person)
                name = None if person is None else self._names.get(person)
                self._witness.hear(speaker, name, one.sound.frame, self._moments.at(one.sound.begin))

    def _is_only_sound(self, number: int, sound: Sound) -> bool:
        """Say whether what the page plays is no remote track's sound, and of several outputs this one's turn."""
        if sound.begin < self._remote_loud_until + _OUTPUT_AFTER_REMOTE:
            return False
        turn, until = self._output
        if turn != number and sound.begin < until:
            return False
        if sound.is_loud:
            self._output = (number, sound.end + _OUTPUT_TURN)
        return True

    def _lane_of(self, track: _Track, told: Attributed) -> Lane:
        """Return where a frame goes: of several lanes of a person the first that is not busy with the same moment."""
        person = told.person
        if person is None:
            return track.lane
        lanes = self._lanes.get(person, [])
        free = next((lane for lane in lanes if lane.is_free(told.sound.begin)), None)
        if free is not None:
            return free
        if not told.sound.is_loud or sum(map(len, self._lanes.values())) >= _MOST_LANES:
            return track.lane
        new = self._lane(lambda: person)
        self._lanes[person] = [*lanes, new]
        return new

    def _settled_until(self) -> int:
        """Return up to where it is known of everybody what they said; a track that stalls holds up nobody."""
        ends = [track.attribution.end for track in self._tracks.values()]
        newest = max(ends, default=0)
        settled = [
            track.attribution.settled_until
            for track in self._tracks.values()
            if track.attribution.end > newest - _STALLED
        ]
        return min(settled, default=self._position())

    def _pass_time(self, until: int) -> None:
        for lane in self._all_lanes():
            lane.pass_time(until)
            if lane.listener is not None and self._is_idle(until - lane.end, lane.listener):
                self._retire(lane)

    def _is_idle(self, silent: int, listener: Listener) -> bool:
        """Say whether a speaker was silent for so many samples that their place at the service is better free."""
        if listener.is_behind and self._door.failures:
            return False  # While the service is away there is no place to leave.
        makes_room = self._door.waiting > 0 and not listener.is_behind
        return silent > (_IDLE_WHILE_OTHERS_WAIT if makes_room else _IDLE)

    def _retire(self, lane: Lane) -> None:
        """Take the last text of a lane for now: a listener that hears nothing takes a place of the speech service."""
        listener = lane.detach()
        if listener is None:
            return
        if len(self._retired) < _MOST_RETIRED:
            task = asyncio.create_task(listener.drain())
        else:
            task = asyncio.create_task(listener.finish())
        self._retired[listener] = task
        task.add_done_callback(lambda _: self._forget(listener))

    def _forget(self, listener: Listener) -> None:
        self._unheard += listener.unheard
        del self._retired[listener]

    def _listeners(self) -> list[Listener]:
        return [lane.listener for lane in self._all_lanes() if lane.listener is not None]

    def _all_lanes(self) -> Iterator[Lane]:
        for track in self._tracks.values():
            yield track.lane
        for lanes in self._lanes.values():
            yield from lanes

    def _lane(self, person: Callable[[], str | None]) -> Lane:
        """Return a lane for what a person says, who is looked up by id each time: names change."""

        def speaker() -> str | None:
            known = person()
            return None if known is None else self._names.get(known)

        def open_listener(moments: Moments) -> Listener:
            uid, self._next_uid = self._next_uid, name_session(self._connection_id, uuid.uuid4().hex)
            log.info("lane_opened", session_uid=uid)
            return Listener(
                self._meeting_id,
                self._speech,
                moments,
                self._publish,
                speaker,
                first_uid=uid,
                tape=Tape(self._reels),
                door=self._door,
            )

        return Lane(self._moments, open_listener)

    def _position(self, age_s: float = 0.0) -> int:
        """Return the bot's time line's position of that long ago."""
        return round(((self._steady.now() - self._began).total_seconds() - age_s) * SAMPLE_RATE)

    def _remember(self, person_id: str, name: str) -> None:
        """Keep a name, also for when the person has left."""
        self._names[person_id] = name[:_MOST_NAME]
        self._names.move_to_end(person_id)
        if len(self._names) > _MOST_NAMES:
            self._names.popitem(last=False)


def _note_missing(track: _Track) -> None:
    if track.missing:
        log.warning("audio_incomplete", missing_samples=track.missing)
