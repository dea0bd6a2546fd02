"""A bot that records, as a process, with a real browser, in the real room: what is kept of it, whatever ends it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.bot_process import BotProcess, configuration, running_bot
from tests.support.bot_room import HummingRoom, humming_room
from tests.support.bot_theatre import Theatre, open_theatre
from tests.support.eventually import eventually
from tests.support.recordings import Played, play

from usher.adapters.embedded.chromium import find_chromium
from usher.protocol.commands import Leave
from usher.protocol.recordings import MIXED

pytestmark = pytest.mark.timeout(300)

_PATIENCE_S = 90.0
_HUMS = {"Alice": 440, "Bob": 880}
_TONES = tuple(_HUMS.values())
_MOST_LOST_S = 10.0


@dataclass
class World:
    """Two people who hum, and a bot that records them."""

    theatre: Theatre
    room: HummingRoom
    chromium: Path

    async def recording_bot(self) -> BotProcess:
        """Start a bot, let it in, and wait until chunks of everybody are uploaded."""
        alice = await self.room.host("Alice", hum_hz=_HUMS["Alice"])
        await self.room.guest("Bob", alice, hum_hz=_HUMS["Bob"])
        told = configuration(
            manager_url=self.theatre.manager.url,
            redis_url=self.theatre.redis_url,
            transcription_url=self.theatre.speech.url,
            meeting_url=self.room.url,
            chromium=self.chromium,
        ).model_copy(update={"recording": True})
        bot = await self.theatre.stack.enter_async_context(running_bot(told))
        await alice.press("Admit Usher")
        await self.theatre.told("started")
        await self.uploaded(2)
        bot.look()
        return bot

    async def uploaded(self, chunks: int) -> None:
        """Wait until so many chunks of each file are there."""
        kept = self.theatre.manager.chunks
        await eventually(
            lambda: len(kept) == 3 and all(len(some) >= chunks for some in kept.values()), timeout_s=_PATIENCE_S
        )

    def played(self, name: str) -> Played:
        """Play what was uploaded of a file."""
        return play(b"".join(self.theatre.manager.chunks[name]))

    def file_of(self, person: str) -> str:
        """Return the name of a person's file."""
        files = self.theatre.manager.files.items()
        return next(name for name, said in files if said["speaker"] == person)


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    chromium = find_chromium().path
    async with AsyncExitStack() as stack:
        theatre = await stack.enter_async_context(open_theatre(redis_url))
        yield World(theatre, await stack.enter_async_context(humming_room(chromium)), chromium)


async def test_each_person_is_in_a_file_and_both_are_in_the_mix(world: World) -> None:
    bot = await world.recording_bot()
    await world.theatre.command(bot, Leave(seq=1))
    await world.theatre.ended(bot, 0, "stopped")
    files = world.theatre.manager.files
    assert {said["state"] for said in files.values()} == {"finished"}
    assert {said["speaker"] for said in files.values()} == {None, "Alice", "Bob"}
    assert len({said["started_at"] for said in files.values()}) == 1
    pitches = {MIXED: set(_TONES), **{world.file_of(name): {hz} for name, hz in _HUMS.items()}}
    for name, tones in pitches.items():
        played = world.played(name)
        begin, end = played.loud()[0][0], played.loud()[-1][1]
        assert end - begin > 9.0
        assert sum(b - a for a, b in played.loud()) > 0.98 * (end - begin), "nothing is missing between"
        assert played.pitches(end - 5.0, end - 1.0, _TONES) == tones
        assert files[name]["lost_ms"] < 200


async def test_a_killed_bot_loses_ten_seconds_at_most(world: World) -> None:
    bot = await world.recording_bot()
    await world.uploaded(3)
    bot.kill()
    killed = datetime.now(UTC)
    await bot.exit_code()
    for name, said in world.theatre.manager.files.items():
        heard_s = (killed - datetime.fromisoformat(said["started_at"])).total_seconds()
        played = world.played(name)
        assert heard_s - played.loud()[-1][1] < _MOST_LOST_S, name
        assert all(play(b"".join(world.theatre.manager.chunks[name][:count])).loud() for count in (1, 2, 3))


async def test_a_manager_without_space_costs_the_recording_and_nothing_else(world: World) -> None:
    bot = await world.recording_bot()
    world.theatre.manager.storage = 507
    await eventually(lambda: any(line["event"] == "recording_given_up" for line in bot.events()), timeout_s=_PATIENCE_S)
    heard = sum(len(stream.pcm) for stream in world.theatre.speech.streams)
    await eventually(
        lambda: sum(len(stream.pcm) for stream in world.theatre.speech.streams) > heard + 32_000, timeout_s=_PATIENCE_S
    )
    # It is told in the background.
    await eventually(lambda: world.theatre.manager.files[MIXED]["state"] == "given_up", timeout_s=_PATIENCE_S)
    await world.theatre.command(bot, Leave(seq=1))
    await world.theatre.ended(bot, 0, "stopped")
