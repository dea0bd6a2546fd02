"""A visit to Zoom: launcher, form, the request, and what has to be put in order inside."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.platforms.port import JoinFailed, Person, Presence, Sighting, Wall
from usher.bot.platforms.web.meeting import WebMeeting
from usher.bot.platforms.zoom.settling import Settling
from usher.domain.lifecycle import Reason

log = structlog.get_logger(__name__)

_IDENTITIES = Path(__file__).with_name("identities.js").read_text(encoding="utf-8")
# The type of cookies has no public name.
_ENGLISH: Any = {"name": "_zm_lang", "value": "en-US", "domain": ".zoom.us", "path": "/"}
_GATE_S = 60.0
_NAME_S = 30.0
_PASSCODE_S = 15.0
_DEVICE_S = 15.0
_ASK_S = 45.0
_TAKEN_S = 8.0
_SWITCHED_S = 2.0
_PRESSES = 2
_POLL_S = 0.2
_OUT_LOOKS = 3
_LOOK_S = 5.0
_OWN_CHAT_NAMES = frozenset({"me", "ich"})


class ZoomPage(WebMeeting):
    """Implements `MeetingPage` for Zoom's public web client."""

    knowledge = Path(__file__).with_name("knowledge.toml")

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._passcode = ""
        self._settling = Settling(self.driver)
        self._was_inside = False

    async def join(self, url: str, name: str) -> None:
        """Open the page and take the steps; the address may hold the passcode."""
        self._passcode = next(iter(parse_qs(urlsplit(url).query).get("pwd", [])), "")
        await super().join(url, name)

    async def prepare(self) -> None:
        """Choose English, as a visitor does at the foot of Zoom's pages, and give people ids that stay."""
        await self.driver.page.context.add_cookies([_ENGLISH])
        await self.driver.page.add_init_script(_IDENTITIES)

    async def enter(self) -> None:
        """Launcher, name, passcode, devices off, request."""
        take = self.driver.take
        await take("pass_gate", self.driver.find("name", meanwhile=("from_browser", "launch")), within_s=_GATE_S)
        await take("give_name", self._give_name(), within_s=_NAME_S)
        await take("give_passcode", self._give_passcode(), within_s=_PASSCODE_S)
        await take("microphone_off", self._turn_off("microphone_is_on"), within_s=_DEVICE_S)
        await take("camera_off", self._turn_off("camera_is_on"), within_s=_DEVICE_S)
        await take("ask_to_join", self._ask_to_join(), within_s=_ASK_S)

    async def look(self) -> Sighting:
        """Look at the page; inside, put things in order, once the first look has told of the admission."""
        seen = self._with_own_name(await super().look())
        if seen.presence is Presence.INSIDE:
            if self._was_inside:
                await self._settling.go_on()
            self._was_inside = True
        return seen

    async def leave(self) -> None:
        """Press the page's leave control, which hides while the mouse rests."""
        await self.driver.wake()
        try:
            await super().leave()
        except PlaywrightError:
            # The app around the client goes to another page, and takes the client's frame with it.
            if (await self.driver.look()).presence in {Presence.INSIDE, Presence.LOBBY}:
                raise

    async def say(self, text: str) -> None:
        """Write into the chat."""
        await self.driver.wake()
        await super().say(text)

    async def _confirm_leave(self) -> None:
        """Press what the page asks to be pressed, and wait until it shows nothing of the meeting.

        The bar, by which the meeting is told, gives way to the question, which may come a moment later.
        """
        misses = 0
        while misses < _OUT_LOOKS:
            pressed = await self.driver.press_if_there("leave_confirm")
            seen = await self.driver.look()
            misses = 0 if pressed or seen.presence in {Presence.INSIDE, Presence.LOBBY} else misses + 1
            await asyncio.sleep(_POLL_S)

    async def _give_name(self) -> None:
        """Type the name, once what lies over the form is put away."""
        await self.driver.require_way()
        await self.driver.type_into("name", self.name)

    async def _give_passcode(self) -> None:
        """Type the passcode, if the form asks for one that it does not hold already."""
        field = await self.driver.find_now("passcode")
        if field is None or await field.input_value(timeout=_LOOK_S * 1000):
            return
        if not self._passcode:
            raise JoinFailed(self.step, "the meeting asks for a passcode, and none was given", _passcode_wall())
        await self.driver.type_into("passcode", self._passcode)

    async def _turn_off(self, control: str) -> None:
        """Press until the page no longer says that the device is on.

        Without devices, or without leave to use them, the page says so for ever: then nothing can be on.
        """
        for _ in range(_PRESSES):
            if not await self.driver.press_if_there(control) or await self._is_gone(control, within_s=_SWITCHED_S):
                return
        log.warning("switch_without_effect", control=control)

    async def _ask_to_join(self) -> None:
        """Press the button until the page goes on."""
        while True:
            await self.driver.press("join")
            if await self._is_gone("join", within_s=_TAKEN_S):
                return
            if await self.driver.find_now("passcode") is not None:
                raise JoinFailed(self.step, "the page did not take the passcode", _passcode_wall())
            log.warning("request_not_taken")

    async def _is_gone(self, control: str, *, within_s: float) -> bool:
        """Wait for a control to go away; say whether it did.

        Raises:
            JoinFailed: Something is in the way that a person has to deal with.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline:
            await self.driver.require_way()
            if await self.driver.find_now(control) is None:
                return True
            await asyncio.sleep(_POLL_S)
        return False

    def _with_own_name(self, seen: Sighting) -> Sighting:
        """Tell the bot by its name where the page does not mark it: tiles do not, and the chat calls it "Me"."""
        chat = tuple(
            replace(line, sender=self.name) if line.sender.lower() in _OWN_CHAT_NAMES else line for line in seen.chat
        )
        return replace(seen, people=_with_self(seen.people, self.name), chat=chat)


def _with_self(people: tuple[Person, ...], name: str) -> tuple[Person, ...]:
    if any(person.is_self for person in people):
        return people
    return tuple(replace(person, is_self=True) if person.name == name else person for person in people)


def _passcode_wall() -> Wall:
    return Wall(Reason.PASSCODE_WRONG, "the passcode field")
