"""Heartbeats, gathered: many bots' leases are renewed with one statement a tick."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from usher.app.loops import run_every
from usher.domain.policy import Policy
from usher.ports import Beat, Leases, Mark, Transcripts

_ATTEND_S = 1.0
_ANSWERS_A_TURN = 8
"""How many are answered before others get their turn: about 1 ms of work."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Answer to one heartbeat.

    Attributes:
        beat: Of the lease; None if nobody knows the connection.
        stored: Which of the segments that were asked about are committed.
    """

    beat: Beat | None
    stored: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class _Waiting:
    connection_id: str
    marks: Sequence[Mark]
    answer: "asyncio.Future[Pulse]"


class LeaseStore(Leases, Transcripts, Protocol):
    """The part of the store that heartbeats touch."""


class LeaseBook:
    """Gathers heartbeats and answers them together.

    Args:
        store: The store.
        policy: Length of a lease.
        tick_s: How long heartbeats are gathered.
    """

    def __init__(self, store: LeaseStore, policy: Policy, *, tick_s: float = 0.25) -> None:
        self._store = store
        self._policy = policy
        self._tick_s = tick_s
        self._waiting: list[_Waiting] = []
        self._flush: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Say that heartbeats are being taken here, until cancelled: only then may silence be a verdict."""
        await run_every(_ATTEND_S, "attend", self.attend)

    async def attend(self) -> None:
        """Say once that heartbeats are being taken here.

        Raises:
            Unavailable: The store does not answer.
        """
        await self._store.attend(silence_s=self._policy.silence_s)

    async def beat(self, connection_id: str, marks: Sequence[Mark] = ()) -> Pulse:
        """Renew one lease with the next tick's statement, and look for segments with another.

        Raises:
            Unavailable: The store does not answer.
        """
        waiting = _Waiting(connection_id, marks, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_soon())
        return await waiting.answer

    async def _flush_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._tick_s)
            batch, self._waiting = self._waiting, []
            error = (await asyncio.gather(self._answer(batch), return_exceptions=True))[0]
            for one in batch:
                if error is not None and not one.answer.done():
                    one.answer.set_exception(error)

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        connections = list(dict.fromkeys(one.connection_id for one in batch))
        beats = await self._store.beat(connections, lease_s=self._policy.lease_s)
        marks = [mark for one in batch for mark in one.marks]
        stored = await self._store.stored(marks) if marks else frozenset()
        for number, one in enumerate(batch, 1):
            if not one.answer.done():
                said = [mark for mark in one.marks if mark in stored]
                one.answer.set_result(Pulse(beats.get(one.connection_id), said))
            if number % _ANSWERS_A_TURN == 0:
                await asyncio.sleep(0)
