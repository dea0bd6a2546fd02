"""`/internal/bots/{connection_id}`: the callbacks of bots. Each carries the token of its attempt."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from usher.api.auth import CurrentBot
from usher.api.context import InContext
from usher.api.problems import responses
from usher.app.effects import wire_command
from usher.app.reports import ExitReport
from usher.app.transitions import Outcome
from usher.domain.lifecycle import Ignored
from usher.protocol.commands import CommandOutcome, PendingCommands
from usher.protocol.reports import Exited, Heartbeat, HeartbeatAnswer, ReportAnswer, Started, Status

router = APIRouter(prefix="/internal/bots/{connection_id}", tags=["bots' callbacks"], include_in_schema=True)

_MAY = responses(409, 410)


@router.post("/started", responses=_MAY)
async def started(_body: Started, bot: CurrentBot, context: InContext) -> ReportAnswer:
    """The bot is in the meeting."""
    return _answer(await context.reports.started(bot))


@router.post("/status", responses=_MAY)
async def status(body: Status, bot: CurrentBot, context: InContext) -> ReportAnswer:
    """The bot is on its way."""
    return _answer(await context.reports.status(bot, body.status))


@router.post("/exited", responses=_MAY)
async def exited(body: Exited, bot: CurrentBot, context: InContext) -> ReportAnswer:
    """The bot's last word."""
    said = ExitReport(body.exit_code, body.reason, body.detail)
    return _answer(await context.reports.exited(bot, said))


@router.post("/heartbeat", responses=responses(410))
async def heartbeat(_body: Heartbeat, bot: CurrentBot, context: InContext) -> HeartbeatAnswer:
    """Renew the bot's lease; the answer tells whether a command was missed."""
    return HeartbeatAnswer(newest_seq=await context.reports.heartbeat(bot))


@router.get("/commands", responses=responses(410))
async def commands(
    bot: CurrentBot,
    context: InContext,
    after: Annotated[int, Query(ge=0, description="Only commands with a higher number.")] = 0,
) -> PendingCommands:
    """Return the commands that the bot has not acknowledged."""
    stored = await context.reports.pending_commands(bot, after_seq=after)
    return PendingCommands(commands=[wire_command(command) for command in stored])


@router.post("/commands/{seq}", status_code=204, responses=responses(404, 410))
async def acknowledge(
    seq: Annotated[int, Path(ge=1)], body: CommandOutcome, bot: CurrentBot, context: InContext
) -> None:
    """Record what the bot did with a command."""
    await context.reports.acknowledge(bot, seq, outcome=body.outcome, detail=body.detail)


def _answer(outcome: Outcome) -> ReportAnswer:
    if isinstance(outcome.decision, Ignored):
        return ReportAnswer(outcome="ignored", detail=outcome.decision.why)
    return ReportAnswer(outcome="applied")
