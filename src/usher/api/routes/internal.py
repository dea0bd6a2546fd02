"""`/internal/bots/{connection_id}`: the callbacks of bots. Each carries the token of its attempt."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from usher.api.auth import ByBot
from usher.api.problems import responses
from usher.app.commands import wire_command
from usher.protocol.commands import CommandOutcome, PendingCommands
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


@router.post("/commands/{seq}", status_code=204, responses=responses(404, 410))
async def acknowledge(seq: Annotated[int, Path(ge=1)], body: CommandOutcome, call: ByBot) -> None:
    """Record what the bot did with a command."""
    await call.context.reports.acknowledge(call.bot, seq, outcome=body.outcome, detail=body.detail)
