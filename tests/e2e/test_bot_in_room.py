"""The bot as a process, with a real browser, in the real room: how it comes, what it hears, and every way it goes."""

import array
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from tests.support.bot_manager_server import Manager
from tests.support.bot_process import TOKEN, BotProcess
from tests.support.bot_room import HummingRoom, Person, humming_room
from tests.support.bot_speech_server import Stream
from tests.support.bot_theatre import PATIENCE_S, Theatre, open_theatre
from tests.support.eventually import eventually

from usher.adapters.embedded.chromium import find_chromium
from usher.domain.meeting import Platform
from usher.protocol.commands import Leave
from usher.protocol.whisper import SAMPLE_RATE_HZ

pytestmark = pytest.mark.timeout(300)

_ALICE_HZ, _BOB_HZ = 440, 880


@dataclass
class World:
    """A room, everything that a bot talks to, and the bots."""

    chromium: Path
    room: HummingRoom
    theatre: Theatre

    @property
    def manager(self) -> Manager:
        """What bots tell."""
        return self.theatre.manager

    async def bot(self, **patience: float) -> BotProcess:
        """Start a bot."""
        return await self.theatre.start(Platform.ROOM, self.room.url, self.chromium, **patience)

    async def admitted_bot(self, host: Person, **patience: float) -> BotProcess:
        """Start a bot and let it in."""
        bot = await self.bot(**patience)
        await host.press("Admit Usher")
        await host.sees("Usher")
        await self.theatre.told("started")
        bot.look()
        return bot

    async def ended(self, bot: BotProcess, exit_code: int, reason: str) -> None:
        """Check how a bot ends, and that nothing of it is left."""
        await self.theatre.ended(bot, exit_code, reason)


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    chromium = find_chromium().path
    async with humming_room(chromium) as room, open_theatre(redis_url) as theatre:
        yield World(chromium, room, theatre)


async def test_it_asks_to_join_is_admitted_hears_two_people_apart_and_leaves_on_command(world: World) -> None:
    alice = await world.room.host("Alice", hum_hz=_ALICE_HZ)
    await world.room.guest("Bob", alice, hum_hz=_BOB_HZ)
    bot = await world.bot()
    await alice.sees_request("Usher")
    await world.theatre.told("awaiting_admission")
    assert world.manager.kinds() == ["joining", "awaiting_admission"]
    assert world.manager.heartbeats
    await alice.press("Admit Usher")
    await alice.sees("Usher")
    await world.theatre.told("started")

    await eventually(lambda: len(world.theatre.speech.streams) == 2, timeout_s=PATIENCE_S)
    await _covered(world.theatre.speech.streams)
    assert {_pitch(stream) for stream in world.theatre.speech.streams} == {_ALICE_HZ, _BOB_HZ}
    speaker = {
        stream.uid: {_ALICE_HZ: "Alice", _BOB_HZ: "Bob"}[_pitch(stream)] for stream in world.theatre.speech.streams
    }
    assert bot.configuration.connection_id in speaker

    bot.look()
    await world.theatre.command(bot, Leave(seq=1))
    await world.ended(bot, 0, "stopped")
    await alice.sees("Usher", here=False)
    assert world.manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]
    assert [(seq, outcome["outcome"]) for seq, outcome in world.manager.outcomes] == [(1, "applied")]
    assert world.manager.tokens == {f"Bearer {TOKEN}"}
    heard = await world.theatre.heard()
    assert {uid: names - {None} for uid, names in heard.items()} == {uid: {name} for uid, name in speaker.items()}
    assert all(stream.ended for stream in world.theatre.speech.streams)


