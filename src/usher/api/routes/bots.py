"""`/bots`: send, configure and stop bots."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from usher.api.auth import ForBots
from usher.api.bodies import meeting_body, running_bot
from usher.api.context import Context
from usher.api.problems import responses
from usher.app.bots import Wish
from usher.domain.errors import Invalid
from usher.domain.meeting import MeetingRef, meeting_from_id, meeting_from_url, parse_platform
from usher.ports import Configuration, IdempotencyKey
from usher.protocol.rest import Accepted, BotRequest, ConfigurationRequest, MeetingBody, RunningBots

router = APIRouter(prefix="/bots", tags=["bots"])


@router.post("", status_code=201, responses=responses(409, 429))
async def send_bot(
    body: BotRequest,
    request: Request,
    response: Response,
    call: ForBots,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="Repeating a request with its key sends no second bot.")
    ] = None,
) -> MeetingBody:
    """Send a bot into a meeting. It is on its way when this returns; follow it by `/ws` or `GET /meetings/{id}`."""
    key = IdempotencyKey(idempotency_key, hashlib.sha256(await request.body()).digest()) if idempotency_key else None
    wish = Wish(
        ref=_ref(body, call.context),
        bot_name=body.bot_name.strip() or "Usher",
        configuration=Configuration(body.language, body.task),
        join_at=body.join_at,
        recording_enabled=body.recording_enabled,
        idempotency=key,
    )
    created = await call.context.bots.request(call.user.user_id, wish)
    if created.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return meeting_body(created.meeting)


@router.get("/status", responses=responses())
async def bots_status(call: ForBots) -> RunningBots:
    """List your bots that are under way."""
    return RunningBots(running_bots=[running_bot(m) for m in await call.context.bots.list_running(call.user.user_id)])


@router.put("/{platform}/{native_meeting_id}/config", status_code=202, responses=responses(404, 409))
async def configure_bot(platform: str, native_meeting_id: str, body: ConfigurationRequest, call: ForBots) -> Accepted:
    """Change language or task of your bot in that meeting; the meeting is `reconfiguring` until the bot has."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    meeting = await call.context.bots.configure(call.user.user_id, parse_platform(platform), native_meeting_id, changes)
    return Accepted(message="The bot was told to change its configuration.", meeting=meeting_body(meeting))


@router.delete("/{platform}/{native_meeting_id}", status_code=202, responses=responses(404))
async def stop_bot(platform: str, native_meeting_id: str, call: ForBots) -> Accepted:
    """Stop your bot in that meeting, whatever it is doing. Stopping twice is stopping once."""
    meeting = await call.context.bots.stop(call.user.user_id, parse_platform(platform), native_meeting_id)
    return Accepted(message=f"The meeting is {meeting.status}.", meeting=meeting_body(meeting))


def _ref(body: BotRequest, context: Context) -> MeetingRef:
    if body.meeting_url is not None:
        return meeting_from_url(body.meeting_url, homes=context.homes)
    if body.platform is None or body.native_meeting_id is None:
        raise Invalid("no_meeting", "Name the meeting by meeting_url, or by platform and native_meeting_id.")
    platform = parse_platform(body.platform)
    return meeting_from_id(platform, body.native_meeting_id, passcode=body.passcode, homes=context.homes)
