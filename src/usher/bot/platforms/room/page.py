"""The room's page as a guest sees it."""

import asyncio

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.platforms.port import JoinFailed, Person, Presence, Sighting, first_line
from usher.bot.platforms.room import knowledge

_OPEN_S = 30.0
_STEP_S = 10.0
_LOOK_S = 5.0


class RoomPage:
    """Drives the room's page: a guest without a microphone."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def join(self, url: str, name: str) -> None:
        """Open the page, give the name, switch the microphone off, ask to join."""
        step_ms = _STEP_S * 1000
        try:
            step = "open the page"
            await self._page.goto(url, wait_until="domcontentloaded", timeout=_OPEN_S * 1000)
            step = "give the name"
            await self._page.get_by_label(knowledge.NAME_FIELD).fill(name, timeout=step_ms)
            step = "switch the microphone off"
            await self._page.get_by_label(knowledge.MICROPHONE_SWITCH).set_checked(False, force=True, timeout=step_ms)
            step = "ask to join"
            await self._page.get_by_role("button", name=knowledge.JOIN_BUTTON).click(timeout=step_ms)
        except PlaywrightError as error:
            raise JoinFailed(step, first_line(error)) from error

    async def look(self) -> Sighting:
        """Look at the page."""
        async with asyncio.timeout(_LOOK_S):
            seen = await self._page.evaluate(knowledge.LOOK)
        names = {person["id"]: person["name"] for person in seen["people"]}
        return Sighting(
            presence=knowledge.PRESENCE.get(seen["state"], Presence.BROKEN),
            people=tuple(Person(person["name"], person["isSelf"]) for person in seen["people"]),
            voices={sound["track"]: names[sound["id"]] for sound in seen["sounds"] if sound["id"] in names},
        )

    async def leave(self) -> None:
        """Press the button that is there: Leave in the meeting, Cancel in the lobby."""
        for button in (knowledge.LEAVE_BUTTON, knowledge.CANCEL_BUTTON):
            found = self._page.get_by_role("button", name=button, exact=True)
            if await found.count() and await found.first.is_visible():
                await found.first.click(timeout=_STEP_S * 1000)
                return
