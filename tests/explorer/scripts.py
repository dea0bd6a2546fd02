"""What becomes of a bot in its meeting: drawn for each attempt, played by the real bot in the place of a browser."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tests.explorer.store import store_clock

from usher.bot.stay import Ending, Progress
from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.segments import SegmentEntry, SpokenSegment


class ScriptedCrash(Exception):
    """An error in a bot that its script wants."""


class End(StrEnum):
    """How a stay ends when nobody ends it before."""

    MEETING_ENDED = "the meeting ends"
    LEFT_ALONE = "everybody else leaves"
    REJECTED = "the host refuses it"
    JOIN_FAILED = "the page does not open"
    ADMISSION_TIMEOUT = "nobody lets it in"
    CRASHES = "an error in the bot"
    KILLED = "its process is killed"
    FROZEN = "its process stands still"
    STAYS = "it stays for ever"


_BEFORE = frozenset({End.REJECTED, End.JOIN_FAILED, End.ADMISSION_TIMEOUT})


@dataclass(frozen=True, slots=True)
class Script:
    """One stay.

    Attributes:
        boot_s: From the start of the process to the browser.
        join_s: From there to the lobby, or the meeting.
        lobby_s: In the lobby; None if there is none.
        stay_s: In the meeting, or wherever the end comes.
        pause_s: Between two segments.
        leave_s: What leaving takes; None if it never comes to an end.
        linger_s: From the bot's last word to the end of its process.
        obeys_after_s: What a change of configuration takes.
        refuses: Whether it refuses changes of configuration.
    """

    boot_s: float
    join_s: float
    lobby_s: float | None
    stay_s: float
    end: End
    pause_s: float
    leave_s: float | None
    linger_s: float
    obeys_after_s: float
    refuses: bool


QUICK = Script(0.5, 1.0, 1.0, 3600.0, End.STAYS, 2.0, 0.5, 0.1, 0.2, refuses=False)
"""A stay in which everything goes well until somebody ends it."""


def draw(chance: random.Random) -> Script:
    """Return some script; most go well."""
    goes_well = chance.random() < 0.6
    ends = (End.MEETING_ENDED, End.LEFT_ALONE, End.STAYS) if goes_well else (*End, End.FROZEN)
    end = chance.choice(ends)
    stays = (15.0, 40.0) if end is End.FROZEN else (0.0, 5.0, 40.0, 200.0)
    return Script(
        boot_s=chance.choice((0.0, 0.5, 4.0)),
        join_s=chance.choice((0.0, 1.0, 8.0, 30.0)),
        lobby_s=chance.choice((None, 0.0, 5.0, 40.0)),
        stay_s=chance.choice(stays),
        end=end,
        pause_s=chance.choice((1.0, 3.0, 10.0)),
        leave_s=None if chance.random() < 0.15 else chance.choice((0.0, 1.0, 7.0)),
        linger_s=chance.choice((0.0, 0.0, 0.5, 6.0)),
        obeys_after_s=chance.choice((0.0, 0.0, 1.0, 4.0)),
        refuses=chance.random() < 0.2,
    )


class Actor:
    """Plays a script.

    Args:
        script: What to play.
        configuration: Of the bot.
        publish: Where segments go.
        kill: Ends the process without a word.
        freeze: Stops the process for good.

    Attributes:
        said: Final segments, by id: their revision.
    """

    def __init__(
        self,
        script: Script,
        configuration: BotConfiguration,
        publish: Callable[[SegmentEntry], None],
        *,
        kill: Callable[[], None],
        freeze: Callable[[], None],
    ) -> None:
        self._script = script
        self._configuration = configuration
        self._publish = publish
        self._kill = kill
        self._freeze = freeze
        self._number = 0
        self.said: dict[str, int] = {}

    async def stay(self, progress: Progress) -> Ending:
        """Go in, stay, and come out; cancellation is the wish to leave."""
        try:
            await asyncio.sleep(self._script.boot_s)
            progress.joining()
            await asyncio.sleep(self._script.join_s)
            return await self._from_the_door(progress)
        except asyncio.CancelledError:
            await self._leave()
            raise

    async def _from_the_door(self, progress: Progress) -> Ending:
        script = self._script
        if script.end is End.JOIN_FAILED:
            return Ending(1, Reason.JOIN_FAILED)
        if script.lobby_s is not None:
            progress.waiting()
            await asyncio.sleep(script.lobby_s)
        if script.end in _BEFORE:
            await asyncio.sleep(script.stay_s)
            rejected = script.end is End.REJECTED
            return Ending(0, Reason.REJECTED if rejected else Reason.ADMISSION_TIMEOUT)
        progress.admitted()
        try:
            async with asyncio.timeout(None if script.end is End.STAYS else script.stay_s):
                await self._speak()
        except TimeoutError:
            pass
        return await self._end()

    async def _speak(self) -> None:
        began = store_clock()
        while True:
            await asyncio.sleep(self._script.pause_s)
            self._number += 1
            segment_id = f"{self._configuration.connection_id}:{self._number}"
            for revision in (1, 2):
                self._publish(
                    SegmentEntry(
                        meeting_id=self._configuration.meeting_id,
                        session_uid=self._configuration.connection_id,
                        session_start=began,
                        segments=[self._segment(segment_id, revision, final=revision == 2)],
                    )
                )
            self.said[segment_id] = 2

    def _segment(self, segment_id: str, revision: int, *, final: bool) -> SpokenSegment:
        start_s = timedelta(seconds=self._number * self._script.pause_s).total_seconds()
        return SpokenSegment(
            segment_id=segment_id,
            revision=revision,
            start_s=start_s,
            end_s=start_s + 1.0,
            text=f"words {self._number}",
            completed=final,
        )

    async def _end(self) -> Ending:
        match self._script.end:
            case End.KILLED:
                self._kill()
            case End.FROZEN:
                self._freeze()
            case End.CRASHES:
                raise ScriptedCrash("a bug in a bot")
            case End.LEFT_ALONE:
                return Ending(0, Reason.LEFT_ALONE)
            case _:
                return Ending(0, Reason.MEETING_ENDED)
        await asyncio.Event().wait()
        raise AssertionError("the process is over")

    async def _leave(self) -> None:
        if self._script.leave_s is not None:
            await asyncio.sleep(self._script.leave_s)
            return
        await asyncio.Event().wait()