async def test_it_is_denied(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.bot()
    await world.theatre.told("awaiting_admission")
    await alice.press("Deny Usher")
    await world.ended(bot, 0, "rejected")
    assert world.manager.kinds() == ["joining", "awaiting_admission", "exited"]


async def test_it_is_removed(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    await alice.press("Remove Usher")
    await world.ended(bot, 0, "evicted")


async def test_the_host_ends_the_meeting(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    await alice.press("End for all")
    await world.ended(bot, 0, "meeting_ended")


async def test_nobody_admits_it(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.bot(admission_s=1.0)
    await alice.sees_request("Usher")
    await world.ended(bot, 0, "admission_timeout")
    await alice.sees_request("Usher", here=False)


async def test_sigterm_is_the_wish_to_leave(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    bot.terminate()
    await world.ended(bot, 0, "stopped")
    await alice.sees("Usher", here=False)


async def test_sigterm_in_the_lobby_takes_the_request_back(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.bot()
    await alice.sees_request("Usher")
    bot.look()
    bot.terminate()
    await world.ended(bot, 0, "stopped")
    await alice.sees_request("Usher", here=False)


async def test_its_page_is_killed(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    renderers = bot.browser_processes("renderer")
    assert renderers
    for renderer in renderers:
        renderer.send_signal(signal.SIGKILL)
    await world.ended(bot, 1, "page_crashed")
    await alice.sees("Usher", here=False)


async def test_the_driver_of_its_browser_is_killed(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    drivers = bot.named("node")
    assert drivers
    for driver in drivers:
        driver.send_signal(signal.SIGKILL)
    await world.ended(bot, 1, "page_crashed")
    await alice.sees("Usher", here=False)


async def test_the_manager_says_that_the_attempt_is_over(world: World) -> None:
    alice = await world.room.host("Alice")
    bot = await world.admitted_bot(alice)
    world.manager.over = True
    assert await bot.exit_code() == 0
    await alice.sees("Usher", here=False)
    await eventually(lambda: not bot.left_behind(), timeout_s=PATIENCE_S)


async def test_a_browser_that_does_not_exist_is_reported(world: World) -> None:
    world.chromium = Path("/nonexistent/chromium")
    bot = await world.bot()
    await world.ended(bot, 1, "join_failed")
    assert "usher doctor" in world.manager.last_word()["detail"]


async def _covered(streams: list[Stream]) -> None:
    """Wait until each stream has some seconds of sound, and check that no samples are missing or doubled."""
    await eventually(lambda: all(len(s.pcm) > 10 * SAMPLE_RATE_HZ for s in streams), timeout_s=PATIENCE_S)
    for stream in streams:
        blocks = _blocks(stream.pcm[3 * SAMPLE_RATE_HZ : 10 * SAMPLE_RATE_HZ])
        loud = (blocks**2).mean(axis=1) ** 0.5 > 0.02
        assert loud.mean() >= 0.98
        assert _coverage(stream) == pytest.approx(1.0, abs=0.02)


def _coverage(stream: Stream) -> float:
    """Return seconds of audio per second of time.

    Each end of the stretch is where the audio was the least late within two seconds: a busy machine delays frames.
    """
    offsets = np.asarray([(at - samples / SAMPLE_RATE_HZ, samples / SAMPLE_RATE_HZ) for at, samples in stream.arrivals])
    first, last = offsets[20:40], offsets[-20:]
    begin, end = first[first[:, 0].argmin()], last[last[:, 0].argmin()]
    heard_s = float(end[1] - begin[1])
    return heard_s / (heard_s + float(end[0] - begin[0]))


def _pitch(stream: Stream) -> int:
    """Return which of the two people is heard."""
    second = np.asarray(stream.pcm[3 * SAMPLE_RATE_HZ : 4 * SAMPLE_RATE_HZ])
    loudest = float(np.abs(np.fft.rfft(second)).argmax())
    return min((_ALICE_HZ, _BOB_HZ), key=lambda hz: abs(hz - loudest))


def _blocks(pcm: "array.array[float]") -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return 100 ms each: shape (blocks, 1600)."""
    samples = np.asarray(pcm, dtype=np.float32)
    return samples[: len(samples) // 1600 * 1600].reshape(-1, 1600)
