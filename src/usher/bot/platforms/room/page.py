"""The room's page as a guest sees it."""

import asyncio

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.platforms.port import JoinFailed, NotPossible, Person, Presence, Sighting, SignWatch, first_line
from usher.bot.platforms.room import knowledge
from usher.bot.platforms.web.bots import is_bot_name

_OPEN_S = 30.0
_STEP_S = 10.0
_LOOK_S = 4.0


class RoomPage:
    """Drives the room's page: a guest without a microphone."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._name = ""
        self.step = ""

    def watch_signs(self, watch: SignWatch) -> None:
        """Do nothing: each person in a room has a track of their own."""

    async def join(self, url: str, name: str) -> None:
        """Open the page, give the name, switch the microphone off, ask to join."""
        self._name = name
        try:
            self.step = "open_page"
            await self._page.goto(url, wait_until="domcontentloaded", timeout=_OPEN_S * 1000)
            await self._enter()
        except PlaywrightError as error:
            raise JoinFailed(self.step, first_line(error)) from error

    async def resume(self) -> None:
        """Do nothing: nothing of the room is ever in the way."""

    async def _enter(self) -> None:
        step_ms = _STEP_S * 1000
        self.step = "give_name"
        await self._page.get_by_label(knowledge.NAME_FIELD).fill(self._name, timeout=step_ms)
        self.step = "microphone_off"
        await self._page.get_by_label(knowledge.MICROPHONE_SWITCH).set_checked(False, force=True, timeout=step_ms)
        self.step = "ask_to_join"
        await self._page.get_by_role("button", name=knowledge.JOIN_BUTTON).click(timeout=step_ms)

    async def look(self) -> Sighting:
        """Look at the page."""
        async with asyncio.timeout(_LOOK_S):
            seen = await self._page.evaluate(knowledge.LOOK)
        return Sighting(
            presence=knowledge.PRESENCE.get(seen["state"], Presence.BROKEN),
            people=tuple(
                Person(person["name"], person["isSelf"], person["id"], is_bot_name(person["name"]))
                for person in seen["people"]
            ),
            voices={sound["track"]: sound["id"] for sound in seen["sounds"]},
        )

    async def say(self, text: str) -> None:  # noqa: ARG002 - the port's
        """Refuse: the room has no chat."""
        raise NotPossible("the room has no chat")

    async def rename(self, name: str) -> None:  # noqa: ARG002 - the port's
        """Refuse: names in the room are for good."""
        raise NotPossible("the room does not let a guest change their name")

    async def leave(self) -> None:
        """Press the button that is there: Leave in the meeting, Cancel in the lobby."""
        for button in (knowledge.LEAVE_BUTTON, knowledge.CANCEL_BUTTON):
            found = self._page.get_by_role("button", name=button, exact=True)
            if await found.count() and await found.first.is_visible():
                await found.first.click(timeout=_STEP_S * 1000)
                return
