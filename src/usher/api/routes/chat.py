"""`/bots/{platform}/{native_meeting_id}/…`: what a bot is told to write, its name, and the meeting's chat."""

from typing import Annotated

from fastapi import APIRouter, Path

from usher.api.auth import ForBots, ForReading
from usher.api.bodies import chat_message_body, command_body
from usher.api.problems import responses
from usher.domain.meeting import parse_platform
from usher.ports import StoredCommand
from usher.protocol.rest import ChatBody, ChatRequest, CommandAccepted, CommandBody, NameRequest

router = APIRouter(prefix="/bots/{platform}/{native_meeting_id}", tags=["bots"])


@router.post("/chat", status_code=202, responses=responses(404, 409, 429))
async def say(platform: str, native_meeting_id: str, body: ChatRequest, call: ForBots) -> CommandAccepted:
    """Let your bot write into the meeting's chat. Sending it twice is writing twice."""
    bots = call.context.bots
    told = await bots.say(call.user.user_id, parse_platform(platform), native_meeting_id, body.text)
    return _accepted(told)


@router.get("/chat", responses=responses(404))
async def read_chat(platform: str, native_meeting_id: str, call: ForReading) -> ChatBody:
    """Return what was written into the meeting's chat while your bot was there, in your newest visit."""
    context = call.context
    meeting = await context.bots.get(call.user.user_id, parse_platform(platform), native_meeting_id)
    messages = [chat_message_body(message) for message in await context.store.chat(meeting.meeting_id)]
    return ChatBody(meeting_id=meeting.meeting_id, messages=messages)


@router.put("/name", status_code=202, responses=responses(404, 409, 429))
async def rename(platform: str, native_meeting_id: str, body: NameRequest, call: ForBots) -> CommandAccepted:
    """Let your bot go under another name from now on. Not every platform lets a guest do that."""
    bots = call.context.bots
    told = await bots.rename(call.user.user_id, parse_platform(platform), native_meeting_id, body.bot_name)
    return _accepted(told)


@router.get("/commands/{seq}", responses=responses(404))
async def command(
    platform: str, native_meeting_id: str, seq: Annotated[int, Path(ge=1, le=2**31 - 1)], call: ForBots
) -> CommandBody:
    """Say what became of a command to your bot, in your newest visit."""
    bots = call.context.bots
    return command_body(await bots.fate(call.user.user_id, parse_platform(platform), native_meeting_id, seq))


def _accepted(told: StoredCommand) -> CommandAccepted:
    return CommandAccepted(message="The bot is being told.", seq=told.seq)
