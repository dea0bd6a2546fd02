"""The room with real browsers in it: the lobby, the sound, and the ways out."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Page, async_playwright

from usher.adapters.embedded.chromium import find_chromium
from usher.demo.conversation import Conversation, load_conversation
from usher.demo.participants import Participant, SpokenLine
from usher.domain.errors import Unavailable
from usher.room import room_app

_PATIENCE_S = 30.0
_PATIENCE_MS = _PATIENCE_S * 1000
_LEAST_ENERGY = 0.01
# The loudest moment of what one other participant says, as root mean square, until it is loud enough.
_HEAR = """
async ([name, least, patienceMs]) => {
  const context = new AudioContext();
  await context.resume();
  const meter = context.createAnalyser();
  const { participantId } = document.querySelector(`[data-participant-name="${name}"]`).dataset;
  const audio = document.querySelector(`audio[data-participant-audio="${participantId}"]`);
  context.createMediaStreamSource(audio.srcObject).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  const until = performance.now() + patienceMs;
  let loudest = 0;
  while (loudest < least && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    meter.getFloatTimeDomainData(samples);
    const energy = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    loudest = Math.max(loudest, energy);
  }
  await context.close();
  return loudest;
}
"""


@pytest.fixture(scope="module")
def chromium() -> Path:
    return find_chromium().path


@pytest_asyncio.fixture
async def room_url() -> AsyncIterator[str]:
    """Address of a room that nobody has been in, on a server of its own."""
    app = FastAPI()
    app.mount("/room", room_app())
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/room/standup"
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, _PATIENCE_S)
        listening.close()


class People:
    """Brings people into one room."""

    def __init__(self, chromium: Path, room_url: str, stack: AsyncExitStack) -> None:
        self._chromium = chromium
        self._room_url = room_url
        self._stack = stack

    async def host(self, name: str) -> Participant:
        return await self._stack.enter_async_context(self.someone(name, host=True))

    async def guest(self, name: str, *, admitted_by: Participant, visit: AsyncExitStack | None = None) -> Participant:
        """Somebody who came through the lobby, and leaves when `visit` ends, or the test."""
        admitting = asyncio.create_task(admitted_by.admit(name, timeout_s=_PATIENCE_S))
        guest = await (visit or self._stack).enter_async_context(self.someone(name, host=False))
        await admitting
        return guest

    def someone(self, name: str, *, host: bool) -> Participant:
        return Participant(self._chromium, self._room_url, name, host=host, sandbox=os.geteuid() != 0)


@pytest_asyncio.fixture
async def people(chromium: Path, room_url: str) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(chromium, room_url, stack)


@pytest.fixture(scope="module")
def two_lines() -> Conversation:
    """The shortest line of each speaker, one right after the other."""
    whole = load_conversation()
    hers, his = (
        min((line for line in whole.lines if line.speaker == speaker), key=lambda line: line.duration_s)
        for speaker in whole.speakers
    )
    return Conversation(whole.speakers, (replace(hers, start_s=0.0), replace(his, start_s=hers.duration_s + 0.2)))


async def test_two_people_meet_hear_each_other_and_part(people: People, two_lines: Conversation) -> None:
    alice = await people.host("Alice")
    async with AsyncExitStack() as visit:
        bob = await people.guest("Bob", admitted_by=alice, visit=visit)
        await _talk(alice, bob, two_lines)
    await _sees_no_more(alice.page, "Bob")
    with pytest.raises(Unavailable, match="Bob is not in the room"):
        _ = bob.page


async def _talk(alice: Participant, bob: Participant, two_lines: Conversation) -> None:
    await _sees(bob.page, "Alice")
    await _sees(alice.page, "Bob")

    starts_at = time.time() + 1.0
    hers, his, at_bob, at_alice, _, _ = await asyncio.gather(
        alice.talk(two_lines, starts_at=starts_at),
        bob.talk(two_lines, starts_at=starts_at),
        _hears(bob.page, "Alice"),
        _hears(alice.page, "Bob"),
        _sees_speaking(bob.page, "Alice"),
        _sees_speaking(alice.page, "Bob"),
    )

    assert at_bob >= _LEAST_ENERGY
    assert at_alice >= _LEAST_ENERGY
    _assert_spoken(hers, two_lines, "Alice", starts_at)
    _assert_spoken(his, two_lines, "Bob", starts_at)


async def test_who_only_listens_hears_everybody_apart(
    people: People, chromium: Path, room_url: str, two_lines: Conversation
) -> None:
    alice = await people.host("Alice")
    bob = await people.guest("Bob", admitted_by=alice)
    async with _listener(chromium, room_url, "Carol") as carol:
        await alice.admit("Carol", timeout_s=_PATIENCE_S)
        await carol.wait_for_selector("body[data-room-state=meeting]", timeout=_PATIENCE_MS)
        # One after the other, so that neither can be taken for the other.
        for speaker, name in ((alice, "Alice"), (bob, "Bob")):
            other = "Bob" if name == "Alice" else "Alice"
            starts_at = time.time() + 1.0 - min(line.start_s for line in two_lines.lines if line.speaker == name)
            heard, _, _ = await asyncio.gather(
                _hears(carol, name), _sees_speaking(carol, name), speaker.talk(two_lines, starts_at=starts_at)
            )
            assert heard >= _LEAST_ENERGY
            assert await carol.get_attribute(f"[data-participant-name={other}]", "data-speaking") == "false"
        assert await alice.page.get_attribute("[data-participant-name=Carol]", "data-microphone") == "none"


@asynccontextmanager
async def _listener(chromium: Path, room_url: str, name: str) -> AsyncIterator[Page]:
    """Somebody at the door with an ordinary browser, no microphone and no special leave."""
    arguments = ["--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=arguments, chromium_sandbox=os.geteuid() != 0
        )
        try:
            page = await browser.new_page()
            await page.goto(room_url)
            await page.get_by_label("Your name").fill(name)
            await page.get_by_role("switch", name="Microphone").uncheck()
            await page.get_by_role("button", name="Ask to join").click()
            await page.wait_for_selector("body[data-room-state=lobby]", timeout=_PATIENCE_MS)
            yield page
        finally:
            await browser.close()


async def test_who_is_denied_does_not_get_in(people: People) -> None:
    alice = await people.host("Alice")
    with pytest.raises(TimeoutError, match="Mallory did not ask to join"):
        await alice.admit("Mallory", timeout_s=0.2)
    entering = asyncio.create_task(people.someone("Mallory", host=False).__aenter__())
    await alice.page.get_by_role("button", name="Deny Mallory", exact=True).click(timeout=_PATIENCE_MS)
    with pytest.raises(Unavailable, match="denied"):
        await entering
    assert await alice.page.locator("[data-participant-id]").count() == 1
    assert await alice.page.locator("[data-request-id]").count() == 0


async def test_who_is_removed_is_told_and_vanishes(people: People) -> None:
    alice = await people.host("Alice")
    bob = await people.guest("Bob", admitted_by=alice)
    await alice.page.get_by_role("button", name="Remove Bob", exact=True).click(timeout=_PATIENCE_MS)
    await bob.page.wait_for_selector("body[data-room-state=removed]", timeout=_PATIENCE_MS)
    await _sees_no_more(alice.page, "Bob")


async def _hears(page: Page, name: str) -> float:
    tile = await page.wait_for_selector(f"[data-participant-name={name}]", timeout=_PATIENCE_MS)
    participant_id = await tile.get_attribute("data-participant-id") if tile else None
    audio = f'audio[data-participant-audio="{participant_id}"]'
    await page.wait_for_selector(audio, state="attached", timeout=_PATIENCE_MS)
    heard = await page.evaluate(_HEAR, [name, _LEAST_ENERGY, _PATIENCE_MS])
    return float(heard)


async def _sees(page: Page, name: str) -> None:
    await page.wait_for_selector(f"[data-participant-name={name}]", timeout=_PATIENCE_MS)


async def _sees_no_more(page: Page, name: str) -> None:
    await page.wait_for_selector(f"[data-participant-name={name}]", state="detached", timeout=_PATIENCE_MS)


async def _sees_speaking(page: Page, name: str) -> None:
    await page.wait_for_selector(f"[data-participant-name={name}][data-speaking=true]", timeout=_PATIENCE_MS)


def _assert_spoken(spoken: list[SpokenLine], script: Conversation, speaker: str, starts_at: float) -> None:
    lines = [line for line in script.lines if line.speaker == speaker]
    assert [(line.speaker, line.text) for line in spoken] == [(line.speaker, line.text) for line in lines]
    for said, line in zip(spoken, lines, strict=True):
        # Never early; how late depends on the machine.
        assert said.start >= starts_at + line.start_s - 0.1
        assert said.end - said.start >= line.duration_s - 0.1
        assert said.end <= time.time() + 0.1
