"""The life of a scripted bot: what `chaos_bot` runs once its clock is set."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from redis.asyncio import Redis
from tests.support.chaos_overheard import WatchedTransport, diary
from tests.support.chaos_script import NEVER_S, Script

from usher.bot.bot import Bot
from usher.bot.last_words_file import LastWordsFile
from usher.bot.stay import Ending, Progress
from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import Command, CommandOutcome
from usher.protocol.segments import SegmentEntry, SpokenSegment

_REDIS_S = 5.0
_REPORT_S = 60.0
_DEATH = 9


class ScriptedVisit:
    """A bot whose stay is a script."""

    def __init__(self, configuration: BotConfiguration, redis: Redis, last_words: Path | None) -> None:
        self._configuration = configuration
        self._script = Script.from_name(configuration.bot_name)
        self._last_words = LastWordsFile(last_words)
        self.bot = Bot(
            configuration,
            redis=redis,
            stay=self._stay,
            keep=self._keep,
            executed=_note_executed,
            transport=WatchedTransport(),
        )

    async def run(self) -> int:
        """Make the visit; a mute bot never says that it does."""
        if self._script.mute:
            await asyncio.sleep(NEVER_S)
        return await self.bot.run()

    async def _stay(self, progress: Progress) -> Ending:
        script = self._script
        progress.joining()
        if script.lobby_s:
            progress.waiting()
            await asyncio.sleep(script.lobby_s)
        progress.admitted()
        if self._configuration.attempt <= script.fails:
            await self.bot.callbacks.all_reported(_REPORT_S)
            diary.info("died")
            os._exit(_DEATH)
        try:
            async with asyncio.timeout(script.stay_s):
                await self._talk()
        except TimeoutError:
            return Ending(0, script.reason)
        except asyncio.CancelledError:
            await asyncio.sleep(script.leave_s)
            raise
        return Ending(1, Reason.CRASHED, "the script is over")

    def _keep(self, document: bytes | None) -> None:
        """Note what somebody may find when this bot is gone, before it can be found."""
        reports = [report["kind"] for report in self.bot.callbacks.unanswered()] if document else []
        diary.info("left_behind", reports=reports, left_s=time.monotonic())
        self._last_words.keep(document)

    async def _talk(self) -> None:
        """Say one sentence after another, each first as a guess and then for good."""
        began = datetime.now(UTC)
        pause_s = self._script.talk_s or NEVER_S
        for number in itertools.count(1):
            await asyncio.sleep(pause_s / 2)
            self._publish(number, revision=1, completed=False, began=began)
            await asyncio.sleep(pause_s / 2)
            self._publish(number, revision=2, completed=True, began=began)

    def _publish(self, number: int, *, revision: int, completed: bool, began: datetime) -> None:
        uid = self._configuration.connection_id
        segment = SpokenSegment(
            segment_id=f"{uid}:{number}",
            revision=revision,
            start_s=number,
            end_s=number + 1,
            text=f"sentence {number}",
            speaker="Speaker",
            language="en",
            completed=completed,
        )
        self.bot.publisher.publish(
            SegmentEntry(
                meeting_id=self._configuration.meeting_id, session_uid=uid, session_start=began, segments=[segment]
            )
        )
        if completed:
            diary.info("said", segment_id=segment.segment_id, revision=revision)


def _note_executed(command: Command, outcome: CommandOutcome) -> None:
    diary.info("executed", seq=command.seq, action=command.action, outcome=outcome.outcome)


def open_diary(directory: Path, configuration: BotConfiguration) -> None:
    """Send everything that is logged in this process to the bot's diary, line by line."""
    path = directory / f"{configuration.meeting_id}-{configuration.attempt}.jsonl"
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt=None, utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(path.open("a", buffering=1)),
        cache_logger_on_first_use=True,
    )


async def visit(
    configuration: BotConfiguration, diaries: Path, last_words: Path | None, leave_on: Sequence[signal.Signals]
) -> int:
    """Make the scripted visit and return the exit code."""
    open_diary(diaries, configuration)
    diary.info("began", connection_id=configuration.connection_id, attempt=configuration.attempt, pid=os.getpid())
    url = configuration.redis_url.get_secret_value()
    redis: Redis = Redis.from_url(url, socket_timeout=_REDIS_S, socket_connect_timeout=_REDIS_S)
    scripted = ScriptedVisit(configuration, redis, last_words)
    for number in leave_on:
        asyncio.get_running_loop().add_signal_handler(number, scripted.bot.leave)
    code = await scripted.run()
    diary.info("ended", exit_code=code)
    return code
