"""Commands over a real Redis and a real manager: each is executed once, in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio
from redis.asyncio import Redis
from tests.support.bot_deaf_proxy import deaf_proxy
from tests.support.bot_manager_server import Manager, manager_server
from tests.support.bot_process import configuration
from tests.support.eventually import eventually

from usher.bot.callbacks import Callbacks
from usher.bot.control import Control
from usher.bot.heart import Heart
from usher.bot.line import Line
from usher.bot.publisher import Publisher
from usher.protocol.commands import Command, CommandOutcome, Leave, Reconfigure, Say, command_channel

_PATIENCE_S = 20.0
_CONNECTION = "connection"
_APPLIED = {"outcome": "applied", "detail": ""}


class _Bot:
    """The part of a bot that takes commands; beats are sent only when a test wants them."""

    def __init__(self, manager: Manager, redis: Redis, *, poll_s: float = 1.0) -> None:
        told = configuration(
            manager_url=manager.url,
            redis_url="redis://127.0.0.1:1",
            transcription_url="ws://127.0.0.1:1",
            meeting_url="http://127.0.0.1:1/room/standup",
            chromium=None,
            heartbeat_s=0.05,
        )
        self.manager = manager
        self.executed: list[Command] = []
        self.slow = asyncio.Event()
        self.slow.set()
        self._line = Line(told, retry_s=(0.01,))
        self.callbacks = Callbacks(self._line)
        publisher = Publisher(redis, 7, _CONNECTION, "token")
        self._heart = Heart(self._line, self.callbacks, publisher, told.patience, first_retry_s=0.01)
        self._redis = redis
        self._control = Control(redis, self.callbacks, _CONNECTION, self._execute, retry_s=0.02, poll_s=poll_s)
        self._tasks: list[asyncio.Task[None]] = []

    async def _execute(self, command: Command) -> CommandOutcome:
        self.executed.append(command)
        await self.slow.wait()
        return CommandOutcome(outcome="applied")

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._control.run()), asyncio.create_task(self.callbacks.send_reports())]

    def beat(self) -> None:
        self._tasks.append(asyncio.create_task(self._heart.run()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    async def listens(self, times: int = 1) -> None:
        """Wait until it has read, after so many subscriptions, what may have been missed."""
        await eventually(lambda: len(self.manager.asked_after) >= times, timeout_s=_PATIENCE_S)

    async def publish(self, command: Command) -> None:
        await self._redis.publish(command_channel(_CONNECTION), command.model_dump_json())

    async def has_executed(self, *numbers: int) -> None:
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: len(self.manager.outcomes) >= len(numbers), timeout_s=_PATIENCE_S)
        assert tuple(command.seq for command in self.executed) == numbers
        assert tuple(seq for seq, _ in self.manager.outcomes) == numbers


def _stored(*commands: Command) -> list[dict[str, object]]:
    return [command.model_dump() for command in commands]


def _reconfigure(seq: int) -> Reconfigure:
    return Reconfigure(seq=seq, language="de")


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=5.0) as client:
        yield client


@pytest_asyncio.fixture
async def bot(redis: Redis) -> AsyncIterator[_Bot]:
    async with manager_server() as manager:
        taking = _Bot(manager, redis)
        yield taking
        await taking.stop()


async def test_commands_are_executed_in_order_and_acknowledged(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    for seq in (1, 2, 3):
        await bot.publish(_reconfigure(seq))
    await bot.has_executed(1, 2, 3)
    assert bot.executed[0] == _reconfigure(1)


async def test_a_command_that_comes_twice_is_executed_once(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    for seq in (1, 1, 2, 1, 2):
        await bot.publish(_reconfigure(seq))
    await bot.publish(Leave(seq=3))
    await bot.has_executed(1, 2, 3)


async def test_commands_from_before_the_subscription_are_read(bot: _Bot) -> None:
    bot.manager.commands = _stored(_reconfigure(1), Leave(seq=2))
    bot.start()
    await bot.has_executed(1, 2)


async def test_a_command_that_was_missed_goes_before_a_later_one(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    bot.manager.commands = _stored(_reconfigure(1), _reconfigure(2), _reconfigure(3))
    await bot.publish(_reconfigure(3))
    await bot.has_executed(1, 2, 3)


async def test_a_heartbeat_finds_what_pubsub_lost(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    bot.manager.commands = _stored(Leave(seq=1))
    bot.beat()
    await bot.has_executed(1)


async def test_a_lost_subscription_is_made_again_and_what_was_missed_is_read(bot: _Bot, redis: Redis) -> None:
    bot.start()
    await bot.listens()
    bot.manager.commands = _stored(_reconfigure(1))
    await redis.client_kill_filter(_type="pubsub")
    await bot.has_executed(1)
    await bot.listens(times=2)
    await bot.publish(_reconfigure(2))
    await bot.has_executed(1, 2)


async def test_a_read_that_fails_is_tried_again(bot: _Bot) -> None:
    bot.manager.missed_reads = 3
    bot.manager.commands = _stored(_reconfigure(1))
    bot.start()
    await bot.has_executed(1)
    assert len(bot.manager.asked_after) == 4


async def test_a_command_that_comes_over_every_way_is_executed_once(bot: _Bot) -> None:
    bot.slow.clear()
    bot.start()
    await bot.listens()
    bot.manager.commands = _stored(_reconfigure(1))
    bot.beat()
    await bot.publish(_reconfigure(1))
    await bot.listens(times=4)
    bot.slow.set()
    await bot.has_executed(1)
    await bot.publish(Leave(seq=2))
    await bot.has_executed(1, 2)


async def test_a_heartbeat_says_that_a_command_is_executed_whatever_becomes_of_its_outcome(bot: _Bot) -> None:
    bot.manager.failures = 1_000_000
    bot.manager.commands = _stored(_reconfigure(1))
    bot.start()
    bot.beat()
    await eventually(lambda: {"executed_seq": 1, "sent": []} in bot.manager.heartbeats, timeout_s=_PATIENCE_S)
    assert bot.manager.outcomes == []


async def test_a_connection_that_is_there_by_name_only_is_given_up(redis_url: str) -> None:
    async with (
        deaf_proxy(redis_url) as proxy,
        Redis.from_url(proxy.url, socket_timeout=5.0) as client,
        manager_server() as manager,
    ):
        bot = _Bot(manager, client, poll_s=0.1)
        bot.start()
        await bot.listens()
        proxy.deafen()
        await bot.listens(times=2)
        await bot.publish(Leave(seq=1))
        await bot.has_executed(1)
        await bot.stop()


async def test_a_connection_that_is_only_quiet_is_kept(redis: Redis) -> None:
    async with manager_server() as manager:
        bot = _Bot(manager, redis, poll_s=0.5)
        bot.start()
        await bot.listens()
        await asyncio.sleep(1.6)
        await bot.publish(Leave(seq=1))
        await bot.has_executed(1)
        assert len(manager.asked_after) == 1
        await bot.stop()


async def test_what_is_no_command_is_passed_over(bot: _Bot, redis: Redis) -> None:
    bot.start()
    await bot.listens()
    for nonsense in ("", "no json", '{"action": "dance", "seq": 1}', '{"action": "leave"}', "[]"):
        await redis.publish(command_channel(_CONNECTION), nonsense)
    await bot.publish(Leave(seq=1))
    await bot.has_executed(1)


async def test_a_manager_that_does_not_answer_does_not_hold_up_commands(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    bot.manager.failures = 20
    await bot.publish(_reconfigure(1))
    await bot.publish(Leave(seq=2))
    await eventually(lambda: len(bot.executed) == 2, timeout_s=_PATIENCE_S)
    await bot.has_executed(1, 2)


async def test_it_stops_when_it_is_told_to(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    await bot.stop()


async def test_a_message_that_was_missed_comes_late_and_once(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    bot.manager.missed_reads = 1
    message = Say(seq=1, text="hello")
    await bot.publish(_reconfigure(2))
    await eventually(lambda: bot.manager.outcomes == [(2, _APPLIED)], timeout_s=_PATIENCE_S)
    bot.manager.commands = _stored(message, _reconfigure(2))
    bot.beat()
    await eventually(lambda: len(bot.manager.outcomes) == 2, timeout_s=_PATIENCE_S)
    for command in (message, _reconfigure(2), Say(seq=3, text="bye"), message):
        await bot.publish(command)
    await eventually(lambda: len(bot.manager.outcomes) == 3, timeout_s=_PATIENCE_S)
    assert bot.executed == [_reconfigure(2), message, Say(seq=3, text="bye")]
    assert [seq for seq, _ in bot.manager.outcomes] == [2, 1, 3]


async def test_a_configuration_that_was_missed_is_void_after_a_later_one(bot: _Bot) -> None:
    bot.start()
    await bot.listens()
    bot.manager.missed_reads = 1
    await bot.publish(_reconfigure(2))
    await eventually(lambda: len(bot.manager.outcomes) == 1, timeout_s=_PATIENCE_S)
    await bot.publish(_reconfigure(1))
    await bot.publish(Leave(seq=3))
    await bot.has_executed(2, 3)
