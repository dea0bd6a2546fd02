"""How commands reach bots: straight after the commit that wrote them, and again if that was not heard of.

Both ways go over Redis, which may lose. What was lost is read again by the bot: see `usher.bot.control`.
"""

import asyncio
from collections import deque
from typing import Protocol

import structlog

from usher import ports
from usher.app.dispatcher import Done, Result
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import TERMINAL
from usher.ports import ClaimedEffect, CommandChannel, Commands, Meetings, StoredCommand
from usher.protocol.commands import Command, Leave, Reconfigure, Rename, Say

log = structlog.get_logger(__name__)

_MOST_WAITING = 1000


class CommandSender:
    """Publishes commands in the background, in order: whoever wrote one does not wait for Redis.

    Bounded: what finds no room is left to the outbox.
    """

    def __init__(self, channel: CommandChannel) -> None:
        self._channel = channel
        self._waiting: deque[StoredCommand] = deque()
        self._sending: asyncio.Task[None] | None = None

    def send(self, command: StoredCommand) -> None:
        """Publish a command soon. Losing it is no error: the effect that was written with it publishes it again."""
        if len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting.append(command)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name="commands")

    async def _send_all(self) -> None:
        while self._waiting:
            command = self._waiting.popleft()
            try:
                await _publish(self._channel, command)
            except Unavailable as error:
                log.warning("command_not_published", seq=command.seq, why=error.detail)


class CommandEffect:
    """The command lane: publish what the store holds and its bot has not acknowledged in the meantime."""

    def __init__(self, store: "CommandStore", channel: CommandChannel) -> None:
        self._store = store
        self._channel = channel

    async def send_command(self, effect: ClaimedEffect) -> Result:
        """Publish every command that the bot has not acknowledged, oldest first."""
        meeting = await self._store.find(effect.meeting_id)
        if meeting is None or meeting.attempt != effect.attempt or meeting.status in TERMINAL:
            return Done()
        for command in await self._store.pending(meeting.connection_id, after_seq=0):
            await _publish(self._channel, command)
        return Done()


class CommandStore(Meetings, Commands, Protocol):
    """The part of the store that the command lane touches."""


def wire_command(command: StoredCommand) -> Command:
    """Return a stored command as it goes over the wire."""
    match command.action:
        case ports.LEAVE:
            return Leave(seq=command.seq)
        case ports.CHAT:
            return Say(seq=command.seq, text=command.text or "")
        case ports.RENAME:
            return Rename(seq=command.seq, name=command.text or "")
    wanted = command.configuration
    return Reconfigure.model_validate({"seq": command.seq, "language": wanted.language, "task": wanted.task})


async def _publish(channel: CommandChannel, command: StoredCommand) -> None:
    reached = await channel.publish(command.connection_id, wire_command(command).model_dump_json())
    log.info("command_published", connection_id=command.connection_id, seq=command.seq, listeners=reached)
