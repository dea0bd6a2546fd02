"""A whole bot with a scripted stay, over a real manager and a real Redis: how it lives and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import pytest_asyncio
from redis.asyncio import Redis
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import TOKEN, configuration
from tests.support.eventually import eventually

from usher.bot.bot import Bot, InThePage, Limits
from usher.bot.platforms.port import ChatLine
from usher.bot.stay import Ending, Progress
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Platform
from usher.protocol.commands import Command, CommandOutcome, Leave, Reconfigure, Rename, Say, command_channel
from usher.protocol.evidence import Evidence
from usher.protocol.last_words import LastWords, unseal
from usher.protocol.reports import Exited
from usher.protocol.segments import BODY, STREAM, SegmentEntry, SpokenSegment

_PATIENCE_S = 30.0
_START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_USUAL = Limits()
_SHORT = Limits(flush_s=0.3, confirm_s=0.3, report_s=0.3)
_EVICTED = Ending(0, Reason.EVICTED, "removed")

Script = Callable[["Scripted", Progress], Awaitable[Ending]]


@dataclass
class Scripted:
    """A bot that does what a script says."""

    script: Script
    manager: Manager
    redis: Redis
    redis_url: str
    limits: Limits = _USUAL
    patience: dict[str, Any] = field(default_factory=dict)
    in_the_page: InThePage | None = None
    executed: list[Command] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    kept: list[bytes | None] = field(default_factory=list)
    endings: list[bool] = field(default_factory=list)
    left: bool = False

    def __post_init__(self) -> None:
        told = configuration(
            manager_url=self.manager.url,
            redis_url=self.redis_url,
            transcription_url="ws://127.0.0.1:1",
            meeting_url="http://127.0.0.1:1/room/standup",
            chromium=None,
            platform=Platform.ROOM,
            **{"heartbeat_s": 0.05, **self.patience},
        )
        self.told = told
        in_the_page = self.in_the_page
        make = Bot if in_the_page is None else partial(Bot, say=in_the_page, rename=in_the_page)
        self.bot = make(
            told,
            redis=self.redis,
            stay=self._stay,
            keep=self.kept.append,
            executed=self._note,
            finish=self._finish,
            limits=self.limits,
            ending=lambda: self.endings.append(self.left),
        )

    def say(self, number: int, text: str, *, completed: bool = True) -> None:
        """Publish a segment."""
        uid = self.told.connection_id
        segment = SpokenSegment(
            segment_id=f"{uid}:{number}", revision=1, start_s=0.0, end_s=1.0, text=text, completed=completed
        )
        self.bot.publisher.publish(
            SegmentEntry(meeting_id=7, session_uid=uid, session_start=_START, segments=[segment])
        )

    async def stream(self) -> list[str]:
        """Texts in the segment stream."""
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]", await cast("Awaitable[Any]", self.redis.xrange(STREAM))
        )
        bodies = [SegmentEntry.model_validate_json(fields[BODY.encode()]) for _, fields in entries]
        return [segment.text for body in bodies for segment in body.segments]

    def last_words(self) -> LastWords:
        """What is left behind."""
        assert self.kept[-1] is not None
        words = unseal(self.kept[-1], TOKEN)
        assert words is not None
        assert words.connection_id == self.told.connection_id
        return words

    def texts(self, words: LastWords) -> list[str]:
        """Texts in what is left behind."""
        return [segment.text for entry in words.entries for segment in entry.segments]

    async def run(self) -> int:
        """Run to the end."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self.bot.run()

    async def _stay(self, progress: Progress) -> Ending:
        try:
            return await self.script(self, progress)
        except asyncio.CancelledError:
            self.left = True
            raise

    async def _finish(self) -> None:
        self.say(99, "the last words")

    def _note(self, command: Command, outcome: CommandOutcome) -> None:
        self.outcomes.append(outcome)
        self.executed.append(command)


