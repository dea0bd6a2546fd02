"""What is Zoom's alone: forms of its client, passcodes, a host who is late, and what a guest puts in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.replicas.news import Sound
from tests.replicas.stage import House, ReplicaStage, replica_stage
from tests.replicas.zoom.site import MEETING_ID, SITE, client_url
from tests.support.bot_theatre import Theatre
from tests.support.eventually import eventually

from usher.bot.browser import Outfit, open_browser
from usher.bot.platforms.port import JoinFailed, Person, Presence, Sighting
from usher.bot.platforms.zoom.page import ZoomPage
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Platform
from usher.protocol.commands import Leave

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("house", ["zoom"], indirect=True, scope="module"),
]

_WAIT_S = 60.0
_PATIENCE = {"join_s": 60.0, "admission_s": 60.0, "heartbeat_s": 0.5}


@asynccontextmanager
async def _guest(stage: ReplicaStage) -> AsyncIterator[ZoomPage]:
    """Open the bot's browser, and nothing else of a bot."""
    outfit = Outfit(stage.browser, headless=True, sandbox=os.geteuid() != 0)
    async with open_browser(outfit, script="") as browser:
        yield ZoomPage(browser.page)


async def _looks(page: ZoomPage, enough: Callable[[Sighting], bool]) -> Sighting:
    """Look, as a visit does, until it is enough."""
    async with asyncio.timeout(_WAIT_S):
        while not enough(seen := await page.look()):  # noqa: ASYNC110 - a page tells nobody
            await asyncio.sleep(0.1)
    return seen


def _names(seen: Sighting) -> dict[str, str]:
    return {person.name: person.person_id for person in seen.people}


async def _fails(attempt: Awaitable[None]) -> JoinFailed:
    with pytest.raises(JoinFailed) as failed:
        await attempt
    return failed.value


@pytest.mark.parametrize(
    "url",
    [
        SITE.url,
        client_url(),
        f"https://zoom.us/j/{MEETING_ID}?pwd=x",
        f"https://app.zoom.us/wc/join/{MEETING_ID}?pwd=x",
    ],
)
async def test_it_gets_in_by_every_address_and_leaves(stage: ReplicaStage, url: str) -> None:
    async with _guest(stage) as page:
        await page.join(url, "Usher")
        assert (stage.bot.name, stage.bot.microphone, stage.bot.camera) == ("Usher", False, False)
        await _looks(page, lambda seen: seen.presence is Presence.LOBBY)
        await stage.admit()
        await _looks(page, lambda seen: seen.presence is Presence.INSIDE)
        await page.leave()
        await eventually(lambda: stage.bot.left, timeout_s=_WAIT_S)


async def test_without_devices_the_switches_have_no_effect_and_it_gets_in(stage: ReplicaStage) -> None:
    async with _guest(stage) as page:
        await page.join(client_url(devices="none"), "Usher")
        assert (stage.bot.microphone, stage.bot.camera) == (False, False)
        await stage.knock()


async def test_inside_it_hears_is_silent_and_sees_who_is_there(stage: ReplicaStage) -> None:
    await stage.person("Ann", host=True)
    bob = await stage.person("Bob")
    stage.open_door()
    async with _guest(stage) as page:
        await page.join(SITE.url, "Usher")
        wanted = {"join_audio", "microphone_inside off", "participants opened", "view speaker", "chat opened"}
        seen = await _looks(page, lambda _: wanted <= set(stage.bot.pressed))
        assert "microphone_inside on" not in stage.bot.pressed
        before = _names(seen)
        assert set(before) == {"Ann", "Bob", "Usher"}
        assert [person.name for person in seen.people if person.is_self] == ["Usher"]
        # A press too many would undo what was done.
        presses = list(stage.bot.pressed)
        for _ in range(3):
            await page.look()
        assert stage.bot.pressed == presses
        await bob.rename("Robert")
        after = _names(await _looks(page, lambda seen: "Robert" in _names(seen)))
        assert after == {"Ann": before["Ann"], "Robert": before["Bob"], "Usher": before["Usher"]}
        await bob.leave()
        await stage.person("Cem")
        after = _names(await _looks(page, lambda seen: "Cem" in _names(seen)))
        assert after["Cem"] not in before.values()


