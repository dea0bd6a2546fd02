"""Heartbeats over a real manager: their pace, and what they learn about segments that were sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, configuration
from tests.support.eventually import eventually

from usher.bot.callbacks import Callbacks
from usher.bot.heart import Heart
from usher.bot.line import Line
from usher.bot.publisher import Publisher
from usher.domain.meeting import Platform
from usher.protocol.segments import BODY, SegmentEntry, SpokenSegment

_PATIENCE_S = 30.0
_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class _Stream:
    """A Redis that forgets what it was given, but not that it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.away = False

    async def xadd(self, _name: str, fields: dict[str, str]) -> bytes:
        if self.away:
            raise RedisConnectionError
        self.given += [segment.segment_id for segment in SegmentEntry.model_validate_json(fields[BODY]).segments]
        return b"0-1"


class _Beating:
    """A heart and what belongs to it."""

    def __init__(self, manager: Manager, *, first_retry_s: float = 0.01, **patience: float) -> None:
        told = configuration(
            manager_url=manager.url,
            redis_url="redis://127.0.0.1:1",
            transcription_url="ws://127.0.0.1:1",
            meeting_url="http://127.0.0.1:1/room/standup",
            chromium=None,
            platform=Platform.ROOM,
            **{"heartbeat_s": 0.02, **patience},
        )
        self.line = Line(told)
        self.stream = _Stream()
        self.publisher = Publisher(cast("Redis", self.stream), 7, "connection", TOKEN, retry_s=0.02)
        self.heart = Heart(self.line, Callbacks(self.line), self.publisher, told.patience, first_retry_s=first_retry_s)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "_Beating":
        publishing = asyncio.create_task(self.publisher.run())
        self._stack.push_async_callback(self.line.close)
        self._stack.push_async_callback(asyncio.wait, {publishing})
        self._stack.callback(publishing.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def beats(self) -> AsyncIterator["asyncio.Task[None]"]:
        beating = asyncio.create_task(self.heart.run())
        try:
            yield beating
        finally:
            beating.cancel()
            await asyncio.wait({beating})

    async def say(self, *names: str, completed: bool = True) -> None:
        """Send segments."""
        segments = [
            SpokenSegment(segment_id=name, revision=1, start_s=0.0, end_s=1.0, text="text", completed=completed)
            for name in names
        ]
        for one in segments:
            self.publisher.publish(SegmentEntry(meeting_id=7, session_uid="s", session_start=_START, segments=[one]))
        await self.publisher.flush(_PATIENCE_S)

    async def confirmed_in_s(self, timeout_s: float) -> float:
        """Confirm at the end of a visit; return how long it took."""
        began_s = _now()
        await self.heart.confirm(timeout_s)
        return _now() - began_s


def _now() -> float:
    return asyncio.get_running_loop().time()


def _asked(manager: Manager) -> list[list[str]]:
    """Which segments each heartbeat asked about."""
    return [[mark["segment_id"] for mark in beat["sent"]] for beat in manager.heartbeats]


@pytest_asyncio.fixture
async def manager() -> AsyncIterator[Manager]:
    async with manager_server() as served:
        yield served


async def test_the_first_beat_comes_at_once_and_the_next_in_its_time(manager: Manager) -> None:
    async with _Beating(manager, heartbeat_s=1.0) as beating, beating.beats():
        began_s = _now()
        await eventually(lambda: len(manager.heartbeats) == 1, timeout_s=_PATIENCE_S)
        await eventually(lambda: len(manager.heartbeats) == 2, timeout_s=_PATIENCE_S)
        assert _now() - began_s >= 0.9


async def test_a_lost_beat_is_made_up_for_long_before_the_next_is_due(manager: Manager) -> None:
    manager.missed_beats = 3
    async with _Beating(manager, heartbeat_s=10 * _PATIENCE_S) as beating, beating.beats():
        await eventually(lambda: len(manager.heartbeats) == 4, timeout_s=_PATIENCE_S)


async def test_beats_that_fail_come_later_and_later(manager: Manager) -> None:
    manager.missed_beats = 1000
    async with _Beating(manager, first_retry_s=0.1, heartbeat_s=10 * _PATIENCE_S) as beating, beating.beats():
        began_s = _now()
        await eventually(lambda: len(manager.heartbeats) >= 5, timeout_s=_PATIENCE_S)
        # Chance shortens each of 0.1, 0.2, 0.4 and 0.8 s by a fifth at most.
        assert _now() - began_s >= 1.2


async def test_beats_that_fail_never_come_later_than_the_pace(manager: Manager) -> None:
    manager.missed_beats = 1000
    async with _Beating(manager, first_retry_s=10 * _PATIENCE_S, heartbeat_s=0.05) as beating, beating.beats():
        await eventually(lambda: len(manager.heartbeats) >= 5, timeout_s=_PATIENCE_S)


async def test_a_manager_that_is_away_for_too_long_ends_the_beats() -> None:
    async with manager_server() as gone:
        pass
    async with _Beating(gone, manager_away_s=0.1) as beating, asyncio.timeout(_PATIENCE_S):
        await beating.heart.run()


async def test_gone_ends_the_beats_at_once(manager: Manager) -> None:
    manager.over = True
    async with _Beating(manager, heartbeat_s=10 * _PATIENCE_S) as beating, asyncio.timeout(_PATIENCE_S):
        await beating.heart.run()
    assert len(manager.heartbeats) == 1


async def test_answers_that_say_nothing_do_no_harm(manager: Manager) -> None:
    manager.nonsense = True
    async with _Beating(manager) as beating:
        await beating.say("s:1")
        async with beating.beats() as beats:
            await eventually(lambda: len(manager.heartbeats) >= 3, timeout_s=_PATIENCE_S)
            assert not beats.done()


async def test_what_was_just_sent_is_not_asked_about(manager: Manager) -> None:
    async with _Beating(manager) as beating, beating.beats():
        await beating.say("s:1")
        sent_s = _now()
        await eventually(lambda: any(_asked(manager)), timeout_s=_PATIENCE_S)
        assert _now() - sent_s >= 1.9
        await eventually(lambda: beating.publisher.delivered, timeout_s=_PATIENCE_S)
        assert len([asked for asked in _asked(manager) if asked]) == 1


async def test_what_redis_lost_is_sent_again(manager: Manager) -> None:
    async with _Beating(manager, heartbeat_s=0.2) as beating, beating.beats():
        manager.stores = lambda mark: beating.stream.given.count(mark["segment_id"]) > 1
        await beating.say("s:1", "s:2")
        await eventually(lambda: beating.publisher.delivered, timeout_s=_PATIENCE_S)
        assert sorted(beating.stream.given) == ["s:1", "s:1", "s:2", "s:2"]
        assert beating.publisher.unconfirmed.lost == 0


async def test_the_end_asks_at_once_and_goes_on_as_soon_as_all_is_safe(manager: Manager) -> None:
    async with _Beating(manager) as beating:
        await beating.say(*(f"s:{number}" for number in range(450)))
        assert await beating.confirmed_in_s(_PATIENCE_S) < _PATIENCE_S / 2
        assert [len(asked) for asked in _asked(manager)] == [200, 200, 50]
        assert beating.publisher.delivered


async def test_the_end_has_thousands_confirmed_without_a_pause(manager: Manager) -> None:
    async with _Beating(manager) as beating:
        await beating.say(*(f"s:{number}" for number in range(5000)))
        await beating.heart.confirm(15.0)
        assert beating.publisher.delivered
    assert len(manager.heartbeats) == 25


async def test_the_end_waits_for_a_manager_that_is_only_slow(manager: Manager) -> None:
    manager.stores = lambda _: len(manager.heartbeats) > 4
    async with _Beating(manager) as beating:
        await beating.say("s:1")
        await beating.heart.confirm(_PATIENCE_S)
        assert beating.publisher.delivered
        assert len(manager.heartbeats) == 5
        assert beating.stream.given == ["s:1"]


async def test_the_end_sends_again_what_redis_lost(manager: Manager) -> None:
    async with _Beating(manager) as beating:
        manager.stores = lambda mark: beating.stream.given.count(mark["segment_id"]) > 1
        await beating.say("s:1")
        await beating.heart.confirm(_PATIENCE_S)
        assert beating.publisher.delivered
        assert beating.stream.given == ["s:1", "s:1"]


async def test_nothing_unconfirmed_is_nothing_to_wait_for(manager: Manager) -> None:
    async with _Beating(manager) as beating:
        await beating.say("s:1", completed=False)
        await beating.heart.confirm(_PATIENCE_S)
    assert manager.heartbeats == []


async def test_a_manager_that_cannot_confirm_holds_the_end_up_for_a_short_time(manager: Manager) -> None:
    manager.stores = None
    async with _Beating(manager) as beating:
        await beating.say("s:1")
        assert 2.5 <= await beating.confirmed_in_s(2 * _PATIENCE_S) < _PATIENCE_S
        assert beating.stream.given == ["s:1"]
        assert [item.segment.segment_id for item in beating.publisher.undelivered()] == ["s:1"]


@pytest.mark.parametrize("trouble", ["manager", "store"])
async def test_the_end_is_bounded(manager: Manager, trouble: str) -> None:
    manager.missed_beats = 1000 if trouble == "manager" else 0
    manager.stores = lambda _: False
    async with _Beating(manager) as beating:
        await beating.say("s:1")
        async with asyncio.timeout(_PATIENCE_S):
            await beating.heart.confirm(0.5)
        assert not beating.publisher.delivered


async def test_gone_ends_the_wait_for_confirmation(manager: Manager) -> None:
    manager.over = True
    async with _Beating(manager) as beating:
        await beating.say("s:1")
        async with asyncio.timeout(_PATIENCE_S):
            await beating.heart.confirm(10 * _PATIENCE_S)
        assert not beating.publisher.delivered
