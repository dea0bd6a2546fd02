"""Post-meeting tasks: what happens once after a meeting has ended."""

from typing import Protocol

import structlog

from usher.app.dispatcher import Again, Done, Result
from usher.domain.transcript import total
from usher.ports import ClaimedEffect, Meetings, SegmentStream, Transcripts

log = structlog.get_logger(__name__)

_DRAIN_TRIES = 8
_DRAIN_S = 0.5


class PostMeetingStore(Meetings, Transcripts, Protocol):
    """The part of the store that post-meeting tasks touch."""


class PostMeeting:
    """Finishes a meeting: waits for the last of its transcript and adds it up."""

    def __init__(self, store: PostMeetingStore, stream: SegmentStream) -> None:
        self._store = store
        self._stream = stream

    async def finish(self, effect: ClaimedEffect) -> Result:
        """Add up the transcript once the stream holds nothing more from before the end. Idempotent.

        Participants and languages that the user has set stay as they are.

        Each try comes half a second or more after the one before, so `tries` says how long ago the meeting ended at
        least. After a minute and a half of trying the totals are made from what there is.
        """
        lag_s = await self._stream.lag_s()
        if lag_s > effect.tries * _DRAIN_S and effect.tries < _DRAIN_TRIES:
            return Again(f"the segment stream is {lag_s:.1f} s behind")
        totals = total(await self._store.segments(effect.meeting_id))
        await self._store.put_data(
            effect.meeting_id,
            {
                "totals": {
                    "segments": totals.segments,
                    "words": totals.words,
                    "speech_s": totals.speech_s,
                },
                "participants": list(totals.speakers),
                "languages": list(totals.languages),
            },
            keep=True,
        )
        log.info("meeting_finished", meeting_id=effect.meeting_id, segments=totals.segments, words=totals.words)
        return Done()
