"""What users do with the transcript of a meeting: describe it, share it, delete it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from usher.app.recordings import RecordingDesk
from usher.domain.errors import Conflict, LimitReached, NotFound
from usher.domain.lifecycle import LIVE
from usher.ports import MOST_SHARES, Actor, Erasure, Feed, Meeting, Meetings, SegmentStream, Share, Shares, Transcripts
from usher.protocol.live import DeletedFrame, MeetingTag, dump

log = structlog.get_logger(__name__)


async def describe(store: Meetings, meeting: Meeting, said: Mapping[str, Any]) -> Meeting:
    """Put what a user says of a meeting with its data, key by key. Idempotent.

    Raises:
        Conflict: `meeting_deleted`.
    """
    described = await store.put_data(meeting.meeting_id, said)
    if described is None:
        raise _deleted(meeting)
    return described


async def delete(
    store: Transcripts,
    recordings: RecordingDesk,
    stream: SegmentStream,
    feed: Feed,
    meeting: Meeting,
    *,
    by: Actor | None = None,
) -> None:
    """Delete a meeting's transcript, recordings and all that tells what it was about, from every store. Idempotent.

    Recordings go first, and what the stream holds goes twice: before, so that nothing is deleted while Redis is away,
    and afterwards, for what came meanwhile. What comes later is not taken in. Whoever watches the meeting is told.

    Raises:
        Conflict: `meeting_not_over`, or `bot_not_gone`: the bot's workload is still being ended.
        Unavailable: A store does not answer; what is left is deleted by asking again.
    """
    if meeting.status in LIVE:
        raise _not_over(meeting)
    await stream.forget(meeting.meeting_id)
    await recordings.delete_of_meeting(meeting.user_id, meeting.meeting_id)
    erasure = await store.erase(meeting.meeting_id, by=by)
    if erasure is Erasure.NOT_OVER:
        raise _not_over(meeting)
    if erasure is Erasure.ENDING:
        raise Conflict("bot_not_gone", "The bot's workload is still being ended. Try again in a moment.")
    feed.publish(meeting.meeting_id, dump(deleted_frame(meeting.meeting_id)))
    await stream.forget(meeting.meeting_id)
    log.info("transcript_deleted", meeting_id=meeting.meeting_id)


def deleted_frame(meeting_id: int) -> DeletedFrame:
    """Return the live frame that tells of a deletion."""
    return DeletedFrame(meeting=MeetingTag(id=meeting_id), ts=datetime.now(UTC))


async def share(store: Shares, meeting: Meeting, token_sha256: bytes, *, good_s: float) -> Share:
    """Make a link to a transcript that is good for so long. Not idempotent: each time it is another link.

    Raises:
        Conflict: `meeting_deleted`.
        LimitReached: `too_many_shares`.
    """
    if meeting.redacted:
        raise _deleted(meeting)
    made = await store.add_share(meeting.meeting_id, token_sha256, good_s=good_s)
    if made is None:
        raise LimitReached("too_many_shares", f"A transcript has {MOST_SHARES} links at a time at most. Take one back.")
    log.info("transcript_shared", meeting_id=meeting.meeting_id, share_id=made.share_id, good_s=good_s)
    return made


def require_transcript(meeting: Meeting) -> Meeting:
    """Return the meeting.

    Raises:
        NotFound: `transcript_deleted`.
    """
    if meeting.redacted:
        raise NotFound("transcript_deleted", f"The transcript of meeting {meeting.meeting_id} was deleted.")
    return meeting


def _deleted(meeting: Meeting) -> Conflict:
    return Conflict("meeting_deleted", f"Meeting {meeting.meeting_id} was deleted.")


def _not_over(meeting: Meeting) -> Conflict:
    return Conflict("meeting_not_over", f"Meeting {meeting.meeting_id} is not over. Stop its bot first.")
