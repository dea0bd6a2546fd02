"""Entries of the segment stream as bots write them, made beforehand, and how soon they are safe."""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from bench.waiting import until
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.segments import SegmentEntry, SpokenSegment, sign

_CHUNK = 500
_LOOK_S = 0.002
_PATIENCE_S = 120.0
_WORDS = ("we", "should", "look", "at", "the", "numbers", "before", "our", "customers", "decide", "what", "to", "do")

Fields = dict[str, str]


class Bots:
    """Bots that hear something new all the time.

    Args:
        bots: Who they are.
        credentials: Of the installation.
        per_entry: Segments of an entry.
    """

    def __init__(self, bots: Sequence[BotIdentity], credentials: BotCredentials, *, per_entry: int) -> None:
        self._bots = itertools.cycle([(bot, credentials.token(bot), uuid.uuid4().hex) for bot in bots])
        self._numbers = itertools.count()
        self._per_entry = per_entry
        self._chance = random.Random(1)  # noqa: S311 - texts, not secrets

    def entries(self, segments: int) -> list[Fields]:
        """Return entries with so many segments, none of which was there before; one bot after the other."""
        return [self._entry() for _ in range(segments // self._per_entry)]

    def _entry(self) -> Fields:
        bot, token, session_uid = next(self._bots)
        entry = SegmentEntry(
            meeting_id=bot.meeting_id,
            session_uid=session_uid,
            session_start=datetime.now(UTC),
            segments=list(self._segments(session_uid)),
        )
        return sign(entry, bot.connection_id, token)

    def _segments(self, session_uid: str) -> Iterator[SpokenSegment]:
        for number in itertools.islice(self._numbers, self._per_entry):
            yield SpokenSegment(
                segment_id=f"{session_uid}:{number}",
                revision=3,
                start_s=number * 0.01,
                end_s=number * 0.01 + 3.0,
                text=" ".join(self._chance.choices(_WORDS, k=12)),
                speaker="Ann",
                language="en",
                completed=True,
            )


async def write(redis: Redis, stream: str, entries: Sequence[Fields]) -> list[str]:
    """Append entries, many at a time, and return their ids."""
    ids: list[str] = []
    for first in range(0, len(entries), _CHUNK):
        async with redis.pipeline(transaction=False) as pipe:
            for fields in entries[first : first + _CHUNK]:
                pipe.xadd(stream, cast("dict[FieldT, EncodableT]", fields))
            ids += [one.decode() for one in await pipe.execute()]
    return ids


async def emptied(redis: Redis, stream: str) -> None:
    """Return when all entries are acknowledged, which they are after they are committed.

    Raises:
        TimeoutError: They are not within two minutes.
    """

    async def is_empty() -> bool:
        return not await redis.xlen(stream)

    if not await until(is_empty, _PATIENCE_S, look_s=_LOOK_S):
        raise TimeoutError(f"{stream} still has entries after {_PATIENCE_S:g} s")


@dataclass(slots=True)
class Steady:
    """Entries that come at a steady rate, and how long each took to be safe.

    Attributes:
        rate: Entries a second.
        delays_s: Of each entry, from being in the stream to being acknowledged, at most.
        late_s: The most that an entry was written late: then the rate was not kept.
    """

    redis: Redis
    stream: str
    rate: float
    delays_s: list[float]
    late_s: float = 0.0

    async def run(self, entries: Sequence[Fields]) -> None:
        """Write them, and watch them go.

        Raises:
            TimeoutError: Some are still there two minutes after the last.
        """
        written: asyncio.Queue[str | None] = asyncio.Queue()
        async with asyncio.timeout(len(entries) / self.rate + _PATIENCE_S), asyncio.TaskGroup() as group:
            group.create_task(self._write(entries, written))
            group.create_task(self._watch(written))

    async def _write(self, entries: Sequence[Fields], written: "asyncio.Queue[str | None]") -> None:
        began, done = time.monotonic(), 0
        while done < len(entries):
            due = min(len(entries), int((time.monotonic() - began) * self.rate))
            if due > done:
                self.late_s = max(self.late_s, time.monotonic() - began - done / self.rate)
                for entry_id in await write(self.redis, self.stream, entries[done:due]):
                    written.put_nowait(entry_id)
                done = due
            await asyncio.sleep(_LOOK_S)
        written.put_nowait(None)

    async def _watch(self, written: "asyncio.Queue[str | None]") -> None:
        waiting = await written.get()
        while waiting is not None:
            now_s, horizon = await self._look()
            while waiting is not None and _key(waiting) < horizon:
                self.delays_s.append(now_s - _key(waiting)[0] / 1000)
                waiting = await written.get()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> tuple[float, tuple[int, int]]:
        """Return the time, by Redis, and the key before which everything is safe: entries go in their order."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.xrange(self.stream, count=1)
            (seconds, microseconds), oldest = await pipe.execute()
        now_s = seconds + microseconds / 1e6
        return now_s, _key(oldest[0][0].decode()) if oldest else (int(now_s * 1000), 0)


def _key(entry_id: str) -> tuple[int, int]:
    milliseconds, number = entry_id.split("-")
    return int(milliseconds), int(number)
