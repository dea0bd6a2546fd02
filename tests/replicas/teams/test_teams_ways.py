"""What Teams has that no other platform has: builds that differ, a form that is thrown away, a way past the sign-in."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.replicas.stage import ReplicaStage
from tests.replicas.teams.site import meeting_url

from usher.bot.browser import Outfit, open_browser
from usher.bot.platforms.port import JoinFailed, Presence, Sighting
from usher.bot.platforms.teams.page import TeamsPage
from usher.domain.lifecycle import Reason

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]
on_teams = pytest.mark.parametrize("house", ["teams"], indirect=True, scope="module")

_WAIT_S = 60.0


@asynccontextmanager
async def _guest(stage: ReplicaStage) -> AsyncIterator[TeamsPage]:
    """A bot's page, looked at from here."""
    outfit = Outfit(chromium=stage.browser, headless=True, sandbox=os.geteuid() != 0)
    async with open_browser(outfit, script="") as browser:
        yield TeamsPage(browser.page)


async def _until(guest: TeamsPage, holds: Callable[[Sighting], bool]) -> Sighting:
    """Look until something is seen."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            seen = await guest.look()
            if holds(seen):
                return seen
            await asyncio.sleep(0.1)


def _speakers(seen: Sighting) -> set[str]:
    return {person.name for person in seen.people if person.speaks}


@on_teams
async def test_a_form_that_is_thrown_away_is_filled_in_again(stage: ReplicaStage) -> None:
    """The launcher, the light experience, and the full one: three pages, and the question is asked with everything."""
    async with _guest(stage) as guest:
        await guest.join(stage.url, "Usher")
        await stage.bot_is("lobby")
        bot = stage.bot
        assert (bot.opened, bot.name, bot.microphone, bot.camera) == (3, "Usher", False, False)


@on_teams
async def test_where_no_outlines_are_shown_the_dominant_speaker_speaks(stage: ReplicaStage) -> None:
    async with _guest(stage) as guest:
        ann = await stage.person("Ann", 440)
        bob = await stage.person("Bob", 700)
        await bob.hum(on=False)
        await guest.join(meeting_url("teams.microsoft.com"), "Usher")
        await stage.admit()
        await _until(guest, lambda seen: seen.presence is Presence.INSIDE)
        await ann.hum(on=False)
        await bob.hum(on=True)
        await _until(guest, lambda seen: _speakers(seen) == {"Bob"})
        await bob.hum(on=False)
        await ann.hum(on=True)
        seen = await _until(guest, lambda seen: _speakers(seen) == {"Ann"})
        assert {person.name: person.is_self for person in seen.people} == {"Ann": False, "Bob": False, "Usher": True}


@on_teams
async def test_what_is_written_ends_nothing(stage: ReplicaStage) -> None:
    """Lines that come before the chat is open are shown on a notice; then they stand in the chat."""
    async with _guest(stage) as guest:
        ann = await stage.person("Ann")
        await guest.join(stage.url, "Usher")
        stage.say(ann, "You've been removed from this meeting")
        stage.say(ann, "Meeting ended")
        await stage.admit()
        seen = await _until(guest, lambda seen: len(seen.chat) == 2)
        assert seen.presence is Presence.INSIDE
        assert [line.sender for line in seen.chat] == ["Ann", "Ann"]
        await guest.say("hello")
        seen = await _until(guest, lambda seen: len(seen.chat) == 3)
        assert (seen.presence, seen.chat[-1].sender) == (Presence.INSIDE, "You")
        assert stage.bot.said == ["hello"]


@on_teams
async def test_after_somebody_signed_in_the_way_goes_on(stage: ReplicaStage) -> None:
    async with _guest(stage) as guest:
        stage.wall("sign_in")
        with pytest.raises(JoinFailed) as failed:
            await guest.join(stage.url, "Usher")
        assert failed.value.wall is not None
        assert failed.value.wall.reason is Reason.SIGN_IN_REQUIRED
        await guest.driver.page.get_by_role("button", name="Next").click()
        await _until(guest, lambda seen: seen.wall is None)
        await guest.resume()
        await stage.bot_is("lobby")


@on_teams
async def test_the_bar_that_hides_is_woken_for_the_way_out(stage: ReplicaStage) -> None:
    async with _guest(stage) as guest:
        await guest.join(stage.url, "Usher")
        await stage.admit()
        await _until(guest, lambda seen: seen.presence is Presence.INSIDE)
        await guest.driver.page.wait_for_selector("#hangup-button", state="hidden", timeout=20_000)
        await guest.leave()
        await stage.bot_is("left")
