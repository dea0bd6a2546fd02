"""What bots say: reports about their visit, heartbeats, and the outcome of commands."""

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from usher.app.leases import LeaseBook
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.errors import Conflict, NotAllowed, NotFound, Superseded
from usher.domain.lifecycle import CHANGING, TERMINAL, Applied, Event, Reason, Refused, Source, exit_event
from usher.ports import RECONFIGURE, Acknowledgement, Commands, Exhibits, Mark, Meeting, Meetings, StoredCommand
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.evidence import Evidence
from usher.protocol.reports import Exited, HeartbeatAnswer, ReportAnswer, SegmentMark, Status

log = structlog.get_logger(__name__)

_STATUS_EVENTS = {
    "joining": Event.JOINING_BEGUN,
    "help_wanted": Event.HELP_WANTED,
    "awaiting_admission": Event.LOBBY_ENTERED,
}
_CONFIGURED = {"applied": Event.CONFIGURATION_APPLIED, "refused": Event.CONFIGURATION_REFUSED}
_EXITS = frozenset({Event.LEFT, Event.NOT_ADMITTED, Event.CRASHED})


class Reports:
    """Takes what bots report. Each method first makes sure that the speaker's attempt is the current one."""

    def __init__(
        self,
        store: "ReportStore",
        transitions: Transitions,
        credentials: BotCredentials,
        beats: LeaseBook,
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

    async def started(self, bot: BotIdentity) -> ReportAnswer:
        """The bot is in the meeting. Idempotent.

        Raises:
            Superseded: The attempt is over.
            Conflict: The report contradicts the meeting's state.
        """
        return await self._take(bot, Event.ADMITTED, frozenset({Event.ADMITTED}))

    async def status(self, bot: BotIdentity, said: Status) -> ReportAnswer:
        """The bot is on its way. Idempotent; raises as `started` does."""
        event = _STATUS_EVENTS[said.status]
        return await self._take(bot, event, frozenset({event}), reason=said.reason)

    async def exited(self, bot: BotIdentity, said: Exited) -> ReportAnswer:
        """The bot ends; what that means depends on how far it had come. Idempotent, also after the attempt is over."""

        def choose(meeting: Meeting) -> Event:
            return exit_event(meeting.snapshot, said.exit_code, said.reason)

        detail = f"exit code {said.exit_code}. {said.detail}".strip()
        try:
            return await self._take(bot, choose, _EXITS, reason=said.reason, detail=detail)
        except Superseded:
            if await self._was_applied(bot, _EXITS):
                return ReportAnswer(outcome="applied")
            raise

    async def heartbeat(self, bot: BotIdentity, sent: Sequence[SegmentMark] = ()) -> HeartbeatAnswer:
        """Renew the bot's lease; tell it the newest command number, and which of the segments it sent are stored.

        Raises:
            Superseded: The attempt is over.
        """
        marks = [Mark(bot.meeting_id, one.segment_id, one.revision) for one in sent]
        pulse = await self._beats.beat(bot.connection_id, marks)
        if pulse.beat is None or not pulse.beat.current:
            raise _superseded()
        stored = [SegmentMark(segment_id=one.segment_id, revision=one.revision) for one in pulse.stored]
        return HeartbeatAnswer(newest_seq=pulse.beat.newest_seq, stored=stored)

    async def pending_commands(self, bot: BotIdentity, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the commands that the bot has not acknowledged."""
        await self._current(bot)
        return await self._store.pending(bot.connection_id, after_seq=after_seq)

    async def acknowledge(self, bot: BotIdentity, seq: int, *, outcome: str, detail: str) -> None:
        """Record what became of a command, and what configuration is in force. Idempotent.

        A bot may apply a configuration after the time for it has passed: then it is in force all the same.

        Raises:
            NotFound: The bot was never sent such a command.
        """
        said = Acknowledgement(seq, outcome, detail)
        meeting = await self._current(bot)
        if meeting.status in CHANGING and seq == meeting.configuration_seq and await self._configured(meeting, said):
            return
        command = await self._store.acknowledge(bot.connection_id, said)
        if command is None:
            raise NotFound("unknown_command", f"There is no command {seq} for this bot.")
        if command.action != RECONFIGURE or not command.newest:
            return
        event = _CONFIGURED[outcome]
        applied = event is Event.CONFIGURATION_APPLIED
        if meeting.status in CHANGING or (applied and meeting.configuration != command.configuration):
            configuration = command.configuration if applied else None
            report = Report(event, Source.BOT, bot.connection_id, detail=detail, configuration=configuration)
            await self._transitions.apply(meeting.meeting_id, report)

    async def show(self, bot: BotIdentity, evidence: Evidence) -> None:
        """Keep what the bot saw when a step did not work. Not idempotent: whoever repeats it has two pieces.

        Raises:
            Superseded: The attempt is over.
        """
        if not await self._store.exhibit(bot.connection_id, evidence):
            raise _superseded()
        log.info("evidence_kept", meeting_id=bot.meeting_id, step=evidence.step, reason=evidence.reason)

    async def _configured(self, meeting: Meeting, said: Acknowledgement) -> bool:
        """Take the word on the change that is under way in one transaction; False if that is another one by now."""
        report = Report(
            _CONFIGURED[said.outcome],
            Source.BOT,
            meeting.connection_id,
            detail=said.detail,
            acknowledgement=said,
            version=meeting.version,
        )
        return (await self._transitions.apply(meeting.meeting_id, report, known=meeting)).applied

    async def _current(self, bot: BotIdentity) -> Meeting:
        meeting = await self._store.find(bot.meeting_id)
        if meeting is None or meeting.connection_id != bot.connection_id or meeting.status in TERMINAL:
            raise _superseded()
        return meeting

    async def _take(
        self,
        bot: BotIdentity,
        event: Event | Callable[[Meeting], Event],
        means: frozenset[Event],
        *,
        reason: Reason | None = None,
        detail: str = "",
    ) -> ReportAnswer:
        """Apply a report that means one of some events; one that was applied before gets the answer of that time."""
        report = Report(event, Source.BOT, bot.connection_id, reason=reason, detail=detail)
        outcome = await self._apply(bot, report)
        if isinstance(outcome.decision, Refused):
            raise Conflict("contradiction", f"The report contradicts the meeting's state: {outcome.decision.why}.")
        if isinstance(outcome.decision, Applied) or await self._was_applied(bot, means):
            return ReportAnswer(outcome="applied")
        return ReportAnswer(outcome="ignored", detail=outcome.decision.why)

    async def _apply(self, bot: BotIdentity, report: Report) -> Outcome:
        try:
            outcome = await self._transitions.apply(bot.meeting_id, report)
        except NotFound:
            raise _superseded() from None
        if outcome.meeting.connection_id != bot.connection_id:
            raise _superseded()
        return outcome

    async def _was_applied(self, bot: BotIdentity, means: frozenset[Event]) -> bool:
        """Say whether the history has such an event of this bot's attempt, reported by the bot itself."""
        attempt = await self._store.attempt_of(bot.connection_id)
        history = await self._store.events(bot.meeting_id)
        return any(one.attempt == attempt and one.by is Source.BOT and one.event in means for one in history)


class ReportStore(Meetings, Commands, Exhibits, Protocol):
    """The part of the store that reports touch."""


def _superseded() -> Superseded:
    return Superseded("attempt_over", "This attempt is over. Leave the meeting and exit.")
