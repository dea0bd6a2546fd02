"""`Stage`: what scenarios act on, the same for every platform. A replica's differs by the data of its folder alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from playwright.async_api import Browser
from tests.replicas.browser import replica_browser
from tests.replicas.meeting import Meeting
from tests.replicas.news import Look, Participant, Phase, Sound, Told, WallKind
from tests.replicas.people import Crowd, Spoken, crowd, people_browser
from tests.replicas.relay import Relay
from tests.replicas.site import Served, Site, load_site, serving_sites
from tests.support.eventually import eventually

from usher.domain.meeting import Platform

_PATIENCE_S = 60.0

Departure = Literal["left", "cancelled", "closed", "over"]
"""How the bot went: by the page's leave control, by taking its request back, by closing its page, or with the call."""


class Actor(Protocol):
    """Somebody in the call."""

    name: str

    async def leave(self) -> None:
        """Leave the call."""
        ...

    async def rename(self, name: str) -> None:
        """Go under another name."""
        ...

    async def hum(self, *, on: bool, at: float = 0.0) -> float:
        """Switch the hum at a moment, at once if it is over; return when, in seconds since the epoch."""
        ...


class Stage(Protocol):
    """One call, and what happens in it.

    Attributes:
        platform: Which platform it is on.
        url: Where the bot joins.
        browser: The bot's browser.
        bot: What the page told of the bot.
    """

    platform: Platform
    url: str
    browser: Path
    bot: Told

    async def person(self, name: str, hum_hz: int | None = None, *, host: bool = False) -> Actor:
        """Let somebody come, who hums if a pitch is given."""
        ...

    def open_door(self) -> None:
        """Let everybody in who asks."""
        ...

    async def knock(self) -> None:
        """Wait until the bot asks to be let in."""
        ...

    async def admit(self) -> None:
        """Let the bot in, as soon as it asks."""
        ...

    async def deny(self) -> None:
        """Deny the bot's request, as soon as it asks."""
        ...

    async def remove_bot(self) -> None:
        """Put the bot out of the call."""
        ...

    async def end_meeting(self) -> None:
        """End the call for all."""
        ...

    async def bot_is(self, phase: Phase) -> None:
        """Wait until the bot is there."""
        ...

    async def gone(self, departure: Departure) -> None:
        """Wait until nothing of the bot is in the call, and check how it went: nobody may see a ghost."""
        ...


class _ReplicaActor:
    """Implements `Actor`."""

    def __init__(self, meeting: Meeting, people: Crowd, who: Participant) -> None:
        self.name = who.name
        self.id = who.id
        self._meeting = meeting
        self._people = people

    async def leave(self) -> None:
        """Leave the call."""
        self._meeting.go(self.id)
        await self._people.leave(self.id)

    async def rename(self, name: str) -> None:
        """Go under another name."""
        self.name = name
        self._meeting.rename(self.id, name)

    async def hum(self, *, on: bool, at: float = 0.0) -> float:
        """Switch the hum."""
        return await self._people.hum(self.id, on=on, at=at)

    async def speak(self, wav: Path, *, at: float = 0.0) -> Spoken:
        """Say a recording."""
        return await self._people.speak(self.id, wav, at=at)


class ReplicaStage:
    """Implements `Stage` for a replica, and what only a replica can do.

    Attributes:
        meeting: The truth.
        site: What the platform's folder tells.
    """

    def __init__(self, house: "House", meeting: Meeting, people: Crowd) -> None:
        self.platform = house.platform
        self.url = house.site.url
        self.browser = house.wrapper
        self.bot = meeting.bot
        self.meeting = meeting
        self.site = house.site
        self._people = people

    async def person(self, name: str, hum_hz: int | None = None, *, host: bool = False) -> _ReplicaActor:
        """Let somebody come."""
        who = self.meeting.come(name, host=host)
        await self._people.join(who.id, who.source, hum_hz or 440)
        actor = _ReplicaActor(self.meeting, self._people, who)
        if hum_hz is not None:
            await actor.hum(on=True)
        return actor

    def open_door(self) -> None:
        """Let everybody in who asks."""
        self.meeting.lobby = False

    async def knock(self) -> None:
        """Wait until the bot asks to be let in."""
        await self.bot_is("lobby")

    async def admit(self) -> None:
        """Let the bot in, as soon as it asks."""
        await self.knock()
        self.meeting.turn("inside")

    async def deny(self) -> None:
        """Deny the bot's request, as soon as it asks."""
        await self.knock()
        self.meeting.turn("denied")

    async def remove_bot(self) -> None:
        """Put the bot out of the call."""
        self.meeting.turn("removed")

    async def end_meeting(self) -> None:
        """End the call for all."""
        self.meeting.turn("ended")

    def show(self, dialog: str) -> None:
        """Let a dialog come up."""
        self.meeting.show(dialog)

    def wall(self, kind: WallKind) -> None:
        """Put something in the way."""
        self.meeting.wall(kind)

    def cut_network(self) -> None:
        """Cut the page off: no sound, and the page sees it."""
        self.meeting.connect(connected=False)

    def restore_network(self) -> None:
        """Let the page back."""
        self.meeting.connect(connected=True)

    def say(self, actor: Actor, text: str) -> None:
        """Let somebody write into the chat."""
        self.meeting.say(actor.name, text)

    async def bot_is(self, phase: Phase) -> None:
        """Wait until the bot is there."""
        await eventually(lambda: self.meeting.phase == phase, timeout_s=_PATIENCE_S)

    async def pressed(self, control: str) -> None:
        """Wait until the bot has pressed a control."""
        await eventually(lambda: control in self.bot.pressed, timeout_s=_PATIENCE_S)

    async def gone(self, departure: Departure) -> None:
        """Wait until the bot's page is gone, and check what it told before."""
        await eventually(lambda: not self.bot.present, timeout_s=_PATIENCE_S)
        assert (self.bot.left, self.bot.cancelled) == (departure == "left", departure == "cancelled")


@dataclass(frozen=True)
class House:
    """A platform's replica that is served, and a browser for people: shared by many calls one after another."""

    platform: Platform
    site: Site
    served: Served
    people: Browser
    wrapper: Path


@asynccontextmanager
async def open_house(platform: Platform, folder: Path) -> AsyncIterator[House]:
    """Serve a platform's replica; certificate and wrapper are written to `folder`."""
    site = load_site(platform)
    async with serving_sites([site], folder) as served, people_browser(served) as people:
        yield House(platform, site, served, people, replica_browser(served, [site], folder))


@asynccontextmanager
async def replica_stage(house: House, sound: Sound | None = None) -> AsyncIterator[ReplicaStage]:
    """Begin a call; sound comes as the platform does it, unless told otherwise."""
    meeting = Meeting(gate=house.site.gate, look=Look(sound=sound or house.site.sound))
    relay = Relay(meeting.look.sound, lambda person_id, speaking: meeting.hear(person_id, speaking=speaking))
    meeting.media = relay
    house.served.meeting = meeting
    async with crowd(house.people, house.served, relay) as people:
        yield ReplicaStage(house, meeting, people)
