"""`/internal/bots/{connection_id}`: the callbacks of bots. Each carries the token of its attempt."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from usher.api.auth import ByBot
from usher.api.problems import responses
from usher.app.chat import take_chat
from usher.app.commands import wire_command
from usher.protocol.chat import SeenLines
from usher.protocol.commands import CommandOutcome, PendingCommands
from usher.protocol.evidence import Evidence
from usher.protocol.recordings import MEDIA_NAME, MEDIA_TYPE, MOST_CHUNK_BYTES, MOST_CHUNKS, FileDescription
from usher.protocol.reports import Exited, Heartbeat, HeartbeatAnswer, ReportAnswer, Started, Status

router = APIRouter(prefix="/internal/bots/{connection_id}", tags=["bots' callbacks"], include_in_schema=True)

_MAY = responses(409, 410)


@router.post("/started", responses=_MAY)
async def started(_body: Started, call: ByBot) -> ReportAnswer:
    """The bot is in the meeting."""
    return await call.context.reports.started(call.bot)


@router.post("/status", responses=_MAY)
async def status(body: Status, call: ByBot) -> ReportAnswer:
    """The bot is on its way."""
    return await call.context.reports.status(call.bot, body)


@router.post("/exited", responses=_MAY)
async def exited(body: Exited, call: ByBot) -> ReportAnswer:
    """The bot's last word."""
    return await call.context.reports.exited(call.bot, body)


@router.post("/heartbeat", responses=responses(410))
async def heartbeat(body: Heartbeat, call: ByBot) -> HeartbeatAnswer:
    """Renew the bot's lease; the answer tells whether a command was missed, and which segments are stored."""
    return await call.context.reports.heartbeat(call.bot, body.sent)


@router.get("/commands", responses=responses(410))
async def commands(
    call: ByBot,
    after: Annotated[int, Query(ge=0, description="Only commands with a higher number.")] = 0,
) -> PendingCommands:
    """Return the commands that the bot has not acknowledged."""
    stored = await call.context.reports.pending_commands(call.bot, after_seq=after)
    return PendingCommands(commands=[wire_command(command) for command in stored])


@router.post("/evidence", status_code=204, responses=responses(410))
async def evidence(body: Evidence, call: ByBot) -> None:
    """Keep what the bot saw when a step did not work; the newest 20 pieces of a meeting stay."""
    await call.context.reports.show(call.bot, body)


@router.post("/chat", status_code=204, responses=responses(410))
async def chat(body: SeenLines, call: ByBot) -> None:
    """Keep lines of the meeting's chat; those that were told before change nothing."""
    await take_chat(call.context.store, call.context.feed, call.bot, body.lines)


@router.post("/commands/{seq}", status_code=204, responses=responses(404, 410))
async def acknowledge(seq: Annotated[int, Path(ge=1)], body: CommandOutcome, call: ByBot) -> None:
    """Record what the bot did with a command."""
    await call.context.reports.acknowledge(call.bot, seq, outcome=body.outcome, detail=body.detail)


_FileName = Annotated[str, Path(pattern=MEDIA_NAME, description="mixed, or speaker-N.")]
_CONTENT = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_BYTES = {"requestBody": {"required": True, "content": _CONTENT}}


@router.put("/recordings/{name}", status_code=204, responses=responses(410))
async def describe_recording(name: _FileName, body: FileDescription, call: ByBot) -> None:
    """Begin a file of the attempt's recording, or change what is known of it."""
    await call.context.recordings.describe(call.bot, name, body)


@router.put(
    "/recordings/{name}/{number}", status_code=204, responses=responses(409, 410, 413, 507), openapi_extra=_BYTES
)
async def upload_recording(
    name: _FileName,
    number: Annotated[int, Path(ge=0, lt=MOST_CHUNKS, description="Number of the chunk, from 0.")],
    request: Request,
    call: ByBot,
    until_ms: Annotated[int, Query(ge=0, le=2**40, description="Where its sound ends, from the recording's start.")],
) -> None:
    """Take the next chunk of a file. The same chunk again changes nothing; it is kept once this is answered."""
    content = await request.body()
    if len(content) > MOST_CHUNK_BYTES:
        raise HTTPException(413, f"A chunk has {MOST_CHUNK_BYTES // 1024} KiB at most")
    await call.context.recordings.take(call.bot, name, number, until_ms, content)