@dataclass
class World:
    """What a bot talks to."""

    manager: Manager
    redis: Redis
    redis_url: str

    def bot(self, script: Script, limits: Limits = _USUAL, **patience: float) -> Scripted:
        """Make a bot."""
        return Scripted(script, self.manager, self.redis, self.redis_url, limits, patience)


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    async with manager_server() as manager, Redis.from_url(redis_url, socket_timeout=5.0) as redis:
        yield World(manager, redis, redis_url)


async def _way_in(_: Scripted, progress: Progress) -> None:
    progress.joining()
    progress.waiting()
    await asyncio.sleep(0)
    progress.admitted()


async def _stay_for_ever(scripted: Scripted, progress: Progress) -> Ending:
    await _way_in(scripted, progress)
    await asyncio.Event().wait()
    raise AssertionError


async def _be_removed(scripted: Scripted, progress: Progress) -> Ending:
    await _way_in(scripted, progress)
    scripted.say(1, "hello")
    return _EVICTED


async def test_it_goes_its_way_and_says_how_it_ended(world: World) -> None:
    scripted = world.bot(_be_removed)
    assert await scripted.run() == 0
    assert world.manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]
    assert [body["seq"] for _, body in world.manager.reports] == [1, 2, 3, 4]
    assert world.manager.last_word()["reason"] == "evicted"
    assert await scripted.stream() == ["hello", "the last words"]
    assert not scripted.left


async def test_it_leaves_when_it_is_told_to(world: World) -> None:
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    channel = command_channel(scripted.told.connection_id)
    world.manager.commands = [Reconfigure(seq=1, language="de").model_dump(), Leave(seq=2).model_dump()]
    await world.redis.publish(channel, Leave(seq=2).model_dump_json())
    assert await running == 0
    assert scripted.executed == [Reconfigure(seq=1, language="de"), Leave(seq=2)]
    assert {outcome.outcome for outcome in scripted.outcomes} == {"applied"}
    assert scripted.left
    assert world.manager.last_word()["reason"] == "stopped"
    assert [seq for seq, _ in world.manager.outcomes] == [1, 2]


async def test_it_leaves_when_it_is_asked_to(world: World) -> None:
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    scripted.bot.leave()
    scripted.bot.leave()
    assert await running == 0
    assert scripted.left
    assert world.manager.kinds().count("exited") == 1


async def test_a_stay_that_breaks_is_reported(world: World) -> None:
    async def break_down(_: Scripted, progress: Progress) -> Ending:
        progress.joining()
        raise ZeroDivisionError

    scripted = world.bot(break_down)
    assert await scripted.run() == 1
    last = world.manager.last_word()
    assert (last["reason"], last["detail"]) == ("crashed", "ZeroDivisionError in the bot")
    assert await scripted.stream() == ["the last words"]


async def test_gone_makes_it_leave_without_a_word(world: World) -> None:
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    world.manager.over = True
    assert await running == 0
    assert scripted.left
    assert "exited" not in world.manager.kinds()


async def test_what_is_delivered_leaves_no_last_words(world: World) -> None:
    scripted = world.bot(_be_removed)
    await scripted.run()
    assert scripted.kept[-1] is None
    assert {mark["segment_id"].rpartition(":")[2] for beat in world.manager.heartbeats for mark in beat["sent"]} == {
        "1",
        "99",
    }


async def test_from_the_beginning_of_the_end_a_kill_loses_nothing(world: World) -> None:
    leaving = asyncio.Event()

    async def linger(scripted: Scripted, progress: Progress) -> Ending:
        try:
            return await _stay_for_ever(scripted, progress)
        finally:
            leaving.set()
            await asyncio.Event().wait()

    world.manager.stores = lambda _: False
    scripted = world.bot(linger)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    scripted.say(1, "hello")
    scripted.say(2, "and", completed=False)
    await scripted.bot.publisher.flush(_PATIENCE_S)
    await scripted.bot.callbacks.all_reported(_PATIENCE_S)
    scripted.bot.leave()
    await asyncio.wait_for(leaving.wait(), _PATIENCE_S)
    running.cancel()
    await asyncio.wait({running})
    words = scripted.last_words()
    assert [(report.kind, report.seq) for report in words.reports] == [("exited", 4)]
    assert scripted.texts(words) == ["hello"]