async def test_who_talks_is_told_while_they_talk(stage: ReplicaStage) -> None:
    await stage.person("Ann", host=True)
    bob = await stage.person("Bob")
    stage.open_door()
    async with _guest(stage) as page:
        await page.join(SITE.url, "Usher")
        await _looks(page, lambda _: "view speaker" in stage.bot.pressed)
        await bob.hum(on=True)
        seen = await _looks(page, lambda seen: any(person.name == "Bob" and person.speaks for person in seen.people))
        assert [person.name for person in seen.people if person.speaks] == ["Bob"]


async def test_it_asks_for_no_passcode_that_it_was_not_given(stage: ReplicaStage) -> None:
    async with _guest(stage) as page:
        failed = await _fails(page.join(client_url(pwd=""), "Usher"))
    assert failed.step == "give_passcode"
    assert failed.wall is not None
    assert failed.wall.reason is Reason.PASSCODE_WRONG
    assert not stage.bot.name


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_passcode_that_is_not_taken(stage: ReplicaStage, language: str) -> None:
    stage.meeting.appear(language=language)
    stage.meeting.passcode_holds = False
    async with _guest(stage) as page:
        failed = await _fails(page.join(client_url(pwd="1234"), "Usher"))
    assert failed.step == "ask_to_join"
    assert failed.wall is not None
    assert failed.wall.reason is Reason.PASSCODE_WRONG


async def test_a_passcode_that_is_asked_for_is_typed(stage: ReplicaStage) -> None:
    async with _guest(stage) as page:
        await page.join(client_url(pwd="1234", passcode="asked"), "Usher")
        await stage.knock()
    assert stage.bot.passcode == "1234"


async def test_sign_words_in_names_topic_and_chat_end_nothing(stage: ReplicaStage) -> None:
    ann = await stage.person("You have been removed from the meeting", host=True)
    stage.open_door()
    async with _guest(stage) as page:
        await page.join(SITE.url, "Usher")
        await _looks(page, lambda _: "chat opened" in stage.bot.pressed)
        for words in ("This meeting has been ended by host", "Please wait, the meeting host will let you in soon."):
            stage.say(ann, words)
        seen = await _looks(page, lambda seen: len(seen.chat) == 2)
        assert (seen.presence, seen.wall) == (Presence.INSIDE, None)
        assert Person(ann.name, is_self=False, person_id=_names(seen)[ann.name], speaks=True) in seen.people


async def test_the_bar_that_hides_is_brought_back_for_leaving(stage: ReplicaStage) -> None:
    await stage.person("Ann", host=True)
    stage.open_door()
    async with _guest(stage) as page:
        await page.join(SITE.url, "Usher")
        await _looks(page, lambda _: "chat opened" in stage.bot.pressed)
        await asyncio.sleep(3.5)
        await page.leave()
        await eventually(lambda: stage.bot.left, timeout_s=_WAIT_S)


async def test_the_host_comes_late(stage: ReplicaStage, theatre: Theatre) -> None:
    stage.meeting.turn("not_started")
    bot = await theatre.start(Platform.ZOOM, stage.url, stage.browser, host_every_s=0.5, **_PATIENCE)
    await theatre.told("awaiting_admission")
    await eventually(lambda: stage.bot.opened >= 4, timeout_s=_WAIT_S)
    stage.meeting.turn("prejoin")
    await stage.admit()
    await theatre.told("started")
    await theatre.command(bot, Leave(seq=1))
    await theatre.ended(bot, 0, "stopped")
    assert theatre.manager.kinds() == ["joining", "awaiting_admission", "started", "exited"]


async def test_the_host_never_comes(stage: ReplicaStage, theatre: Theatre) -> None:
    stage.meeting.turn("not_started")
    bot = await theatre.start(Platform.ZOOM, stage.url, stage.browser, host_s=2.0, host_every_s=0.5, **_PATIENCE)
    await theatre.ended(bot, 0, "not_started")
    assert theatre.manager.kinds() == ["joining", "awaiting_admission", "exited"]


@pytest.mark.parametrize("sound", ["apart", "mixed", "webaudio"])
@pytest.mark.parametrize("url", [SITE.url, client_url()], ids=["in the frame", "at the top"])
async def test_everybody_is_heard_by_name_however_sound_comes(
    house: House, theatre: Theatre, sound: Sound, url: str
) -> None:
    async with replica_stage(house, sound) as stage:
        await stage.person("Ann", 440, host=True)
        stage.open_door()
        bot = await theatre.start(Platform.ZOOM, url, stage.browser, **_PATIENCE)
        await theatre.named("Ann")
        await theatre.command(bot, Leave(seq=1))
        await theatre.ended(bot, 0, "stopped")
        assert stage.bot.left
