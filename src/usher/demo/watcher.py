"""Follows one meeting live, as a client would, and remembers what came when."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from usher.client import ApiError, Usher
from usher.domain.lifecycle import TERMINAL, State
from usher.protocol.live import LiveSegment, StatusFrame, TranscriptFrame
from usher.protocol.rest import MeetingBody

OnState = Callable[[StatusFrame], None]
OnSegment = Callable[[LiveSegment], None]


class Watcher:
    """A live subscription in a thread of its own; what it hears is told in the event loop.

    Args:
        client: A client that nothing else uses.
        meeting: Whom to follow.
        on_state: Called with each new state.
        on_segment: Called with each segment when it is final, once.
    """

    def __init__(self, client: Usher, meeting: MeetingBody, on_state: OnState, on_segment: OnSegment) -> None:
        self._client = client
        self._meeting = meeting
        self._on_state = on_state
        self._on_segment = on_segment
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self.states: list[State] = []
        self.final: dict[str, datetime] = {}
        """When each segment was first seen final, by segment id."""
        self._thread = threading.Thread(target=self._listen, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    async def wait_for(self, *states: State, timeout_s: float) -> None:
        """Return once the meeting has been in one of `states`.

        Raises:
            TimeoutError: It was not in time.
        """
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: any(state in self.states for state in states))

    async def wait_until_back(self, state: State, after: State, timeout_s: float) -> None:
        """Return once the meeting has been in `state` again after it was in `after`."""

        def back() -> bool:
            return after in self.states and state in self.states[self.states.index(after) :]

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(back)

    def _listen(self) -> None:
        try:
            for frame in self._client.follow(self._meeting.platform, self._meeting.native_meeting_id):
                asyncio.run_coroutine_threadsafe(self._take(frame), self._loop)
                if isinstance(frame, StatusFrame) and frame.payload.status in TERMINAL:
                    return
        except (ApiError, RuntimeError):
            return  # the demo notices by its own timeouts; at the end the loop may be closed already

    async def _take(self, frame: StatusFrame | TranscriptFrame) -> None:
        if isinstance(frame, StatusFrame):
            if not self.states or self.states[-1] is not frame.payload.status:
                self.states.append(frame.payload.status)
                self._on_state(frame)
        else:
            for segment in frame.payload.segments:
                if segment.completed and segment.segment_id not in self.final:
                    self.final[segment.segment_id] = datetime.now(UTC)
                    self._on_segment(segment)
        async with self._changed:
            self._changed.notify_all()
