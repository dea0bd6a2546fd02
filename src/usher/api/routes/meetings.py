"""`/meetings`: what became of bots."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from usher.api.auth import ForReading, ForWriting, UserCall
from usher.api.bodies import event_body, meeting_body
from usher.api.pages import MOST_ID, Limit, page_of
from usher.api.problems import responses
from usher.app.transcripts import delete, describe
from usher.domain.errors import Invalid
from usher.domain.lifecycle import State
from usher.domain.meeting import Platform, parse_platform
from usher.ports import Meeting, Page
from usher.protocol.rest import EventList, MeetingBody, MeetingDeleted, MeetingList, MeetingUpdate

router = APIRouter(tags=["meetings"])


@router.get("/meetings", responses=responses())
async def list_meetings(
    call: ForReading,
    limit: Limit = 100,
    before_id: Annotated[
        int | None, Query(ge=1, le=MOST_ID, description="Only older ones than this one of yours: the next page.")
    ] = None,
    status: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
    platform: Annotated[Platform | None, Query(description="Only those on it.")] = None,
    native_meeting_id: Annotated[
        str | None, Query(min_length=1, max_length=255, description="Only visits to that call; with its platform.")
    ] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Only those asked for then or later, with time zone.")
    ] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only those asked for before.")] = None,
) -> MeetingList:
    """List your meetings, newest first."""
    if native_meeting_id is not None and platform is None:
        raise Invalid("no_platform", "With native_meeting_id give the platform, too.")
    page = Page(
        limit=limit + 1,
        before_id=before_id,
        states=frozenset(status) if status else None,
        platform=platform,
        native_id=native_meeting_id,
        since=since,
        until=until,
    )
    found = await call.context.bots.list_all(call.user.user_id, page)
    shown, more = page_of(found, limit, lambda meeting: meeting.meeting_id)
    return MeetingList(meetings=[meeting_body(meeting) for meeting in shown], next_before_id=more)


@router.get("/meetings/{meeting_id}", responses=responses(404))
async def get_meeting(meeting_id: int, call: ForReading) -> MeetingBody:
    """Return one of your meetings."""
    return meeting_body(await call.context.bots.get_by_id(call.user.user_id, meeting_id))


@router.patch("/meetings/{meeting_id}", responses=responses(404, 409))
async def update_meeting(meeting_id: int, body: MeetingUpdate, call: ForWriting) -> MeetingBody:
    """Say what one of your meetings was about: its `data` takes it up, and keeps everything else."""
    return await _update(call, await call.context.bots.get_by_id(call.user.user_id, meeting_id), body)


@router.patch("/meetings/{platform}/{native_meeting_id}", responses=responses(404, 409))
async def update_newest_meeting(
    platform: str, native_meeting_id: str, body: MeetingUpdate, call: ForWriting
) -> MeetingBody:
    """Say what your newest visit to that call was about."""
    bots = call.context.bots
    return await _update(call, await bots.get(call.user.user_id, parse_platform(platform), native_meeting_id), body)


@router.delete("/meetings/{meeting_id}", responses=responses(404, 409))
async def delete_meeting(meeting_id: int, call: ForWriting) -> MeetingDeleted:
    """Delete a meeting that is over: transcript, chat, evidence, recordings, links and what you said of it.

    States and times stay, under the same id. Deleting twice is deleting once.
    """
    return await _delete(call, await call.context.bots.get_by_id(call.user.user_id, meeting_id))


@router.delete("/meetings/{platform}/{native_meeting_id}", responses=responses(404, 409))
async def delete_only_meeting(platform: str, native_meeting_id: str, call: ForWriting) -> MeetingDeleted:
    """Delete your visit to that call, as by its id. If you have several it has to be by id."""
    bots = call.context.bots
    only = await bots.get_only(call.user.user_id, parse_platform(platform), native_meeting_id)
    return await _delete(call, only)


@router.get("/meetings/{meeting_id}/events", responses=responses(404))
async def list_events(meeting_id: int, call: ForReading) -> EventList:
    """Return the history of one of your meetings: every state it went through, when, and who moved it."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    return EventList(events=[event_body(e) for e in await call.context.bots.events(meeting)])


async def _update(call: UserCall, meeting: Meeting, body: MeetingUpdate) -> MeetingBody:
    return meeting_body(await describe(call.context.store, meeting, body.said()))


async def _delete(call: UserCall, meeting: Meeting) -> MeetingDeleted:
    context = call.context
    await delete(context.store, context.recordings, context.stream, context.feed, meeting, by=call.by)
    return MeetingDeleted(message="The meeting was deleted.", meeting_id=meeting.meeting_id)
