"""How the bot speaks to the manager: reports that are repeated until answered, heartbeats, commands."""

import asyncio
from typing import Any, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import Command, CommandOutcome, PendingCommands
from usher.protocol.reports import HeartbeatAnswer

log = structlog.get_logger(__name__)

_TIMEOUT_S = 5.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_OVER = frozenset({401, 403, 404, 410})
_MOST_WAITING = 100
_COMMANDS = "/commands/"

_Answer = TypeVar("_Answer", bound=BaseModel)


class Callbacks:
    """A client of the manager's callbacks for one attempt.

    Args:
        configuration: Where the manager is and what proves this attempt.
        retry_s: Seconds between tries, by their number.
        transport: Carries requests in the place of the network. The caller closes it.

    Attributes:
        over: Set when the manager says that the attempt is over: leave and exit.
        behind: Set when a heartbeat's answer shows a command that was not executed yet.
    """

    def __init__(
        self,
        configuration: BotConfiguration,
        *,
        retry_s: tuple[float, ...] = _RETRY_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retry_s = retry_s
        self._http = httpx.AsyncClient(
            base_url=f"{configuration.manager_url}/internal/bots/{configuration.connection_id}",
            headers={"Authorization": f"Bearer {configuration.token.get_secret_value()}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
            transport=transport,
        )
        self._closes = transport is None
        self._heartbeat_s = configuration.patience.heartbeat_s
        self._away_s = configuration.patience.manager_away_s
        self._reports: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MOST_WAITING)
        self._seq = 0
        self._answered_at = _now()
        self.over = asyncio.Event()
        self.behind = asyncio.Event()
        self.executed_seq = 0

    async def close(self) -> None:
        """Close the connections."""
        if self._closes:
            await self._http.aclose()

    def report(self, kind: str, **body: object) -> None:
        """Queue a report (`status`, `started`, `exited`); reports are sent in order. A visit makes five at most."""
        self._seq += 1
        self._reports.put_nowait((f"/{kind}", {"seq": self._seq, **body}))

    def report_exit(self, exit_code: int, reason: Reason, detail: str) -> None:
        """Queue the last word."""
        self.report("exited", exit_code=exit_code, reason=reason.value, detail=detail[:4000])

    async def send_reports(self) -> None:
        """Send queued reports until cancelled."""
        while True:
            path, body = await self._reports.get()
            await self._until_answered("POST", path, body)
            if path.startswith(_COMMANDS):
                self._room.release()
            self._reports.task_done()

    async def all_reported(self, timeout_s: float) -> None:
        """Wait until every report is answered, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._reports.join()
        except TimeoutError:
            log.warning("reports_unanswered", waiting=self._reports.qsize())

    async def beat(self) -> None:
        """Send heartbeats until cancelled; return if the manager was away for too long."""
        while _now() - self._answered_at < self._away_s:
            answer = await self._try("POST", "/heartbeat", {"executed_seq": self.executed_seq})
            said = _read(HeartbeatAnswer, answer)
            if said is not None and said.newest_seq > self.executed_seq:
                self.behind.set()
            await asyncio.sleep(self._heartbeat_s)
        log.error("manager_away", seconds=self._away_s)

    async def pending_commands(self) -> list[Command]:
        """Return the commands above the executed ones; empty if the manager does not answer (it is asked again)."""
        pending = _read(PendingCommands, await self._try("GET", f"/commands?after={self.executed_seq}"))
        return [] if pending is None else pending.commands

    async def acknowledge(self, seq: int, outcome: CommandOutcome) -> None:
        """Queue what became of a command, behind the reports; wait while too many wait already."""
        await self._room.acquire()
        self._reports.put_nowait((f"{_COMMANDS}{seq}", outcome.model_dump()))

    async def _until_answered(self, method: str, path: str, body: dict[str, Any]) -> None:
        tries = 0
        while True:
            answer = await self._try(method, path, body)
            if answer is not None and answer.status_code < 500 and answer.status_code != 429:
                if not answer.is_success:
                    log.warning("report_refused", path=path, status=answer.status_code)
                return
            await asyncio.sleep(self._retry_s[min(tries, len(self._retry_s) - 1)])
            tries += 1

    async def _try(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response | None:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            log.warning("manager_unreachable", path=path.partition("?")[0], error=type(error).__name__)
            return None
        self._answered_at = _now()
        if answer.status_code in _OVER and not path.startswith(_COMMANDS):
            self.over.set()
        return answer


def _now() -> float:
    return asyncio.get_running_loop().time()


def _read(model: type[_Answer], answer: httpx.Response | None) -> _Answer | None:
    """Return what an answer says; None if there is none, or not one that this version understands."""
    if answer is None or not answer.is_success:
        return None
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        log.warning("answer_not_understood", answer=model.__name__)
        return None
