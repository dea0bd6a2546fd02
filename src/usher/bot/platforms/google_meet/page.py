"""A visit to Google Meet: gates, name, microphone and camera, the request, and what only Meet's page shows."""

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from playwright.async_api import Locator

from usher.bot.platforms.google_meet.roster import ASK, SCRIPT, complete, read_roster
from usher.bot.platforms.port import ChatLine, Presence, Sighting
from usher.bot.platforms.web.driver import press_quietly
from usher.bot.platforms.web.meeting import WebMeeting
from usher.domain.lifecycle import Reason

log = structlog.get_logger(__name__)

_NAME_S = 60.0
_FORM_S = 20.0
_DEVICE_S = 20.0
_ASK_S = 45.0
_KNOWN_WORDS_S = 10.0
_ASKED_S = 8.0
_SWITCHED_S = 3.0
_POLL_S = 0.2
_LOOK_S = 5.0
_MOST_CHAT_TRIES = 5
_LANGUAGE = "en"


class GoogleMeetPage(WebMeeting):
    """Implements `MeetingPage` for Google Meet."""

    knowledge = Path(__file__).with_name("knowledge.toml")

    _has_asked = False
    _last_place: Presence | None = None
    _chat_tries = 0

    async def prepare(self) -> None:
        """Have the page's own messages on who is there read along."""
        await self.driver.page.add_init_script(SCRIPT)

    async def enter(self) -> None:
        """Name, devices off, request."""
        await self.driver.take("give_name", self._give_name(), within_s=_NAME_S)
        await self.driver.take("microphone_off", self._turn_off("microphone_is_on"), within_s=_DEVICE_S)
        await self.driver.take("camera_off", self._turn_off("camera_is_on"), within_s=_DEVICE_S)
        await self.driver.take("ask_to_join", self._ask_to_join(), within_s=_ASK_S)

    async def look(self) -> Sighting:
        """Look at the page; inside, with what Meet's own messages tell of the people."""
        seen = await super().look()
        if seen.presence is Presence.CONNECTING and (seen.wall is None or seen.wall.reason is Reason.BLOCKED):
            seen = replace(seen, presence=await self._told_by_form())
        if seen.presence in {Presence.LOBBY, Presence.INSIDE}:
            self._last_place = seen.presence
        if seen.presence is not Presence.INSIDE:
            return seen
        await self._open_chat()
        seen = replace(seen, chat=tuple(self._signed(line) for line in seen.chat))
        async with asyncio.timeout(_LOOK_S):
            return complete(seen, read_roster(await self.driver.page.evaluate(ASK)), self.name)

    async def say(self, text: str) -> None:
        """Write into the chat."""
        await self._wake()
        await super().say(text)

    async def leave(self) -> None:
        """Press the page's leave control."""
        await self._wake()
        await super().leave()

    async def _open(self, url: str) -> None:
        await super()._open(in_known_language(url))

    async def _give_name(self) -> None:
        """Write the name, until the field holds it: the page may draw the form anew meanwhile."""
        await self.driver.require_way()
        while True:
            field = await self._name_field()
            await field.fill(self.name, timeout=_DEVICE_S * 1000)
            await asyncio.sleep(_POLL_S)
            if await field.is_visible() and await field.input_value() == self.name:
                return

    async def _name_field(self) -> Locator:
        """Find the field; a page that does not draw its form, as a part of it was lost on the way, is opened anew."""
        try:
            async with asyncio.timeout(_FORM_S):
                return await self.driver.find("name")
        except TimeoutError:
            log.warning("form_missing")
            await self.driver.page.reload(wait_until="domcontentloaded")
            return await self.driver.find("name")

    async def _turn_off(self, control: str) -> None:
        """Press until the page no longer shows that the device is on; without devices it never did."""
        while await self.driver.press_if_there(control):
            # A second press, before the first one shows, would turn it on again.
            await self._is_gone(control, within_s=_SWITCHED_S)

    async def _ask_to_join(self) -> None:
        """Press the button until the page has taken it."""
        await self.driver.require_way()
        while True:
            await self.driver.press(await self._join_button())
            self._has_asked = True
            if await self._is_gone("name", within_s=_ASKED_S):
                return
            log.warning("request_not_taken")

    async def _join_button(self) -> str:
        """Tell the button by its words; where the page speaks another language, by its form."""
        try:
            async with asyncio.timeout(_KNOWN_WORDS_S):
                await self.driver.find("join")
        except TimeoutError:
            return "join_by_form"
        return "join"

    async def _is_gone(self, control: str, *, within_s: float) -> bool:
        """Wait for a control to go away, or for the page to be past the form; say whether it came so.

        Raises:
            JoinFailed: Something is in the way that a person has to deal with.
        """
        try:
            async with asyncio.timeout(within_s):
                while await self.driver.find_now(control) is not None:
                    await self.driver.require_way()
                    if (await self.driver.look()).presence is not Presence.CONNECTING:
                        break
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            return False
        return True

    async def _told_by_form(self) -> Presence:
        """Tell by what stands on the page where it is when none of its words is known.

        The page that follows a call is the end of a visit, or the answer to who waits in the lobby. After the request,
        a page that one can leave is the lobby.
        """
        if self._last_place is not None and await self.driver.find_now("end_screen") is not None:
            return Presence.ENDED if self._last_place is Presence.INSIDE else Presence.REJECTED
        if self._has_asked and self._last_place is not Presence.INSIDE:
            return Presence.LOBBY if await self.driver.find_now("leave") is not None else Presence.CONNECTING
        return Presence.CONNECTING

    async def _open_chat(self) -> None:
        """Open the chat, which is nowhere else to be read; some meetings have none, so it is tried a few times only."""
        chat = self.driver.knowledge.chat
        if chat is None or self._chat_tries >= _MOST_CHAT_TRIES:
            return
        self._chat_tries += 1
        if await self.driver.first_visible(chat.field, "chat_field") is not None:
            self._chat_tries = _MOST_CHAT_TRIES
            return
        await self._wake()
        opener = await self.driver.first_visible(chat.open, "chat_open")
        if opener is not None:
            await press_quietly(opener)

    def _signed(self, line: ChatLine) -> ChatLine:
        """Give the bot's own lines its name: the page calls it "You"."""
        own_names = {name.lower() for name in self.driver.knowledge.people.own_names}
        return replace(line, sender=self.name) if line.sender.lower() in own_names else line

    async def _wake(self) -> None:
        """Move the pointer: the page hides its controls from those who do not. Source: Vexa, June 2026."""
        for x in (400, 600):
            await self.driver.page.mouse.move(x, 400)


def in_known_language(url: str) -> str:
    """Return the address of the meeting with its page's words in English."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "hl"]
    return parts._replace(query=urlencode([*query, ("hl", _LANGUAGE)])).geturl()
