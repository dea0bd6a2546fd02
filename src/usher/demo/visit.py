"""The demo: two people talk in a room, a bot listens, and what it heard is compared with what was said."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from usher.client import Usher
from usher.demo.conversation import Conversation, load_conversation
from usher.demo.participants import Participant, SpokenLine
from usher.demo.scoring import Said, Score, score
from usher.demo.watcher import Watcher
from usher.domain.lifecycle import State
from usher.protocol.live import LiveSegment, StatusFrame
from usher.protocol.rest import EventList, MeetingBody, Transcript

_Result = TypeVar("_Result")
Progress = Callable[[str], None]

BOT_NAME = "Usher bot"
MUST_REACH = (
    State.REQUESTED,
    State.STARTING,
    State.AWAITING_ADMISSION,
    State.ACTIVE,
    State.RECONFIGURING,
    State.STOPPING,
    State.COMPLETED,
)
MOST_WORD_ERRORS = 0.25

_JOIN_S = 90.0
_ADMIT_S = 30.0
_RECONFIGURE_S = 30.0
_LAST_WORDS_S = 20.0
_LEAVE_S = 60.0
_FINISH_S = 30.0
_INTO_THE_PAUSE_S = 0.8


@dataclass(frozen=True, slots=True)
class Show:
    """What the demo tells as it happens."""

    progress: Progress
    state: Callable[[StatusFrame], None]
    segment: Callable[[LiveSegment], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """How the demo went.

    Attributes:
        to_meeting_s: From the request to `active`; waiting for the host's click included.
        delays_s: For each line of the script, from its last sound to its final segment at a live client.
    """

    meeting: MeetingBody
    transcript: Transcript
    history: EventList
    score: Score
    missing_states: tuple[State, ...]
    wrong_speakers: frozenset[str]
    to_meeting_s: float
    delays_s: tuple[float, ...]

    @property
    def succeeded(self) -> bool:
        """Whether every state was reached, the words are right enough and every speaker is named right."""
        return not (
            self.missing_states
            or self.wrong_speakers
            or self.score.misattributed
            or self.score.word_error_rate > MOST_WORD_ERRORS
        )


class Demo:
    """One performance.

    Args:
        url: Base URL of the API.
        api_key: The key to call it with.
        chromium: The browser of the participants.
        sandbox: Whether that browser's own sandbox may be on.
        show: What to tell.
    """

    def __init__(self, url: str, api_key: str, *, chromium: Path, sandbox: bool, show: Show) -> None:
        self._url = url
        self._key = api_key
        self._chromium = chromium
        self._sandbox = sandbox
        self._show = show
        self._room = f"demo-{secrets.token_hex(4)}"

    async def perform(self) -> Visit:
        """Play it from the empty room to the stored transcript.

        Raises:
            TimeoutError: Something did not happen in time.
            ApiError: The API refused something.
        """
        conversation = load_conversation()
        async with AsyncExitStack() as stack:
            client = stack.enter_context(Usher(self._url, self._key))
            people = await self._people(conversation, stack)
            return await self._visit(client, conversation, people)

    async def _people(self, conversation: Conversation, stack: AsyncExitStack) -> Sequence[Participant]:
        host_name, *guest_names = conversation.speakers
        self._show.progress(f"{host_name} opens the meeting {self._room}")
        host = await stack.enter_async_context(self._participant(host_name, host=True))
        people = [host]
        for name in guest_names:
            self._show.progress(f"{name} asks to join and is admitted by {host_name}")
            guest = self._participant(name, host=False)
            admitting = asyncio.create_task(host.admit(name, timeout_s=_ADMIT_S))
            people.append(await stack.enter_async_context(guest))
            await admitting
        return people

    def _participant(self, name: str, *, host: bool) -> Participant:
        room_url = f"{self._url}/room/{self._room}"
        return Participant(self._chromium, room_url, name, host=host, sandbox=self._sandbox)

    async def _visit(self, client: Usher, conversation: Conversation, people: Sequence[Participant]) -> Visit:
        self._show.progress("a bot is requested: POST /bots")
        asked_at = time.monotonic()
        meeting = await _call(lambda: client.send_bot(f"{self._url}/room/{self._room}", bot_name=BOT_NAME))
        watcher = Watcher(client, meeting, self._show.state, self._show.segment)
        watcher.start()
        await watcher.wait_for(State.AWAITING_ADMISSION, timeout_s=_JOIN_S)
        await people[0].admit(BOT_NAME, timeout_s=_ADMIT_S)
        await watcher.wait_for(State.ACTIVE, timeout_s=_ADMIT_S)
        to_meeting_s = time.monotonic() - asked_at
        spoken = await self._talk(client, meeting, watcher, conversation, people)
        self._show.progress("the bot is asked to leave: DELETE /bots/room/…")
        await _call(lambda: client.stop_bot(meeting.platform, meeting.native_meeting_id))
        await watcher.wait_for(State.COMPLETED, State.FAILED, timeout_s=_LEAVE_S)
        ended = await self._finished(client, meeting.id)
        transcript = await _call(lambda: client.transcript(meeting.platform, meeting.native_meeting_id))
        history = await _call(lambda: client.events(meeting.id))
        return _judge(ended, transcript, history, spoken, watcher, to_meeting_s)

    async def _talk(
        self,
        client: Usher,
        meeting: MeetingBody,
        watcher: Watcher,
        conversation: Conversation,
        people: Sequence[Participant],
    ) -> list[SpokenLine]:
        """Let everybody speak their lines, and change the bot's configuration meanwhile."""
        self._show.progress("the conversation begins; half-way the bot's language is set: PUT …/config")
        starts_at = time.time() + 1.0
        talking = [asyncio.create_task(person.talk(conversation, starts_at=starts_at)) for person in people]
        await asyncio.sleep(starts_at + _pause_half_way(conversation) - time.time())
        await _call(lambda: client.configure_bot(meeting.platform, meeting.native_meeting_id, language="en"))
        await watcher.wait_until_back(State.ACTIVE, State.RECONFIGURING, timeout_s=_RECONFIGURE_S)
        spoken = [line for lines in await asyncio.gather(*talking) for line in lines]
        await self._wait_for_last_words(watcher)
        return sorted(spoken, key=lambda line: line.start)

    async def _wait_for_last_words(self, watcher: Watcher) -> None:
        """Wait until no new final segment has come for a while."""
        quiet_s, deadline = 4.0, time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < deadline:
            newest = max(watcher.final.values(), default=datetime.now(UTC))
            if (datetime.now(UTC) - newest).total_seconds() > quiet_s:
                return
            await asyncio.sleep(0.2)

    async def _finished(self, client: Usher, meeting_id: int) -> MeetingBody:
        """Return the meeting once its post-meeting tasks have run."""
        async with asyncio.timeout(_FINISH_S):
            while True:
                meeting = await _call(lambda: client.meeting(meeting_id))
                if "totals" in meeting.data:
                    return meeting
                await asyncio.sleep(0.2)


