"""`/admin/meetings` and `/admin/audit`: everybody's bots, and who did what."""

from typing import Annotated

from fastapi import APIRouter, Query

from usher.api.admin.bodies import audit_body
from usher.api.auth import ByAdmin
from usher.api.bodies import meeting_body
from usher.api.pages import MOST_ID, Id, Limit, page_of
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.domain.lifecycle import State
from usher.domain.meeting import Platform
from usher.ports import Page
from usher.protocol.admin import AuditList
from usher.protocol.rest import Accepted, MeetingList

router = APIRouter(prefix="/admin", tags=["admin"])

_BeforeId = Annotated[int | None, Query(ge=1, le=MOST_ID, description="Only those with a lower id: the next page.")]


@router.get("/meetings", responses=responses())
async def list_fleet(
    call: ByAdmin,
    limit: Limit = 100,
    before_id: _BeforeId = None,
    status: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
    platform: Annotated[Platform | None, Query(description="Only those on it.")] = None,
    user_id: Annotated[int | None, Query(ge=1, le=MOST_ID, description="Only those of that user.")] = None,
) -> MeetingList:
    """List everybody's meetings, newest first."""
    states = frozenset(status) if status else None
    page = Page(limit=limit + 1, before_id=before_id, states=states, platform=platform)
    store = call.context.store
    found = await (store.list_of_all(page) if user_id is None else store.list_of_user(user_id, page))
    shown, more = page_of(found, limit, lambda meeting: meeting.meeting_id)
    return MeetingList(meetings=[meeting_body(meeting) for meeting in shown], next_before_id=more)


@router.delete("/meetings/{meeting_id}/bot", status_code=202, responses=responses(404))
async def stop_any_bot(meeting_id: Id, call: ByAdmin) -> Accepted:
    """Stop the bot of any meeting, whatever it is doing, as its user could. Stopping twice is stopping once."""
    meeting = await call.context.store.find(meeting_id)
    if meeting is None:
        raise NotFound("unknown_meeting", f"There is no meeting {meeting_id}.")
    await call.context.store.note(call.by, "bot_stopped", f"meeting:{meeting_id}")
    meeting = await call.context.bots.end(meeting)
    return Accepted(message=f"The meeting is {meeting.status}.", meeting=meeting_body(meeting))


@router.get("/audit", responses=responses())
async def list_audit(call: ByAdmin, limit: Limit = 100, before_id: _BeforeId = None) -> AuditList:
    """List what admins did, and what users deleted, newest first."""
    found = await call.context.store.audit(limit=limit + 1, before_id=before_id)
    shown, more = page_of(found, limit, lambda entry: entry.entry_id)
    return AuditList(entries=[audit_body(entry) for entry in shown], next_before_id=more)
