"""The built-in room as a `Stage`: no replica, but the real room with its real page and server."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.replicas.news import Phase, Told
from tests.replicas.stage import Departure
from tests.support.bot_room import HummingRoom, Person, humming_room

from usher.adapters.embedded.chromium import find_chromium
from usher.domain.meeting import Platform

_BOT = "Usher"
_ANY_HZ = 440

NOT_IN_THE_ROOM: Mapping[str, str] = {
    "admitted_at_once": "the room's host is asked about everybody",
    "a_rename_keeps_the_voice": "nobody changes their name in the room",
    "a_lost_network_heals": "the room's page is out when it loses its server, and says so",
    "a_network_that_is_gone_for_good": "the same",
    "dialogs_before_the_meeting": "the room's page has no dialogs",
    "dialogs_inside_the_meeting": "the room's page has no dialogs",
    "other_class_names": "the room's page is of this repository: it changes together with the bot",
    "a_slow_page": "a page of the room is no slower than the machine",
    "a_second_language": "the room speaks English",
    "a_captcha": "the room has none",
    "a_block": "the room has none",
    "a_sign_in_wall": "the room has none",
    "a_person_deals_with_the_captcha": "the room has none",
    "a_meeting_that_is_not_found": "a room opens when its host comes",
    "the_chat_is_read": "the room has no chat",
    "the_chat_is_written": "the room has no chat",
    "a_stop_as_the_page_opens": "the room's page is drawn at once",
    "a_stop_before_the_request": "the room's way in has no step that takes its time",
}
"""Scenarios that do not exist in the room, and why."""


class _RoomActor:
    """Implements `Actor`."""

    def __init__(self, name: str, person: Person, witnesses: list[Person]) -> None:
        self.name = name
        self.person = person
        self._witnesses = witnesses
        witnesses.append(person)

    async def leave(self) -> None:
        """Leave the room."""
        await self.person.leave()
        self._witnesses.remove(self.person)

    async def rename(self, name: str) -> None:
        """Fail: names in the room are for good."""
        raise NotImplementedError(name)

    async def hum(self, *, on: bool, at: float = 0.0) -> float:
        """Switch the hum."""
        await asyncio.sleep(max(0.0, at - time.time()))
        await self.person.hum(on=on)
        return time.time()


class RoomStage:
    """Implements `Stage`."""

    platform = Platform.ROOM

    def __init__(self, room: HummingRoom, browser: Path) -> None:
        self.url = room.url
        self.browser = browser
        self.bot = Told()
        self._room = room
        self._host: Person | None = None
        self._witnesses: list[Person] = []

    @property
    def host(self) -> Person:
        """The one who opened the room."""
        assert self._host is not None, "a room opens with its host"
        return self._host

    async def person(self, name: str, hum_hz: int | None = None, *, host: bool = False) -> _RoomActor:
        """Let somebody come."""
        if host:
            person = self._host = await self._room.host(name, hum_hz=hum_hz or _ANY_HZ)
        else:
            person = await self._room.guest(name, self.host, hum_hz=hum_hz or _ANY_HZ)
        if hum_hz is None:
            await person.hum(on=False)
        return _RoomActor(name, person, self._witnesses)

    def open_door(self) -> None:
        """Fail: the room's host is asked about everybody."""
        raise NotImplementedError

    async def knock(self) -> None:
        """Wait until the bot asks to be let in."""
        await self.host.sees_request(_BOT)

    async def admit(self) -> None:
        """Let the bot in."""
        await self.host.press(f"Admit {_BOT}")
        await self.host.sees(_BOT)
        tile = self.host.page.locator(f'[data-participant-name="{_BOT}"]')
        self.bot.name = _BOT
        self.bot.microphone = await tile.get_attribute("data-microphone") == "live"
        # The room has no pictures.
        self.bot.camera = False

    async def deny(self) -> None:
        """Deny the bot's request."""
        await self.host.press(f"Deny {_BOT}")

    async def remove_bot(self) -> None:
        """Put the bot out."""
        await self.host.press(f"Remove {_BOT}")

    async def end_meeting(self) -> None:
        """End the call for all."""
        await self.host.press("End for all")

    async def bot_is(self, phase: Phase) -> None:
        """Wait until the bot is there."""
        if phase == "lobby":
            await self.knock()
        elif phase == "inside":
            await self.host.sees(_BOT)
        else:
            raise NotImplementedError(phase)

    async def gone(self, departure: Departure) -> None:
        """Wait until nobody who is still there sees the bot; the room takes a closed page for a leave."""
        for witness in self._witnesses if departure != "over" else ():
            await witness.sees(_BOT, here=False)
            await witness.sees_request(_BOT, here=False)


@asynccontextmanager
async def room_stage() -> AsyncIterator[RoomStage]:
    """Serve a room, and a browser for its people."""
    chromium = find_chromium().path
    async with humming_room(chromium) as room:
        yield RoomStage(room, chromium)
