"""Commands: heard over Redis Pub/Sub, re-read from the manager where one may have been missed, executed once each."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from usher.bot.callbacks import Callbacks
from usher.bot.cancellation import is_cancelled
from usher.bot.ledger import Ledger
from usher.protocol.commands import Command, CommandOutcome, Leave, command_channel, parse_command

log = structlog.get_logger(__name__)

_POLL_S = 15.0
_RETRY_S = 1.0
_LONGEST_RETRY_S = 10.0
_MOST_COMMANDS = 100

Execute = Callable[[Command], Awaitable[CommandOutcome]]


class Control:
    """Executes commands in the order of their numbers, each once, and acknowledges it. See `Ledger`.

    Args:
        redis: A client with the bot's own account.
        callbacks: Where missed commands are read from and outcomes are told.
        connection_id: Names the channel.
        execute: Carries out one command.
        retry_s: Seconds until Redis or the manager is tried again; the manager later and later.
        poll_s: Seconds of silence until the connection to Redis has to prove that it is there.

    Attributes:
        leave_heard: Set when a leave is among the commands: what is being carried out before it had better end.
    """

    def __init__(
        self,
        redis: Redis,
        callbacks: Callbacks,
        connection_id: str,
        execute: Execute,
        *,
        retry_s: float = _RETRY_S,
        poll_s: float = _POLL_S,
    ) -> None:
        self._retry_s = retry_s
        self._poll_s = poll_s
        self._redis = redis
        self._callbacks = callbacks
        self._channel = command_channel(connection_id)
        self._execute = execute
        self._ledger = Ledger()
        self.leave_heard = asyncio.Event()
        self._commands: asyncio.Queue[Command] = asyncio.Queue(_MOST_COMMANDS)

    async def run(self) -> None:
        """Listen, re-read and execute until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._read_when_behind())
            group.create_task(self._work())

    async def _listen(self) -> None:
        while not is_cancelled():
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    await self._hear_all(pubsub)
            except (RedisError, OSError) as error:
                log.warning("commands_unreachable", error=type(error).__name__)
                await asyncio.sleep(self._retry_s)

    async def _hear_all(self, pubsub: PubSub) -> None:
        """Hear messages until cancelled.

        Raises:
            OSError: Nothing comes any more, not even the answer to a ping: the connection is there by name only.
        """
        pinged = False
        while not is_cancelled():
            message = await pubsub.get_message(timeout=self._poll_s)
            if message is not None:
                pinged = False
                self._hear(message)
            elif pinged:
                raise ConnectionError("the connection is silent")
            else:
                await pubsub.ping()
                pinged = True

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "subscribe":
            # The client subscribes again by itself after a reconnect: what was published in between has to be read.
            self._callbacks.behind.set()
        elif message["type"] == "message":
            self._take(message["data"])

    def _take(self, data: bytes) -> None:
        try:
            self._queue(parse_command(data))
        except ValidationError:
            log.warning("command_not_understood")

    def _queue(self, command: Command) -> None:
        """Queue a command; one that finds no room is read again after a heartbeat."""
        if isinstance(command, Leave):
            self.leave_heard.set()
        if self._commands.full():
            log.warning("commands_overflow", seq=command.seq)
        else:
            self._commands.put_nowait(command)

    async def _read_when_behind(self) -> None:
        """Read what may have been missed, until answered: after each (re)connect, and when a heartbeat says so."""
        failures = 0
        while True:
            await self._callbacks.behind.wait()
            self._callbacks.behind.clear()
            pending = await self._read_pending()
            if pending is None:
                self._callbacks.behind.set()
                await asyncio.sleep(min(self._retry_s * 2.0 ** min(failures, 30), _LONGEST_RETRY_S))
                failures += 1
                continue
            failures = 0
            for command in pending:
                self._queue(command)

    async def _work(self) -> None:
        while True:
            command = await self._commands.get()
            if self._ledger.is_over(command):
                continue
            if command.seq > max(self._ledger.highest_seq, self._ledger.settled_seq) + 1:
                command = await self._with_missed(command)
            outcome = await self._execute(command)
            self._ledger.note(command)
            self._callbacks.executed_seq = self._ledger.settled_seq
            log.info("command_executed", action=command.action, seq=command.seq, outcome=outcome.outcome)
            await self._callbacks.acknowledge(command.seq, outcome)

    async def _with_missed(self, command: Command) -> Command:
        """Return the oldest command that is pending before `command`, and queue the others: none overtakes another.

        Where the manager does not tell, `command` goes first: a leave cannot wait. What it does not make void comes
        late.
        """
        pending = [c for c in await self._read_pending() or () if c.seq < command.seq]
        if not pending:
            return command
        for later in (*pending[1:], command):
            self._queue(later)
        return pending[0]

    async def _read_pending(self) -> list[Command] | None:
        """Ask the manager what is to be done; None if it does not tell."""
        highest_seq = self._ledger.highest_seq
        pending = await self._callbacks.pending_commands()
        if pending is None:
            return None
        missing = self._ledger.compare(pending, highest_seq)
        self._callbacks.executed_seq = self._ledger.settled_seq
        return missing
