"""`/meetings` and `/transcripts`: what became of bots, and what they heard."""

from typing import Annotated

from fastapi import APIRouter, Query

from usher.api.auth import ByUser
from usher.api.bodies import event_body, meeting_body, transcript_body
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.domain.lifecycle import State
from usher.domain.meeting import parse_platform
from usher.ports import Page
from usher.protocol.rest import EventList, MeetingBody, MeetingList, Transcript

router = APIRouter(tags=["meetings"])


@router.get("/meetings", responses=responses())
async def list_meetings(
    call: ByUser,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    before_id: Annotated[int | None, Query(ge=1, description="Only older ones than this: the next page.")] = None,
    status: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
) -> MeetingList:
    """List your meetings, newest first."""
    page = Page(limit=limit, before_id=before_id, states=frozenset(status) if status else None)
    return MeetingList(meetings=[meeting_body(m) for m in await call.context.bots.list_all(call.user.user_id, page)])


@router.get("/meetings/{meeting_id}", responses=responses(404))
async def get_meeting(meeting_id: int, call: ByUser) -> MeetingBody:
    """Return one of your meetings."""
    return meeting_body(await call.context.bots.get_by_id(call.user.user_id, meeting_id))


@router.get("/meetings/{meeting_id}/events", responses=responses(404))
async def list_events(meeting_id: int, call: ByUser) -> EventList:
    """Return the history of one of your meetings: every state it went through, when, and who moved it."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    return EventList(events=[event_body(e) for e in await call.context.bots.events(meeting)])


@router.get("/transcripts/{platform}/{native_meeting_id}", responses=responses(404))
async def get_transcript(
    platform: str,
    native_meeting_id: str,
    call: ByUser,
    meeting_id: Annotated[int | None, Query(description="A certain visit; default: the newest.")] = None,
) -> Transcript:
    """Return what was said in a meeting, so far or altogether."""
    named = parse_platform(platform)
    if meeting_id is None:
        meeting = await call.context.bots.get(call.user.user_id, named, native_meeting_id)
    else:
        meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
        if (meeting.ref.platform, meeting.ref.native_id) != (named, native_meeting_id):
            raise NotFound("unknown_meeting", f"Meeting {meeting_id} is not on {platform} as {native_meeting_id!r}.")
    return transcript_body(meeting, await call.context.store.segments(meeting.meeting_id))