async def test_what_the_manager_cannot_be_told_is_left_behind(world: World) -> None:
    world.manager.failures, world.manager.missed_beats = 1_000_000, 1_000_000
    scripted = world.bot(_be_removed, _SHORT)
    assert await scripted.run() == 0
    words = scripted.last_words()
    assert [report.kind for report in words.reports] == ["status", "status", "started", "exited"]
    assert [report.seq for report in words.reports] == [1, 2, 3, 4]
    assert isinstance(words.reports[-1], Exited)
    assert (words.reports[-1].exit_code, words.reports[-1].reason) == (0, Reason.EVICTED)
    assert scripted.texts(words) == ["hello", "the last words"]


async def test_text_that_redis_does_not_take_is_left_behind(world: World) -> None:
    scripted = world.bot(_be_removed, _SHORT)
    await world.redis.set("occupied", "x" * 100)
    await world.redis.config_set("maxmemory", "1")
    try:
        assert await scripted.run() == 0
    finally:
        await world.redis.config_set("maxmemory", "0")
    assert world.manager.kinds()[-1] == "exited"
    words = scripted.last_words()
    assert words.reports == []
    assert scripted.texts(words) == ["hello", "the last words"]


async def test_a_manager_that_is_away_for_too_long_ends_the_stay(world: World) -> None:
    async with manager_server() as gone:
        world.manager = gone
    scripted = world.bot(_stay_for_ever, _SHORT, manager_away_s=0.3)
    assert await scripted.run() == 1
    assert scripted.left
    assert isinstance(last := scripted.last_words().reports[-1], Exited)
    assert (last.reason, last.detail) == (Reason.CRASHED, "the manager was away")


async def test_the_manager_may_be_away_for_a_while(world: World) -> None:
    world.manager.failures, world.manager.missed_beats = 3, 3
    scripted = world.bot(_be_removed)
    assert await scripted.run() == 0
    assert world.manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]
    assert scripted.kept[-1] is None


async def test_the_end_is_announced_once_and_before_the_meeting_is_left(world: World) -> None:
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    scripted.bot.leave()
    assert await running == 0
    assert scripted.endings == [False]


async def test_gone_it_does_not_wait_long_for_a_redis_that_may_know_it_no_more(world: World) -> None:
    async def hear_that_it_is_over(scripted: Scripted, progress: Progress) -> Ending:
        scripted.manager.over = True
        scripted.say(1, "hello")
        return await _stay_for_ever(scripted, progress)

    limits = Limits(flush_s=10 * _PATIENCE_S, void_flush_s=0.1)
    scripted = world.bot(hear_that_it_is_over, limits)
    await world.redis.set("occupied", "x" * 100)
    await world.redis.config_set("maxmemory", "1")
    try:
        assert await scripted.run() == 0
    finally:
        await world.redis.config_set("maxmemory", "0")
    words = scripted.last_words()
    assert words.reports == []
    assert scripted.texts(words) == ["hello", "the last words"]


async def test_cancelled_it_dies_without_a_word(world: World) -> None:
    before = asyncio.all_tasks()
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert "exited" not in world.manager.kinds()
    await eventually(lambda: not asyncio.all_tasks() - before - {running}, timeout_s=_PATIENCE_S)


async def _told(world: World, scripted: Scripted, *commands: Command) -> None:
    await eventually(lambda: "started" in world.manager.kinds(), timeout_s=_PATIENCE_S)
    world.manager.commands = [command.model_dump() for command in commands]
    channel = command_channel(scripted.told.connection_id)
    for command in commands:
        await world.redis.publish(channel, command.model_dump_json())


