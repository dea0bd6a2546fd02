"""The bot without its browser: its life with the manager, from the first heartbeat to the last word.

All time is the event loop's, and nothing here starts a thread or asks the operating system: a loop with a clock of its
own simulates thousands of bots.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from redis.asyncio import Redis

from usher.bot.background import unless
from usher.bot.callbacks import Callbacks
from usher.bot.chat import ChatRelay
from usher.bot.control import Control
from usher.bot.heart import Heart
from usher.bot.last_words import Keep, Legacy
from usher.bot.line import Line
from usher.bot.publisher import Publisher
from usher.bot.stay import Ending, Progress, Stay
from usher.domain.lifecycle import Reason
from usher.protocol.bot import BotConfiguration
from usher.protocol.commands import Command, CommandOutcome, Leave, Reconfigure, Rename, Say, Task
from usher.protocol.last_words import MOST_BYTES

log = structlog.get_logger(__name__)

_STOP_S = 1.0
_STOP_TRIES = 3
_STOPPED = Ending(0, Reason.STOPPED)

_IN_THE_PAGE_S = 20.0

Apply = Callable[[str | None, Task], Awaitable[CommandOutcome]]
InThePage = Callable[[str], Coroutine[Any, Any, CommandOutcome]]
"""Does something in the page of the meeting with a text: writes it, or takes it for a name. It may be cancelled."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the bot tries to deliver what is left when its stay is over, in seconds.

    Attributes:
        flush_s: Text to Redis.
        void_flush_s: Text to Redis when the attempt is over for the manager: it may have taken the account away.
        confirm_s: For the word that the text is safe.
        report_s: Reports to the manager.
        seen_s: Evidence and chat to the manager.
    """

    flush_s: float = 10.0
    void_flush_s: float = 2.0
    confirm_s: float = 10.0
    report_s: float = 30.0
    seen_s: float = 5.0


async def _apply(_language: str | None, _task: Task) -> CommandOutcome:
    return CommandOutcome(outcome="applied")


async def _not_here(_text: str) -> CommandOutcome:
    return CommandOutcome(outcome="refused", detail="not possible here")


async def _nothing_to_finish() -> None:
    pass


def _ignore(*_: object) -> None:
    pass


class Bot:
    """One attempt's bot: makes its stay, tells the manager, obeys commands, hands in what was heard.

    Args:
        configuration: Everything that the bot is told.
        redis: A client with the bot's own account. The caller closes it.
        stay: Makes the stay in the meeting.
        reconfigure: Changes language and task of what is heard from now on.
        say: Writes a message into the meeting's chat.
        rename: Goes under another name.
        finish: Takes the last text of what was heard; called once, when the stay is over. Bounded in time.
        keep: Puts the sealed last words where the launcher looks for them, in the place of what it was given before;
            None says that there are none any more.
        last_words_bytes: How much of them is kept there.
        ending: Called once, when the end begins: before the meeting is left.
        executed: Told of each command that was carried out.
        transport: Carries HTTP requests in the place of the network. The caller closes it.
        limits: How long the end may take.

    Attributes:
        callbacks: What is said to the manager.
        chat: Where what is written in the meeting goes.
        publisher: Where what was heard goes.
    """

    def __init__(
        self,
        configuration: BotConfiguration,
        *,
        redis: Redis,
        stay: Stay,
        reconfigure: Apply = _apply,
        say: InThePage = _not_here,
        rename: InThePage = _not_here,
        finish: Callable[[], Awaitable[None]] = _nothing_to_finish,
        keep: Keep = _ignore,
        last_words_bytes: int = MOST_BYTES,
        ending: Callable[[], None] = _ignore,
        executed: Callable[[Command, CommandOutcome], None] = _ignore,
        transport: httpx.AsyncBaseTransport | None = None,
        limits: Limits = Limits(),
    ) -> None:
        token = configuration.token.get_secret_value()
        self._line = Line(configuration, transport=transport)
        self.callbacks = Callbacks(self._line)
        self.publisher = Publisher(redis, configuration.meeting_id, configuration.connection_id, token)
        self._stay = stay
        self.chat = ChatRelay(self._line)
        self._reconfigure = reconfigure
        self._say = say
        self._rename = rename
        self._finish = finish
        self._ending = ending
        self._limits = limits
        self._executed = executed
        self._heart = Heart(self._line, self.callbacks, self.publisher, configuration.patience)
        self._legacy = Legacy(configuration, self.callbacks, self.publisher, keep, last_words_bytes)
        self._control = Control(redis, self.callbacks, configuration.connection_id, self._execute)
        self._leave = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []

    def leave(self) -> None:
        """Wish that the bot leaves the meeting, hands in what it heard, and ends. Idempotent."""
        self._leave.set()

    @property
    def is_told_to_leave(self) -> bool:
        """Whether somebody waits for it to end."""
        return self._leave.is_set() or self.callbacks.over.is_set()

    async def run(self) -> int:
        """Make the stay, hand in what is left, say goodbye, and return the exit code.

        Cancellation is death: whatever is under way stops, and nobody is told.
        """
        try:
            ending = await self._until_the_end()
            log.info("visit_ended", reason=ending.reason, exit_code=ending.exit_code, detail=ending.detail)
            await self._finish()
            await self._hand_in()
        finally:
            await self._stop()
        return ending.exit_code

    async def _until_the_end(self) -> Ending:
        """Stay until the stay ends by itself, or somebody or something ends it."""
        self._begin("reports", self.callbacks.send_reports())
        self._begin("publisher", self.publisher.run())
        self._begin("commands", self._control.run())
        self._begin("heartbeats", self._heart.run())
        self._begin("leave", self._leave.wait())
        self._begin("over", self.callbacks.over.wait())
        staying = self._begin("stay", self._make_stay())
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        ending = _outcome(staying) if staying.done() else self._interruption()
        self.callbacks.prepare_exit(ending.exit_code, ending.reason, ending.detail)
        self._begin("last words", self._legacy.run())
        self._ending()
        staying.cancel()
        await asyncio.wait({staying})
        return ending

    def _interruption(self) -> Ending:
        """Return why a stay has to end that goes on by itself."""
        if self.is_told_to_leave:
            return _STOPPED
        died = any(task.done() and not task.cancelled() and task.exception() for task in self._tasks)
        return Ending(1, Reason.CRASHED, "a part of the bot died" if died else "the manager was away")

    async def _hand_in(self) -> None:
        """Deliver what is left. What cannot be delivered stays behind as last words."""
        limits, over = self._limits, self.callbacks.over
        await asyncio.gather(
            self.publisher.flush(limits.void_flush_s if over.is_set() else limits.flush_s),
            self.callbacks.exhibits.all_shown(limits.seen_s),
            self.chat.all_sent(limits.seen_s),
        )
        await self._heart.confirm(limits.confirm_s)
        if not over.is_set():
            self.callbacks.report_exit()
            await self.callbacks.all_reported(limits.report_s)
        self._legacy.update()

    async def _make_stay(self) -> Ending:
        return await self._stay(
            Progress(
                joining=lambda: self.callbacks.report("status", status="joining"),
                waiting=lambda: self.callbacks.report("status", status="awaiting_admission"),
                admitted=lambda: self.callbacks.report("started"),
                help_wanted=lambda reason: self.callbacks.report("status", status="help_wanted", reason=reason.value),
            )
        )

    async def _execute(self, command: Command) -> CommandOutcome:
        match command:
            case Leave():
                self.leave()
                outcome = CommandOutcome(outcome="applied")
            case Say():
                outcome = await self._in_the_page(self._say(command.text))
            case Rename():
                outcome = await self._in_the_page(self._rename(command.name))
            case Reconfigure():
                outcome = await self._reconfigure(command.language, command.task)
        self._executed(command, outcome)
        return outcome

    async def _in_the_page(self, doing: Coroutine[Any, Any, CommandOutcome]) -> CommandOutcome:
        """Do something in the page, unless it takes too long: a leave does not wait for it."""
        outcome = await unless(self._control.leave_heard, doing, within_s=_IN_THE_PAGE_S)
        return outcome or CommandOutcome(
            outcome="refused", detail="the bot was told to leave, or the page took too long"
        )

    def _begin(self, name: str, part: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(part, name=name)
        task.add_done_callback(_note_death)
        self._tasks.append(task)
        return task

    async def _stop(self) -> None:
        pending = set(self._tasks)
        for _ in range(_STOP_TRIES):
            for task in pending:
                task.cancel()
            # Python 3.11 may lose a cancellation inside the Redis client.
            pending = (await asyncio.wait(pending, timeout=_STOP_S))[1] if pending else pending
        await self.callbacks.exhibits.stop()
        await self.chat.stop()
        await self._line.close()


def _outcome(staying: asyncio.Task[Ending]) -> Ending:
    """Return how a stay ended: whatever goes wrong in one, the manager is told, and the text is handed in."""
    if staying.cancelled():
        return Ending(1, Reason.CRASHED, "the stay was cancelled")
    if (error := staying.exception()) is not None:
        return Ending(1, Reason.CRASHED, f"{type(error).__name__} in the bot")
    return staying.result()


def _note_death(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("part_died", part=task.get_name(), error=type(error).__name__, exc_info=error)
