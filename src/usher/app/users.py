"""The end of a user, with everything that is theirs."""

import asyncio
import time
from typing import Protocol

import structlog

from usher.app.bots import Bots
from usher.app.recordings import RecordingDesk
from usher.app.transcripts import delete
from usher.domain.errors import Conflict, NotFound, Unavailable
from usher.ports import Actor, Closing, Feed, Meetings, Page, SegmentStream, Transcripts, Users

log = structlog.get_logger(__name__)

_PATIENCE_S = 20.0
_POLL_S = 0.25
_BATCH = 100


class UserStore(Users, Meetings, Transcripts, Protocol):
    """The part of the store that a user's data are in."""


class Farewell:
    """Deletes users: their keys first, so that nothing new comes, then what they have, then them."""

    def __init__(
        self,
        store: UserStore,
        bots: Bots,
        recordings: RecordingDesk,
        stream: SegmentStream,
        feed: Feed,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._store = store
        self._bots = bots
        self._recordings = recordings
        self._stream = stream
        self._feed = feed
        self._patience_s = patience_s

    async def delete(self, user_id: int, *, force: bool, by: Actor) -> None:
        """Delete a user, their keys, meetings, transcripts and recordings. What was begun is ended by asking again.

        Raises:
            NotFound: `unknown_user`.
            Conflict: `bots_live`; with `force` they are stopped instead.
            Unavailable: It takes longer than a request may: bots are still ending, or there is much to delete.
        """
        closing = await self._store.close_user(user_id, force=force, by=by)
        if closing is Closing.UNKNOWN:
            raise NotFound("unknown_user", f"There is no user {user_id}.")
        if closing is Closing.BOTS_LIVE:
            raise Conflict("bots_live", "Bots of this user are under way. Stop them first, or ask with force=true.")
        ends_at = time.monotonic() + self._patience_s
        while not await self._is_gone(user_id, by, ends_at):
            if time.monotonic() >= ends_at:
                raise Unavailable("The user's keys are gone; deleting the rest takes a while. Ask again.", 5.0)
            await asyncio.sleep(_POLL_S)
        log.info("user_deleted", user_id=user_id)

    async def _is_gone(self, user_id: int, by: Actor, ends_at: float) -> bool:
        """Stop bots and delete what can be deleted now; say whether that was all, the user included."""
        for meeting in await self._bots.list_running(user_id):
            await self._bots.end(meeting)
        while meetings := await self._store.list_of_user(user_id, Page(limit=_BATCH)):
            over = []
            for meeting in meetings:
                try:
                    await delete(self._store, self._recordings, self._stream, self._feed, meeting, by=by)
                except Conflict:  # its bot is still ending
                    continue
                over.append(meeting.meeting_id)
            if not await self._store.remove_meetings(over) or time.monotonic() >= ends_at:
                break
        return await self._store.remove_user(user_id, by=by)
