"""What is written into the meeting's chat, on its way to the manager."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from usher.bot.background import Background
from usher.bot.line import Line
from usher.protocol.chat import MOST_CHARACTERS, MOST_LINES, MOST_LINES_AT_ONCE, SeenLine, SeenLines

if TYPE_CHECKING:  # platforms load the browser's library, which a simulated bot does without
    from usher.bot.platforms.port import ChatLine

log = structlog.get_logger(__name__)

_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0
_MOST_WAITING = 500
# With the worst of escapes a body of so many characters stays within what the manager takes.
_MOST_CHARACTERS_AT_ONCE = 30_000
_MOST_ID, _MOST_SENDER = 200, 255
_OWN = "you"
"""How pages in English call the sender of one's own messages."""


@dataclass(frozen=True, slots=True)
class _Seen:
    line: "ChatLine"
    is_self: bool
    at_s: float


class ChatRelay:
    """Sends each line of the chat once, in the order of their first sight, until the manager has it.

    Bounded: while too many wait, lines are not taken note of; they are in a later look if they still stand there. After
    the most lines of a meeting no more are sent.
    """

    def __init__(self, line: Line, *, retry_s: float = _RETRY_S) -> None:
        self._line = line
        self._retry_s = retry_s
        self._known: set[str] = set()
        self._waiting: deque[_Seen] = deque()
        self._sending = Background("chat", self._send)

    def note(self, lines: Sequence["ChatLine"], own_name: str) -> None:
        """Take note of the lines that one look at the page shows; those that are known are passed over.

        Args:
            lines: Oldest first.
            own_name: The name that the bot goes by now: what it wrote itself is marked.
        """
        now_s = asyncio.get_running_loop().time()
        for line in lines:
            if line.line_id not in self._known and len(self._waiting) < _MOST_WAITING and len(self._known) < MOST_LINES:
                self._known.add(line.line_id)
                is_self = line.sender == own_name or line.sender.strip().casefold() == _OWN
                self._waiting.append(_Seen(line, is_self, now_s))
        if self._waiting:
            self._sending.begin()

    async def all_sent(self, timeout_s: float) -> None:
        """Wait until nothing is left to send, at most so long."""
        if not await self._sending.done(timeout_s):
            log.warning("chat_unsent", lines=len(self._waiting))

    async def stop(self) -> None:
        """Give up what is not sent."""
        await self._sending.stop()

    async def _send(self) -> None:
        failures = 0
        while self._waiting and not self._line.over.is_set():
            batch = self._batch()
            told = SeenLines(lines=[_told(seen) for seen in batch])
            answer = await self._line.ask("POST", "/chat", told.model_dump())
            if answer is None:
                retry_s = min(self._retry_s * 2.0 ** min(failures, 30), _LONGEST_RETRY_S)
                await self._line.wait(self._line.shortened(retry_s))
                failures += 1
                continue
            failures = 0
            if not answer.is_success:
                log.warning("chat_refused", lines=len(batch), status=answer.status_code)
            for _ in batch:
                self._waiting.popleft()

    def _batch(self) -> list[_Seen]:
        """Return what is sent next: at least one line."""
        batch: list[_Seen] = []
        characters = 0
        for seen in islice(self._waiting, MOST_LINES_AT_ONCE):
            characters += len(seen.line.text[:MOST_CHARACTERS])
            if batch and characters > _MOST_CHARACTERS_AT_ONCE:
                break
            batch.append(seen)
        return batch


def _told(seen: _Seen) -> SeenLine:
    line = seen.line
    return SeenLine(
        line_id=line.line_id[:_MOST_ID] or "-",
        sender=line.sender[:_MOST_SENDER],
        text=line.text[:MOST_CHARACTERS],
        is_self=seen.is_self,
        ago_s=max(0.0, asyncio.get_running_loop().time() - seen.at_s),
    )
