"""One viewer's way through the news of one meeting, whatever they are sent over.

What a viewer was told is a `Cursor`: a version of the state, an edition of the transcript, a number of chat messages.
Each grows by one with each piece of news, so a frame of the feed is the next one, old, or shows that something is
missing. What is missing is read from the store, as it is for a viewer that comes back with a cursor.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from usher.api.cursors import Cursor
from usher.app.chat import chat_frame
from usher.app.collector import transcript_frame
from usher.app.transcripts import deleted_frame
from usher.app.transitions import event_frame, status_frame
from usher.ports import ChatMessage, Edition, Feed, Json, Meeting, Store, Subscription
from usher.protocol.live import PushedFrame, dump

Frame = dict[str, Any]


class Follower:
    """Follows a meeting for one viewer.

    Args:
        store: What has happened.
        feed: What happens.
        meeting: Which meeting; that the viewer may see it has been checked.
        cursor: Where the viewer wants to go on, as the viewer says; None for the present state.
    """

    def __init__(self, store: Store, feed: Feed, meeting: Meeting, cursor: str | None) -> None:
        self._store = store
        self._feed = feed
        self._meeting_id = meeting.meeting_id
        self._wanted = cursor
        self._at = Cursor(meeting.meeting_id)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[AsyncIterator[Frame]]:
        """Listen, read what the viewer missed or the present state, and give it out, and then what comes, until left.

        Listening begins before anything is read: nothing that happens in between is missed. There are no gaps.

        Raises:
            Unavailable: The store or the feed does not answer, at the beginning or later.
        """
        async with (
            self._feed.subscribe(self._meeting_id) as subscription,
            aclosing(self._frames(await self._begin(), subscription)) as frames,
        ):
            yield frames

    async def _frames(self, first: Sequence[Frame], subscription: Subscription) -> AsyncGenerator[Frame]:
        for told in first:
            yield told
        lost = 0
        async for frame in subscription:
            news = self._news(frame) if frame and subscription.lost == lost else None
            if news is None:
                lost = subscription.lost
                news = await self._catch_up(self._at)
            if news is None:
                news = await self._present()
            for told in news:
                yield told

    async def _begin(self) -> Sequence[Frame]:
        if self._wanted is None:
            return await self._present()
        cursor = Cursor.read(self._wanted)
        missed = await self._catch_up(cursor) if cursor and cursor.meeting_id == self._meeting_id else None
        if missed is not None:
            return missed
        complaint = {"type": "error", "error": "invalid_cursor", "meeting": {"id": self._meeting_id}}
        return [complaint, *await self._present()]

    async def _present(self) -> Sequence[Frame]:
        """Return the present state and everything said and written so far."""
        chat = await self._store.chat(self._meeting_id)
        edition = await self._store.edition(self._meeting_id, after=-1)
        meeting = await self._store.find(self._meeting_id)
        if meeting is None:
            return ()
        self._at = Cursor(self._meeting_id)
        return [self._tell(status_frame(meeting), version=meeting.version), *self._content(meeting, edition, chat)]

    async def _catch_up(self, since: Cursor) -> Sequence[Frame] | None:
        """Return what came after a cursor; None if it tells of something that never was.

        The meeting is read last: if it is not deleted then, what was read before is whole.
        """
        chat = await self._store.chat(self._meeting_id)
        edition = await self._store.edition(self._meeting_id, after=since.edition)
        events = await self._store.events(self._meeting_id)
        meeting = await self._store.find(self._meeting_id)
        if meeting is None:
            return ()
        known = meeting.redacted or since.messages <= len(chat)
        if since.version > meeting.version or since.edition > edition.number or not known:
            return None
        self._at = since
        missed = [event for event in events if event.version > since.version]
        told = [self._tell(event_frame(meeting, event), version=event.version) for event in missed]
        return [*told, *self._content(meeting, edition, chat[since.messages :])]

    def _content(self, meeting: Meeting, edition: Edition, messages: Sequence[ChatMessage]) -> Iterator[Frame]:
        """Yield what was said and written, or that it was deleted."""
        if meeting.redacted:
            if not self._at.deleted:
                yield self._tell(deleted_frame(self._meeting_id), deleted=1)
            return
        if edition.segments:
            told = transcript_frame(self._meeting_id, edition.segments, edition.number)
            yield self._tell(told, edition=edition.number)
        self._at = replace(self._at, edition=edition.number)
        if messages:
            yield self._tell(chat_frame(self._meeting_id, messages), messages=messages[-1].number)

    def _tell(self, frame: PushedFrame, **position: int) -> Frame:
        return self._move(dump(frame), **position)

    def _move(self, frame: Json, **position: int) -> Frame:
        """Return a frame with the cursor that stands after it."""
        self._at = replace(self._at, **position)
        return {**frame, "cursor": str(self._at)}

    def _news(self, frame: Json) -> Sequence[Frame] | None:
        """Return what a frame of the feed tells the viewer; None if something before it is missing."""
        kind, payload = frame.get("type"), frame.get("payload", {})
        if kind == "meeting.status":
            return self._next(frame, "version", payload["version"], payload["version"])
        if self._at.deleted:
            return ()
        if kind == "transcript.deleted":
            return [self._move(frame, deleted=1)]
        if kind == "transcript.mutable" and (edition := payload.get("edition")) is not None:
            return self._next(frame, "edition", edition, edition)
        if kind == "chat.received":
            numbers = [message.get("number") for message in payload["messages"]]
            return None if None in numbers else self._next(frame, "messages", numbers[0], numbers[-1])
        return [self._move(frame)]

    def _next(self, frame: Json, name: str, first: int, last: int) -> Sequence[Frame] | None:
        present = getattr(self._at, name)
        if last <= present:
            return ()
        return [self._move(frame, **{name: last})] if first == present + 1 else None
