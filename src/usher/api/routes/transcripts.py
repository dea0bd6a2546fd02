"""`/transcripts`: what was said in meetings."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from usher.api.auth import ForReading, UserCall
from usher.api.bodies import transcript_body
from usher.api.forms import PRIVATE, TEXT_FORMS, Accept, AskedForm, Form, as_file, wanted_form
from usher.api.pages import MOST_ID
from usher.api.problems import responses
from usher.app.transcripts import require_transcript
from usher.domain.meeting import parse_platform
from usher.ports import Meeting
from usher.protocol.rest import Transcript

router = APIRouter(prefix="/transcripts", tags=["meetings"])

VisitQuery = Annotated[int | None, Query(ge=1, le=MOST_ID, description="A certain visit; default: the newest.")]


@router.get("/by-id/{meeting_id}", response_model=Transcript, responses={**TEXT_FORMS, **responses(404)})
async def get_transcript_by_id(
    meeting_id: int, call: ForReading, response: Response, asked: AskedForm = None, accept: Accept = None
) -> Transcript | Response:
    """Return what was said in one of your meetings, so far or altogether, as JSON, text, SRT or WebVTT."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    return await _transcript(call, meeting, wanted_form(asked, accept), response)


@router.get("/{platform}/{native_meeting_id}", response_model=Transcript, responses={**TEXT_FORMS, **responses(404)})
async def get_transcript(
    platform: str,
    native_meeting_id: str,
    call: ForReading,
    response: Response,
    meeting_id: VisitQuery = None,
    asked: AskedForm = None,
    accept: Accept = None,
) -> Transcript | Response:
    """Return what was said in your newest visit to that call, or in a certain one."""
    bots = call.context.bots
    meeting = await bots.get_visit(call.user.user_id, parse_platform(platform), native_meeting_id, meeting_id)
    return await _transcript(call, meeting, wanted_form(asked, accept), response)


async def _transcript(call: UserCall, meeting: Meeting, form: Form, response: Response) -> Transcript | Response:
    segments = await call.context.store.segments(require_transcript(meeting).meeting_id)
    if form != "json":
        return await as_file(form, f"meeting-{meeting.meeting_id}-transcript", meeting, segments)
    response.headers.update(PRIVATE)
    return transcript_body(meeting, segments)
