"""Which bot moved a meeting, by the words of the bots: what each noted that it said, when, and when it was answered.

The history says that "a bot" reported an event, and of which attempt the meeting was then. Which bot had said such a
thing and not been answered yet at that moment, only the bots know; both are told by clocks of one machine. If several
had, the one of the right attempt gets the benefit of the doubt. A change that no bot had asked for is put down to an
attempt 0.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.chaos_diaries import Diary
from tests.support.invariants.evidence import BotMove

from usher.domain.lifecycle import Event, Source
from usher.ports import MeetingEvent

_MEANS = {
    "started": {Event.ADMITTED},
    "status": {Event.JOINING_BEGUN, Event.LOBBY_ENTERED},
    "exited": {Event.LEFT, Event.NOT_ADMITTED, Event.CRASHED},
    "commands": {Event.CONFIGURATION_APPLIED, Event.CONFIGURATION_REFUSED},
}
_CLOCKS_S = 0.2
_NOBODY = 0


@dataclass(frozen=True, slots=True)
class _Word:
    """Something that a bot said: `until_s` is when it was answered, or the end of time. By the monotonic clock."""

    meeting_id: int
    attempt: int
    kind: str
    from_s: float
    until_s: float = math.inf


def bot_moves(
    events: Mapping[int, Sequence[MeetingEvent]], diaries: Iterable[Diary], monotonic_offset_s: float
) -> list[BotMove]:
    """Return every change that a bot reported, and the attempt of the bot that said so.

    Args:
        events: Histories.
        diaries: Of all bots.
        monotonic_offset_s: What has to be added to the monotonic clock of this machine to get the database's time.
    """
    words = [word for diary in diaries for word in _words(diary)]
    return [
        BotMove(meeting_id, line.version, _speaker(meeting_id, line, words, monotonic_offset_s))
        for meeting_id, history in events.items()
        for line in history
        if line.by is Source.BOT
    ]


def _speaker(meeting_id: int, line: MeetingEvent, words: Sequence[_Word], offset_s: float) -> int:
    at_s = line.at.timestamp() - offset_s
    attempts = {
        word.attempt
        for word in words
        if word.meeting_id == meeting_id
        and line.event in _MEANS[word.kind]
        and word.from_s - _CLOCKS_S <= at_s <= word.until_s + _CLOCKS_S
    }
    return line.attempt if line.attempt in attempts else max(attempts, default=_NOBODY)


def _words(diary: Diary) -> Iterator[_Word]:
    """Read what a bot said; what was not answered may be heard at any time, and so may what it left behind."""
    answered = {line["said"]: line["answered_s"] for line in diary.lines("answered")}
    for line in diary.lines("said_to_manager"):
        until_s = answered.get(line["said"], math.inf)
        yield _Word(diary.meeting_id, diary.attempt, _kind(line), line["sent_s"], until_s)
    for line in diary.lines("left_behind"):
        for kind in line["reports"]:
            yield _Word(diary.meeting_id, diary.attempt, kind, line["left_s"])


def _kind(line: Mapping[str, Any]) -> str:
    return str(line["report"]).partition("#")[0].partition("/")[0]
