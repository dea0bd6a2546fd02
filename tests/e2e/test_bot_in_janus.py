"""The bot in somebody else's meeting server: a real Janus with its own demo page, as Debian packages it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from tests.support.bot_room import PATIENCE_MS, open_people
from tests.support.bot_speech_server import Stream
from tests.support.bot_theatre import PATIENCE_S, Theatre, open_theatre
from tests.support.eventually import eventually
from tests.support.janus_server import janus_room

from usher.adapters.embedded.chromium import find_chromium
from usher.domain.meeting import Platform
from usher.protocol.commands import Leave
from usher.protocol.whisper import SAMPLE_RATE_HZ

pytestmark = pytest.mark.timeout(300)

_ALICE_HZ, _BOB_HZ = 440, 880
_MICROPHONE = (Path(__file__).parent / "janus_microphone.js").read_text()


@dataclass
class World:
    """A room of Janus, a browser for its people, and what bots talk to."""

    url: str
    browser: Browser
    theatre: Theatre

    async def person(self, name: str, hum_hz: int) -> Page:
        """Somebody who publishes a tone and no picture worth looking at."""
        context = await self.browser.new_context()
        await context.grant_permissions(["microphone", "camera"])
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.add_init_script(_MICROPHONE.replace("HUM_HZ", str(hum_hz)))
        await page.goto(self.url)
        await page.get_by_role("button", name="Start").click()
        await page.get_by_placeholder("Choose a display name").fill(name)
        await page.get_by_role("button", name="Join the room").click()
        await page.get_by_role("button", name="Unpublish").wait_for()
        return page


@pytest_asyncio.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(janus_room(tmp_path))
        browser = await stack.enter_async_context(open_people(find_chromium().path))
        yield World(url, browser, await stack.enter_async_context(open_theatre(redis_url)))


async def test_two_speakers_are_heard_apart_and_named_and_the_bot_leaves_by_the_pages_own_button(world: World) -> None:
    await world.person("Alice", _ALICE_HZ)
    await world.person("Bob", _BOB_HZ)
    theatre = world.theatre
    bot = await theatre.start(Platform.JANUS, world.url, find_chromium().path)
    await theatre.told("started")
    await theatre.named("Alice")
    await theatre.named("Bob")
    await eventually(lambda: min(map(_seconds, theatre.speech.streams)) > 8, timeout_s=PATIENCE_S)
    speaker = {stream.uid: {_ALICE_HZ: "Alice", _BOB_HZ: "Bob"}[_pitch(stream)] for stream in theatre.speech.streams}
    assert sorted(speaker.values()) == ["Alice", "Bob"]
    assert all(_is_whole(stream) for stream in theatre.speech.streams)
    await theatre.command(bot, Leave(seq=1))
    await theatre.ended(bot, 0, "stopped")
    assert theatre.manager.kinds() == ["joining", "started", "exited"]
    heard = {uid: names - {None} for uid, names in (await theatre.heard()).items()}
    assert heard == {uid: {name} for uid, name in speaker.items()}


async def test_everybody_leaves(world: World) -> None:
    alice = await world.person("Alice", _ALICE_HZ)
    bot = await world.theatre.start(Platform.JANUS, world.url, find_chromium().path, alone_s=2.0)
    await world.theatre.named("Alice")
    await alice.close()
    await world.theatre.ended(bot, 0, "left_alone")


async def test_a_room_that_does_not_exist(world: World) -> None:
    bot = await world.theatre.start(Platform.JANUS, world.url.replace("room=", "room=9"), find_chromium().path)
    await world.theatre.ended(bot, 0, "meeting_not_found")
    assert world.theatre.manager.kinds() == ["joining", "exited"]


def _seconds(stream: Stream) -> float:
    return len(stream.pcm) / SAMPLE_RATE_HZ


def _pitch(stream: Stream) -> int:
    second = np.asarray(stream.pcm[4 * SAMPLE_RATE_HZ : 5 * SAMPLE_RATE_HZ])
    loudest = float(np.abs(np.fft.rfft(second)).argmax())
    return min((_ALICE_HZ, _BOB_HZ), key=lambda hz: abs(hz - loudest))


def _is_whole(stream: Stream) -> bool:
    """Whether the tone is there in every tenth of a second of five."""
    samples = np.asarray(stream.pcm[3 * SAMPLE_RATE_HZ : 8 * SAMPLE_RATE_HZ]).reshape(-1, SAMPLE_RATE_HZ // 10)
    return bool(((samples**2).mean(axis=1) ** 0.5 > 0.02).mean() >= 0.98)
