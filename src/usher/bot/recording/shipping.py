"""Brings files to the manager, piece by piece and in order, for as long as the bot lives."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import structlog

from usher.bot.line import Line
from usher.bot.recording.desk import Description, News
from usher.bot.recording.media import Chunk
from usher.bot.recording.spool import Slip, Spool

log = structlog.get_logger(__name__)

_NO_STORAGE = 507


@dataclass(frozen=True, slots=True)
class _Piece:
    """One request to the manager; its body is in memory, or in the spool."""

    path: str
    body: dict[str, Any] | Slip


class Shipping:
    """Takes news of the desk, and uploads them one after the other.

    What does not fit into the spool, while the manager is away, is lost, and said of the file.

    Args:
        line: To the manager.
        spool: Where chunks wait.

    Attributes:
        given_up: Why no more is taken: a word for the log, or None.
    """

    def __init__(self, line: Line, spool: Spool) -> None:
        self._line = line
        self._spool = spool
        self._pieces: deque[_Piece] = deque()
        self._numbers: Counter[str] = Counter()
        self._lost_ms: Counter[str] = Counter()
        self._more = asyncio.Event()
        self._nothing = asyncio.Event()
        self._nothing.set()
        self.given_up: str | None = None

    @property
    def waiting(self) -> int:
        """How many pieces are not uploaded yet."""
        return len(self._pieces)

    def take(self, news: list[News]) -> None:
        """Line up news; chunks are numbered here."""
        if self.given_up is not None:
            return
        for one in news:
            piece = self._describe(one) if isinstance(one, Description) else self._put_down(one)
            if piece is not None:
                self._pieces.append(piece)
                self._nothing.clear()
        self._more.set()

    async def run(self) -> None:
        """Upload until cancelled, or until it makes no sense any more: see `given_up`."""
        while self.given_up is None:
            await self._more.wait()
            self._more.clear()
            while self._pieces and self.given_up is None:
                await self._ship(self._pieces[0])
            self._nothing.set()

    async def empty(self) -> None:
        """Return when nothing waits any more."""
        await self._nothing.wait()

    async def _ship(self, piece: _Piece) -> None:
        body = self._spool.read(piece.body) if isinstance(piece.body, Slip) else piece.body
        answer = await self._line.ask_until_answered("PUT", piece.path, body)
        self._pieces.popleft()
        if isinstance(piece.body, Slip):
            self._spool.forget()
        if answer is None:
            self.give_up("attempt_over")
        elif answer.status_code == _NO_STORAGE:
            self.give_up("no_storage")
        elif not answer.is_success:
            self.give_up(f"refused_{answer.status_code}")

    def give_up(self, why: str) -> None:
        """Go on without recording: what follows a piece that was refused would be refused as well."""
        self.given_up = why
        self._pieces.clear()
        self._nothing.set()
        log.error("recording_given_up", why=why)

    def _describe(self, news: Description) -> _Piece:
        said = news.said.model_copy(update={"lost_ms": news.said.lost_ms + self._lost_ms[news.name]})
        return _Piece(f"/recordings/{news.name}", said.model_dump(mode="json"))

    def _put_down(self, chunk: Chunk) -> _Piece | None:
        number = self._numbers[chunk.name]
        slip = self._spool.add(chunk.clusters if number else chunk.head + chunk.clusters)
        if slip is None:
            if not self._lost_ms[chunk.name]:
                log.warning("recording_incomplete", file=chunk.name)
            self._lost_ms[chunk.name] += chunk.until_ms - chunk.from_ms
            return None
        self._numbers[chunk.name] += 1
        return _Piece(f"/recordings/{chunk.name}/{number}?until_ms={chunk.until_ms}", slip)