def _pause_half_way(conversation: Conversation) -> float:
    """Return a moment in the pause after the middle line, seconds from the beginning: nobody is interrupted there."""
    middle = next(line for line in conversation.lines if line.end_s >= conversation.duration_s / 2)
    return middle.end_s + _INTO_THE_PAUSE_S


async def _call(call: Callable[[], _Result]) -> _Result:
    return await asyncio.to_thread(call)


def _judge(
    meeting: MeetingBody,
    transcript: Transcript,
    history: EventList,
    spoken: Sequence[SpokenLine],
    watcher: Watcher,
    to_meeting_s: float,
) -> Visit:
    script = [Said(line.speaker, line.text, _moment(line.start), _moment(line.end)) for line in spoken]
    heard = [
        Said(segment.speaker, segment.text, segment.absolute_start_time, segment.absolute_end_time)
        for segment in transcript.segments
        if segment.completed
    ]
    reached = {event.to_state for event in history.events}
    result = score(script, heard)
    return Visit(
        meeting=meeting,
        transcript=transcript,
        history=history,
        score=result,
        missing_states=tuple(state for state in MUST_REACH if state not in reached),
        wrong_speakers=result.speakers ^ {line.speaker for line in spoken},
        to_meeting_s=to_meeting_s,
        delays_s=_delays(spoken, transcript, watcher),
    )


def _delays(spoken: Sequence[SpokenLine], transcript: Transcript, watcher: Watcher) -> tuple[float, ...]:
    """Return, line by line, how long after its end its last final segment was at the live client."""
    delays: list[float] = []
    for line in spoken:
        arrivals = [
            watcher.final[segment.segment_id].timestamp()
            for segment in transcript.segments
            if segment.segment_id in watcher.final
            and segment.speaker == line.speaker
            and line.start - 1 < segment.absolute_end_time.timestamp() < line.end + 1
        ]
        if arrivals:
            delays.append(max(arrivals) - line.end)
    return tuple(delays)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
