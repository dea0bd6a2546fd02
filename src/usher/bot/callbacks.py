"""What the bot says to the manager: reports that are repeated until answered, heartbeats, outcomes of commands."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from usher.bot.exhibits import Exhibits
from usher.bot.line import Line
from usher.domain.lifecycle import Reason
from usher.protocol.commands import Command, CommandOutcome, PendingCommands
from usher.protocol.evidence import Evidence
from usher.protocol.reports import Heartbeat, HeartbeatAnswer, SegmentMark

log = structlog.get_logger(__name__)

_MOST_WAITING = 100
_MOST_DETAIL = 4000
_COMMANDS = "/commands/"

_Answer = TypeVar("_Answer", bound=BaseModel)


class Callbacks:
    """A client of the manager's callbacks for one attempt.

    Args:
        line: Carries what is said.

    Attributes:
        over: Set when the manager says that the attempt is over: leave and exit.
        behind: Set when a heartbeat's answer shows a command that was not executed yet.
        executed_seq: Every command up to this number was executed, or is not wanted any more.
        exhibits: Evidence on its way to the manager.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self.exhibits = Exhibits(line)
        self._unsaid: deque[tuple[str, dict[str, Any]]] = deque()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Semaphore(_MOST_WAITING)
        self._seq = 0
        self._last_word: dict[str, Any] = {}
        self.over = line.over
        self.behind = asyncio.Event()
        self.executed_seq = 0

    def report(self, kind: str, **body: object) -> None:
        """Queue a report (`status`, `started`, `exited`); reports are sent in order. A visit makes five at most."""
        self._seq += 1
        self._say(f"/{kind}", {"seq": self._seq, **body})

    def show(self, evidence: Evidence) -> None:
        """Send what the bot saw when a step did not work, in the background; a manager that is away does not get it."""
        self.exhibits.show(evidence)

    def prepare_exit(self, exit_code: int, reason: Reason, detail: str) -> None:
        """Settle what the last word is going to be. It counts as unanswered from now on."""
        self._last_word = {"exit_code": exit_code, "reason": reason.value, "detail": detail[:_MOST_DETAIL]}

    def add_to_exit(self, remark: str) -> None:
        """Add to what the prepared last word says for people."""
        if self._last_word:
            said = "; ".join(filter(None, (self._last_word["detail"], remark)))
            self._last_word["detail"] = said[:_MOST_DETAIL]

    def report_exit(self) -> None:
        """Queue the last word that was prepared."""
        last_word, self._last_word = self._last_word, {}
        self.report("exited", **last_word)

    def unanswered(self) -> list[dict[str, Any]]:
        """Return the reports that nobody has answered, in order, each with its `kind`; none if the attempt is over."""
        if self.over.is_set():
            return []
        queued = [{"kind": path[1:], **body} for path, body in self._unsaid if not path.startswith(_COMMANDS)]
        prepared = [{"kind": "exited", "seq": self._seq + 1, **self._last_word}] if self._last_word else []
        return queued + prepared

    async def send_reports(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unsaid:
                path, body = self._unsaid[0]
                answer = await self._line.ask_until_answered("POST", path, body)
                if answer is not None and not answer.is_success:
                    log.warning("report_refused", path=path, status=answer.status_code)
                self._unsaid.popleft()
                if path.startswith(_COMMANDS):
                    self._room.release()
            self._idle.set()

    async def all_reported(self, timeout_s: float) -> None:
        """Wait until every report is answered or the attempt is over, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("reports_unanswered", waiting=len(self._unsaid))

    async def heartbeat(self, sent: Sequence[SegmentMark], *, timeout_s: float) -> HeartbeatAnswer | None:
        """Send one heartbeat that asks about segments; None if there was no answer that this version understands."""
        beat = Heartbeat(executed_seq=self.executed_seq, sent=list(sent))
        answer = await self._line.ask("POST", "/heartbeat", beat.model_dump(), timeout_s=timeout_s)
        said = _read(HeartbeatAnswer, answer)
        if said is not None and said.newest_seq > self.executed_seq:
            self.behind.set()
        return said

    async def pending_commands(self) -> list[Command] | None:
        """Return the commands above the executed ones; None if the manager does not answer."""
        pending = _read(PendingCommands, await self._line.ask("GET", f"/commands?after={self.executed_seq}"))
        return None if pending is None else pending.commands

    async def acknowledge(self, seq: int, outcome: CommandOutcome) -> None:
        """Queue what became of a command, behind the reports; wait while too many wait already."""
        await self._room.acquire()
        self._say(f"{_COMMANDS}{seq}", outcome.model_dump())

    def _say(self, path: str, body: dict[str, Any]) -> None:
        self._unsaid.append((path, body))
        self._idle.clear()
        self._news.set()


def _read(model: type[_Answer], answer: httpx.Response | None) -> _Answer | None:
    """Return what an answer says; None if there is none, or not one that this version understands."""
    if answer is None or not answer.is_success:
        return None
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        log.warning("answer_not_understood", answer=model.__name__)
        return None
