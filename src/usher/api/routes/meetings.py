"""`/meetings` and `/transcripts`: what became of bots, and what they heard."""

from typing import Annotated

from fastapi import APIRouter, Query

from usher.api.auth import CurrentUser
from usher.api.bodies import event_body, meeting_body, transcript_body
from usher.api.context import InContext
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.domain.lifecycle import State
from usher.domain.meeting import parse_platform
from usher.ports import Page
from usher.protocol.rest import EventList, MeetingBody, MeetingList, Transcript

router = APIRouter(tags=["meetings"])


@router.get("/meetings", responses=responses())
async def list_meetings(
    user: CurrentUser,
    context: InContext,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    before_id: Annotated[int | None, Query(ge=1, description="Only older ones than this: the next page.")] = None,
    status: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
) -> MeetingList:
    """List your meetings, newest first."""
    page = Page(limit=limit, before_id=before_id, states=frozenset(status) if status else None)
    return MeetingList(meetings=[meeting_body(m) for m in await context.bots.list_all(user.user_id, page)])


@router.get("/meetings/{meeting_id}", responses=responses(404))
async def get_meeting(meeting_id: int, user: CurrentUser, context: InContext) -> MeetingBody:
    """Return one of your meetings."""
    return meeting_body(await context.bots.get_by_id(user.user_id, meeting_id))


@router.get("/meetings/{meeting_id}/events", responses=responses(404))
async def list_events(meeting_id: int, user: CurrentUser, context: InContext) -> EventList:
    """Return the history of one of your meetings: every state it went through, when, and who moved it."""
    meeting = await context.bots.get_by_id(user.user_id, meeting_id)
    return EventList(events=[event_body(e) for e in await context.bots.events(meeting)])


@router.get("/transcripts/{platform}/{native_meeting_id}", responses=responses(404))
async def get_transcript(
    platform: str,
    native_meeting_id: str,
    user: CurrentUser,
    context: InContext,
    meeting_id: Annotated[int | None, Query(description="A certain visit; default: the newest.")] = None,
) -> Transcript:
    """Return what was said in a meeting, so far or altogether."""
    named = parse_platform(platform)
    if meeting_id is None:
        meeting = await context.bots.get(user.user_id, named, native_meeting_id)
    else:
        meeting = await context.bots.get_by_id(user.user_id, meeting_id)
        if (meeting.ref.platform, meeting.ref.native_id) != (named, native_meeting_id):
            raise NotFound("unknown_meeting", f"Meeting {meeting_id} is not on {platform} as {native_meeting_id!r}.")
    return transcript_body(meeting, await context.store.segments(meeting.meeting_id))
