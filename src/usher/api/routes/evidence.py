"""`/meetings/{meeting_id}/evidence`: what bots saw when a step did not work."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from usher.api.auth import ForReading, UserCall
from usher.api.bodies import evidence_body
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.ports import ExhibitContents
from usher.protocol.rest import EvidenceList

router = APIRouter(prefix="/meetings/{meeting_id}/evidence", tags=["meetings"])

_Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the piece.")]


@router.get("", responses=responses(404))
async def list_evidence(meeting_id: int, call: ForReading) -> EvidenceList:
    """List what the bots of one of your meetings saw when a step did not work, oldest first."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    exhibits = await call.context.store.exhibits(meeting.meeting_id)
    return EvidenceList(evidence=[evidence_body(exhibit) for exhibit in exhibits])


@router.get(
    "/{number}/screenshot", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}, **responses(404)}
)
async def screenshot(meeting_id: int, number: _Number, call: ForReading) -> Response:
    """Return the page as it looked. What was typed into it is masked."""
    contents = await _contents(call, meeting_id, number)
    if contents.screenshot is None:
        raise NotFound("no_screenshot", f"Piece {number} of meeting {meeting_id} has no screenshot; look at its tree.")
    return _file(contents.screenshot, "image/jpeg", f"meeting-{meeting_id}-evidence-{number}.jpg")


@router.get(
    "/{number}/tree", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **responses(404)}
)
async def tree(meeting_id: int, number: _Number, call: ForReading) -> Response:
    """Return the accessible tree of the page: roles and names, without what was typed into it."""
    contents = await _contents(call, meeting_id, number)
    return _file(contents.tree.encode(), "text/plain; charset=utf-8", f"meeting-{meeting_id}-evidence-{number}.txt")


async def _contents(call: UserCall, meeting_id: int, number: int) -> ExhibitContents:
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    contents = await call.context.store.exhibit_contents(meeting.meeting_id, number)
    if contents is None:
        raise NotFound("unknown_evidence", f"Meeting {meeting_id} has no piece of evidence {number}.")
    return contents


def _file(content: bytes, media_type: str, name: str) -> Response:
    """Return bytes that came from a page on the internet: to be shown or saved, never to be run."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=media_type, headers=headers)
