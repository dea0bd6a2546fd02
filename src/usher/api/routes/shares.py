"""Links to transcripts: made and taken back by their owner, opened by whoever has one."""

from fastapi import APIRouter, Response

from usher.api.auth import ForReading, ForWriting, UserCall
from usher.api.bodies import share_body, shared_body
from usher.api.context import InContext
from usher.api.forms import PRIVATE, TEXT_FORMS, Accept, AskedForm, as_file, wanted_form
from usher.api.keys import digest, new_token
from usher.api.pages import Id
from usher.api.problems import responses
from usher.api.routes.transcripts import VisitQuery
from usher.app.transcripts import share
from usher.domain.errors import NotFound
from usher.domain.meeting import parse_platform
from usher.ports import Meeting
from usher.protocol.rest import NewShare, SharedTranscript, ShareList, ShareRequest

router = APIRouter()


@router.post(
    "/transcripts/{platform}/{native_meeting_id}/share",
    status_code=201,
    responses=responses(404, 409, 429),
    tags=["meetings"],
)
async def share_newest_transcript(
    platform: str, native_meeting_id: str, body: ShareRequest, call: ForWriting, meeting_id: VisitQuery = None
) -> NewShare:
    """Make a link to the transcript of your newest visit to that call, or of a certain one."""
    bots = call.context.bots
    meeting = await bots.get_visit(call.user.user_id, parse_platform(platform), native_meeting_id, meeting_id)
    return await _share(call, meeting, body)


@router.post("/meetings/{meeting_id}/shares", status_code=201, responses=responses(404, 409, 429), tags=["meetings"])
async def share_transcript(meeting_id: int, body: ShareRequest, call: ForWriting) -> NewShare:
    """Make a link to a transcript. Whoever has it reads the transcript until it is over or taken back."""
    return await _share(call, await call.context.bots.get_by_id(call.user.user_id, meeting_id), body)


@router.get("/meetings/{meeting_id}/shares", responses=responses(404), tags=["meetings"])
async def list_shares(meeting_id: int, call: ForReading) -> ShareList:
    """List the links to a transcript that are good, without their tokens."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    return ShareList(shares=[share_body(one) for one in await call.context.store.shares(meeting.meeting_id)])


@router.delete("/meetings/{meeting_id}/shares/{share_id}", status_code=204, responses=responses(404), tags=["meetings"])
async def end_share(meeting_id: int, share_id: Id, call: ForWriting) -> None:
    """Take back a link: from now on it opens nothing."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    if not await call.context.store.end_share(meeting.meeting_id, share_id):
        raise NotFound("unknown_share", f"Meeting {meeting_id} has no link {share_id}.")


@router.get(
    "/shared/{token}",
    response_model=SharedTranscript,
    responses={**TEXT_FORMS, **{s: p for s, p in responses(404).items() if s != 401}},
    tags=["shared"],
)
async def get_shared(
    token: str, context: InContext, response: Response, asked: AskedForm = None, accept: Accept = None
) -> SharedTranscript | Response:
    """Return the transcript that a link leads to, in any form, without an API key: the token in the path is the key."""
    meeting = await context.store.find_shared(digest(token))
    if meeting is None:
        raise NotFound("unknown_link", "This link leads nowhere: it is over, was taken back, or never was.")
    segments, form = await context.store.segments(meeting.meeting_id), wanted_form(asked, accept)
    answer = response if form == "json" else await as_file(form, "transcript", meeting, segments)
    answer.headers.update({**PRIVATE, "X-Robots-Tag": "noindex"})
    return shared_body(meeting, segments) if form == "json" else answer


async def _share(call: UserCall, meeting: Meeting, body: ShareRequest) -> NewShare:
    token = new_token()
    made = await share(call.context.store, meeting, digest(token), good_s=body.expires_in_s)
    return NewShare(**share_body(made).model_dump(), token=token, path=f"/shared/{token}")
