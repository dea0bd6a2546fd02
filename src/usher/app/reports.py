"""What bots say: reports about their visit, heartbeats, and the outcome of commands."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.errors import Conflict, NotAllowed, NotFound, Superseded
from usher.domain.lifecycle import TERMINAL, Event, Reason, Refused, Source, exit_event
from usher.domain.policy import Policy
from usher.ports import Beat, Commands, Leases, Meeting, Meetings, StoredCommand
from usher.protocol.credentials import BotCredentials, BotIdentity

log = structlog.get_logger(__name__)

_STATUS_EVENTS = {"joining": Event.JOINING_BEGUN, "awaiting_admission": Event.LOBBY_ENTERED}


@dataclass(frozen=True, slots=True)
class ExitReport:
    """A bot's last word."""

    exit_code: int
    reason: Reason | None
    detail: str


class Reports:
    """Takes what bots report. Each method first makes sure who speaks and that its attempt is the current one."""

    def __init__(
        self,
        store: "ReportStore",
        transitions: Transitions,
        credentials: BotCredentials,
        beats: "LeaseBook",
    ) -> None:
        self._store = store
        self._transitions = transitions
        self._credentials = credentials
        self._beats = beats

    def authenticate(self, connection_id: str, token: str) -> BotIdentity:
        """Return who speaks.

        Raises:
            NotAllowed: The token is not the one of this connection.
        """
        bot = self._credentials.verify(token)
        if bot is None or bot.connection_id != connection_id:
            raise NotAllowed("bad_bot_token", "This token does not belong to this connection.")
        return bot

    async def started(self, bot: BotIdentity) -> Outcome:
        """The bot is in the meeting."""
        return await self._apply(bot, Event.ADMITTED)

    async def status(self, bot: BotIdentity, status: str) -> Outcome:
        """The bot is on its way: `joining` or `awaiting_admission`."""
        return await self._apply(bot, _STATUS_EVENTS[status])

    async def exited(self, bot: BotIdentity, said: ExitReport) -> Outcome:
        """The bot ends; what that means depends on how far it had come."""

        def choose(meeting: Meeting) -> Event:
            return exit_event(meeting.snapshot, said.exit_code, said.reason)

        detail = f"exit code {said.exit_code}. {said.detail}".strip()
        return await self._apply(bot, choose, reason=said.reason, detail=detail)

    async def heartbeat(self, bot: BotIdentity) -> int:
        """Renew the bot's lease and return the newest command number for it.

        Raises:
            Superseded: The attempt is over.
        """
        beat = await self._beats.renew(bot.connection_id)
        if beat is None or not beat.current:
            raise _superseded()
        return beat.newest_seq

    async def pending_commands(self, bot: BotIdentity, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the commands that the bot has not acknowledged."""
        await self._current(bot)
        return await self._store.pending(bot.connection_id, after_seq=after_seq)

    async def acknowledge(self, bot: BotIdentity, seq: int, *, outcome: str, detail: str) -> None:
        """Record what became of a command; a reconfiguration brings the meeting back to `active`. Idempotent.

        Raises:
            NotFound: The bot was never sent such a command.
        """
        meeting = await self._current(bot)
        command = await self._store.acknowledge(bot.connection_id, seq, outcome=outcome, detail=detail)
        if command is None:
            raise NotFound("unknown_command", f"There is no command {seq} for this bot.")
        if command.action != "reconfigure" or command.configuration != meeting.desired_configuration:
            return
        event = Event.CONFIGURATION_APPLIED if outcome == "applied" else Event.CONFIGURATION_REFUSED
        await self._transitions.apply(meeting.meeting_id, Report(event, Source.BOT, meeting.attempt, detail=detail))

    async def _current(self, bot: BotIdentity) -> Meeting:
        meeting = await self._store.find(bot.meeting_id)
        if meeting is None or meeting.connection_id != bot.connection_id or meeting.status in TERMINAL:
            raise _superseded()
        return meeting

    async def _apply(
        self,
        bot: BotIdentity,
        event: Event | Callable[[Meeting], Event],
        *,
        reason: Reason | None = None,
        detail: str = "",
    ) -> Outcome:
        report = Report(event, Source.BOT, bot.connection_id, reason=reason, detail=detail)
        try:
            outcome = await self._transitions.apply(bot.meeting_id, report)
        except NotFound:
            raise _superseded() from None
        if outcome.meeting.connection_id != bot.connection_id:
            raise _superseded()
        if isinstance(outcome.decision, Refused):
            raise Conflict("contradiction", f"The report contradicts the meeting's state: {outcome.decision.why}.")
        return outcome


class ReportStore(Meetings, Commands, Protocol):
    """The part of the store that reports touch."""


class LeaseBook:
    """Gathers heartbeats and renews their leases together, one statement a tick.

    Args:
        leases: The store.
        policy: Length of a lease.
        tick_s: How long heartbeats are gathered.
    """

    def __init__(self, leases: Leases, policy: Policy, *, tick_s: float = 0.25) -> None:
        self._leases = leases
        self._policy = policy
        self._tick_s = tick_s
        self._waiting: dict[str, list[asyncio.Future[Beat | None]]] = {}
        self._flush: asyncio.Task[None] | None = None

    async def renew(self, connection_id: str) -> Beat | None:
        """Renew one lease with the next tick's statement; None if nobody knows the connection.

        Raises:
            Unavailable: The store does not answer.
        """
        future: asyncio.Future[Beat | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(connection_id, []).append(future)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_soon())
        return await future

    async def _flush_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._tick_s)
            batch, self._waiting = self._waiting, {}
            outcome = (await asyncio.gather(self._renewed(batch), return_exceptions=True))[0]
            for connection_id, futures in batch.items():
                for future in futures:
                    _settle(future, outcome, connection_id)

    async def _renewed(self, batch: dict[str, list[asyncio.Future[Beat | None]]]) -> dict[str, Beat]:
        return dict(await self._leases.renew(list(batch), lease_s=self._policy.lease_s))


def _settle(
    future: "asyncio.Future[Beat | None]", outcome: dict[str, Beat] | BaseException, connection_id: str
) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome.get(connection_id))


def _superseded() -> Superseded:
    return Superseded("attempt_over", "This attempt is over. Leave the meeting and exit.")
