"""What bots leave behind when they exit while the manager is away: taken up before their workload is forgotten."""

import structlog

from usher.app.collector import Collector
from usher.app.reports import Reports
from usher.domain.errors import Conflict, Superseded
from usher.domain.reconcile import WorkloadName
from usher.ports import Launcher, Meeting
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.last_words import LastWords, UnsentExited, UnsentReport, UnsentStarted, unseal
from usher.telemetry import LAST_WORDS

log = structlog.get_logger(__name__)


class Legacy:
    """Takes up last words. Reports are idempotent and so are segments: taking them up twice is taking them up once."""

    def __init__(self, launcher: Launcher, reports: Reports, collector: Collector, credentials: BotCredentials) -> None:
        self._launcher = launcher
        self._reports = reports
        self._collector = collector
        self._credentials = credentials

    async def take_up(self, meeting: Meeting) -> None:
        """Take up what the bot of the current attempt left behind, if it left anything.

        Raises:
            Unavailable: The store does not answer.
        """
        document = await self._launcher.last_words(WorkloadName(meeting.meeting_id, meeting.attempt))
        if not document:
            return
        bot = BotIdentity(meeting.meeting_id, meeting.connection_id)
        words = unseal(document, self._credentials.token(bot))
        if words is None or words.connection_id != bot.connection_id:
            log.warning("last_words_not_believed", meeting_id=meeting.meeting_id, attempt=meeting.attempt)
            LAST_WORDS.labels("not_believed").inc()
            return
        await self._take_up(bot, words)
        LAST_WORDS.labels("taken_up").inc()
        log.info(
            "last_words_taken_up",
            meeting_id=meeting.meeting_id,
            attempt=meeting.attempt,
            reports=len(words.reports),
            entries=len(words.entries),
        )

    async def _take_up(self, bot: BotIdentity, words: LastWords) -> None:
        """Store the text first: an exit that is reported may end the meeting, and then its totals are made."""
        own = [entry for entry in words.entries if entry.meeting_id == bot.meeting_id]
        await self._collector.store(own)
        for report in words.reports:
            try:
                await self._report(bot, report)
            except (Superseded, Conflict) as error:
                log.info("last_report_void", meeting_id=bot.meeting_id, kind=report.kind, why=error.detail)

    async def _report(self, bot: BotIdentity, report: UnsentReport) -> None:
        if isinstance(report, UnsentExited):
            await self._reports.exited(bot, report)
        elif isinstance(report, UnsentStarted):
            await self._reports.started(bot)
        else:
            await self._reports.status(bot, report)
