"""The course of a visit inside the browser: join, wait, be there, and know how it ended."""

import asyncio
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import structlog
from playwright.async_api import Error as PlaywrightError

from usher.bot.platforms import MeetingPage, Presence, Sighting
from usher.bot.platforms.port import JoinFailed, first_line
from usher.bot.stay import Ending
from usher.domain.lifecycle import Reason
from usher.protocol.bot import Patience

log = structlog.get_logger(__name__)

_BLIND_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks at the page: on the way in, and inside."""

    on_the_way_s: float = 0.3
    inside_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of what happens in the meeting."""

    joining: Callable[[], None]
    waiting: Callable[[], None]
    admitted: Callable[[], None]
    voices: Callable[[Mapping[str, str]], None]


_ENDINGS = {
    Presence.REJECTED: Ending(0, Reason.REJECTED, "the host denied the request to join"),
    Presence.REMOVED: Ending(0, Reason.EVICTED, "the host removed the bot"),
    Presence.ENDED: Ending(0, Reason.MEETING_ENDED, "the meeting is over"),
    Presence.BROKEN: Ending(1, Reason.CRASHED, "the page lost its connection to the meeting"),
}


class Visit:
    """One visit, from the door to its end. It ends by itself; whoever wants it to end sooner cancels it."""

    def __init__(self, page: MeetingPage, patience: Patience, watch: Watch, pace: Pace = Pace()) -> None:
        self._pace = pace
        self._page = page
        self._patience = patience
        self._watch = watch
        self._alone_since: float | None = None
        self._met_somebody = False

    async def run(self, url: str, name: str) -> Ending:
        """Join, wait, attend."""
        self._watch.joining()
        try:
            async with asyncio.timeout(self._patience.join_s):
                await self._page.join(url, name)
                presence = await self._wait_while({Presence.CONNECTING})
        except TimeoutError:
            return Ending(1, Reason.JOIN_FAILED, f"no way in after {self._patience.join_s:.0f} s")
        except (JoinFailed, PlaywrightError) as error:
            return Ending(1, Reason.JOIN_FAILED, first_line(error))
        if presence is Presence.LOBBY:
            presence = await self._wait_in_lobby()
        if presence is Presence.LOBBY:
            return Ending(0, Reason.ADMISSION_TIMEOUT, f"not admitted within {self._patience.admission_s:.0f} s")
        if presence is not Presence.INSIDE:
            return _before_admission(presence)
        self._watch.admitted()
        return await self._attend()

    async def _wait_in_lobby(self) -> Presence:
        self._watch.waiting()
        try:
            async with asyncio.timeout(self._patience.admission_s):
                # Pages that let one in show for a moment that they connect.
                return await self._wait_while({Presence.LOBBY, Presence.CONNECTING})
        except TimeoutError:
            return Presence.LOBBY

    async def _wait_while(self, presences: Set[Presence]) -> Presence:
        while True:
            seen = await self._look()
            if seen.presence not in presences:
                return seen.presence
            await asyncio.sleep(self._pace.on_the_way_s)

    async def _attend(self) -> Ending:
        while True:
            seen = await self._look()
            if seen.presence in _ENDINGS:
                return _ENDINGS[seen.presence]
            self._watch.voices(seen.voices)
            if (ending := self._loneliness(seen)) is not None:
                return ending
            await asyncio.sleep(self._pace.inside_s)

    async def _look(self) -> Sighting:
        """Look at the page; a page that cannot be seen several times running is broken."""
        for _ in range(_BLIND_LOOKS):
            try:
                return await self._page.look()
            except (PlaywrightError, TimeoutError) as error:
                log.warning("page_not_seen", error=type(error).__name__)
                await asyncio.sleep(self._pace.on_the_way_s)
        return Sighting(Presence.BROKEN, (), {})

    def _loneliness(self, seen: Sighting) -> Ending | None:
        if any(not person.is_self for person in seen.people):
            self._met_somebody, self._alone_since = True, None
            return None
        if not seen.people:
            # The bot itself is not in the list either: the page shows no people, which says nothing about who is there.
            return None
        now = asyncio.get_running_loop().time()
        self._alone_since = self._alone_since or now
        patience_s = self._patience.alone_s if self._met_somebody else self._patience.no_one_joined_s
        if now - self._alone_since < patience_s:
            return None
        return Ending(0, Reason.LEFT_ALONE if self._met_somebody else Reason.NO_ONE_JOINED)


def _before_admission(presence: Presence) -> Ending:
    if presence is Presence.BROKEN:
        return Ending(1, Reason.JOIN_FAILED, "the page lost its connection on the way in")
    if presence is Presence.REMOVED:
        return _ENDINGS[Presence.REJECTED]
    return _ENDINGS[presence]