async def test_it_writes_and_is_renamed_and_says_what_came_of_it(world: World) -> None:
    written: list[str] = []

    async def in_the_page(text: str) -> CommandOutcome:
        written.append(text)
        return CommandOutcome(outcome="refused", detail="closed") if text == "B" else CommandOutcome(outcome="applied")

    scripted = replace(world.bot(_stay_for_ever), in_the_page=in_the_page)
    running = asyncio.create_task(scripted.run())
    await _told(world, scripted, Say(seq=1, text="hello"), Rename(seq=2, name="B"), Leave(seq=3))
    assert await running == 0
    assert written == ["hello", "B"]
    assert [(seq, body["outcome"], body["detail"]) for seq, body in world.manager.outcomes] == [
        (1, "applied", ""),
        (2, "refused", "closed"),
        (3, "applied", ""),
    ]


async def test_where_nothing_can_be_written_it_says_so(world: World) -> None:
    scripted = world.bot(_stay_for_ever)
    running = asyncio.create_task(scripted.run())
    await _told(world, scripted, Say(seq=1, text="hello"), Leave(seq=2))
    assert await running == 0
    assert world.manager.outcomes[0] == (1, {"outcome": "refused", "detail": "not possible here"})


async def test_a_leave_does_not_wait_for_a_page_that_hangs(world: World) -> None:
    cancelled: list[str] = []

    async def hang(text: str) -> CommandOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(text)
        raise AssertionError

    scripted = replace(world.bot(_stay_for_ever), in_the_page=hang)
    running = asyncio.create_task(scripted.run())
    began_s = asyncio.get_running_loop().time()
    await _told(world, scripted, Say(seq=1, text="hello"), Leave(seq=2))
    assert await running == 0
    assert asyncio.get_running_loop().time() - began_s < 15.0
    assert cancelled == ["hello"]
    assert [(seq, body["outcome"]) for seq, body in world.manager.outcomes] == [(1, "refused"), (2, "applied")]
    assert world.manager.last_word()["reason"] == "stopped"


async def test_evidence_and_chat_arrive_before_the_end_is_told(world: World) -> None:
    async def see_and_fail(scripted: Scripted, progress: Progress) -> Ending:
        progress.joining()
        scripted.bot.chat.note([ChatLine("1", "Ann", "hello"), ChatLine("2", "Usher", "hi")], "Usher")
        scripted.bot.callbacks.show(Evidence(step="give_name", reason="join_failed"))
        return Ending(1, Reason.JOIN_FAILED, "give_name: no field")

    order: list[str] = []
    world.manager.heard = order.append
    scripted = world.bot(see_and_fail)
    assert await scripted.run() == 1
    assert [line["is_self"] for line in world.manager.chat] == [False, True]
    assert [piece["step"] for piece in world.manager.evidence] == ["give_name"]
    assert order.index("exited") > max(order.index("chat"), order.index("evidence"))


async def test_a_manager_that_does_not_take_evidence_does_not_hold_up_the_end(world: World) -> None:
    async def see_and_fail(scripted: Scripted, _: Progress) -> Ending:
        world.manager.failures = 1_000_000
        scripted.bot.callbacks.show(Evidence(step="give_name"))
        scripted.bot.chat.note([ChatLine("1", "Ann", "hello")], "Usher")
        return Ending(1, Reason.JOIN_FAILED)

    limits = Limits(flush_s=0.3, confirm_s=0.3, report_s=0.3, seen_s=0.3)
    scripted = world.bot(see_and_fail, limits)
    began_s = asyncio.get_running_loop().time()
    assert await scripted.run() == 1
    assert asyncio.get_running_loop().time() - began_s < 15.0
    assert scripted.last_words().reports[-1].kind == "exited"
    assert world.manager.evidence == []
