"""The course of a visit inside the browser: join, wait, be there, and know how it ended."""

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass

import structlog
from playwright.async_api import Error as PlaywrightError

from usher.bot.platforms import MeetingPage, Presence, Sighting
from usher.bot.platforms.port import JoinFailed, Wall, first_line
from usher.bot.stay import Ending
from usher.domain.lifecycle import HELPABLE, Reason
from usher.protocol.bot import Patience

log = structlog.get_logger(__name__)

_BLIND_LOOKS = 5
_HELP_LOOKS_S = 1.0

_ON_THE_WAY = frozenset({Presence.CONNECTING, Presence.RECONNECTING})


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks at the page: on the way in, and inside."""

    on_the_way_s: float = 0.3
    inside_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of what happens in the meeting.

    Attributes:
        seen: Told of every look inside of the meeting.
        help_wanted: Told once of each wall for which a person is waited.
    """

    joining: Callable[[], None]
    waiting: Callable[[], None]
    admitted: Callable[[], None]
    seen: Callable[[Sighting], None]
    help_wanted: Callable[[Wall], None]


_ENDINGS = {
    Presence.REJECTED: Ending(0, Reason.REJECTED, "the host denied the request to join"),
    Presence.REMOVED: Ending(0, Reason.EVICTED, "the host removed the bot"),
    Presence.ENDED: Ending(0, Reason.MEETING_ENDED, "the meeting is over"),
    Presence.BROKEN: Ending(1, Reason.CONNECTION_LOST, "the page lost its connection to the meeting"),
}


_BLIND = Sighting(Presence.BROKEN)
"""What is seen of a page that cannot be looked at several times running."""


class Visit:
    """One visit, from the door to its end. It ends by itself; whoever wants it to end sooner cancels it."""

    def __init__(self, page: MeetingPage, patience: Patience, watch: Watch, pace: Pace = Pace()) -> None:
        self._pace = pace
        self._page = page
        self._patience = patience
        self._watch = watch
        self._alone_since: float | None = None
        self._outside_since: float | None = None
        self._waiting_since: float | None = None
        self._met_somebody = False

    async def run(self, url: str, name: str) -> Ending:
        """Join, wait, attend."""
        self._watch.joining()
        try:
            presence = await self._find_way_in(url, name)
            if presence is Presence.LOBBY:
                presence = await self._wait_in_lobby()
        except JoinFailed as error:
            return _not_joined(error)
        except PlaywrightError as error:
            return Ending(1, Reason.JOIN_FAILED, f"{self._page.step}: {first_line(error)}")
        if presence is Presence.LOBBY:
            return Ending(0, Reason.ADMISSION_TIMEOUT, f"not admitted within {self._patience.admission_s:.0f} s")
        if presence is not Presence.INSIDE:
            return _before_admission(presence)
        self._watch.admitted()
        return await self._attend()

    async def _find_way_in(self, url: str, name: str) -> Presence:
        """Go in up to the lobby or the meeting; where a wall is dealt with by a person, go on from there.

        Raises:
            JoinFailed: There is no way.
        """
        begin = self._page.join(url, name)
        while True:
            try:
                async with asyncio.timeout(self._patience.join_s):
                    await begin
                    return await self._wait_while(_ON_THE_WAY)
            except TimeoutError:
                raise JoinFailed(self._page.step, f"no way in after {self._patience.join_s:.0f} s") from None
            except JoinFailed as error:
                if error.wall is not None and await self._is_early(error.wall):
                    begin = self._page.join(url, name)
                elif error.wall is not None and await self._is_helped(error.wall):
                    begin = self._page.resume()
                else:
                    raise

    async def _is_early(self, wall: Wall) -> bool:
        """Wait before another try where the host has not begun; say whether there is to be one."""
        if wall.reason is not Reason.NOT_STARTED:
            return False
        # This is a wait for people as the lobby is: together they last no longer than the lobby alone may.
        left_s = min(self._patience.host_s, self._patience.admission_s) - self._wait_for_people()
        if left_s <= 0:
            return False
        await asyncio.sleep(min(self._patience.host_every_s, left_s))
        return True

    def _wait_for_people(self) -> float:
        """Tell, once, that it is on others whether the bot gets in; return for how many seconds it has been so."""
        now = asyncio.get_running_loop().time()
        if self._waiting_since is None:
            self._waiting_since = now
            self._watch.waiting()
        return now - self._waiting_since

    async def _is_helped(self, wall: Wall) -> bool:
        """Wait for a person to deal with a wall; say whether one did in time."""
        if self._patience.help_s <= 0 or wall.reason not in HELPABLE:
            return False
        log.warning("help_wanted", reason=wall.reason)
        self._watch.help_wanted(wall)
        try:
            async with asyncio.timeout(self._patience.help_s):
                await self._wait_while_walled()
        except TimeoutError:
            return False
        return True

    async def _wait_while_walled(self) -> None:
        while True:
            if (await self._look()).wall is None:
                return
            await asyncio.sleep(_HELP_LOOKS_S)

    async def _wait_in_lobby(self) -> Presence:
        left_s = self._patience.admission_s - self._wait_for_people()
        try:
            async with asyncio.timeout(left_s):
                # Pages that let one in show for a moment that they connect.
                return await self._wait_while({Presence.LOBBY, *_ON_THE_WAY})
        except TimeoutError:
            return Presence.LOBBY

    async def _wait_while(self, presences: Set[Presence]) -> Presence:
        while True:
            seen = await self._look()
            if seen.wall is not None and seen.presence in _ON_THE_WAY:
                raise JoinFailed(self._page.step, f"the page says {seen.wall.sign!r}", seen.wall)
            if seen.presence not in presences:
                return seen.presence
            await asyncio.sleep(self._pace.on_the_way_s)

    async def _attend(self) -> Ending:
        while True:
            seen = await self._look()
            if seen is _BLIND:
                return Ending(1, Reason.PAGE_CRASHED, "the page is not to be seen any more")
            if seen.presence in _ENDINGS:
                return _ENDINGS[seen.presence]
            self._watch.seen(seen)
            ending = self._loneliness(seen) or self._absence(seen)
            if ending is not None:
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
        return _BLIND

    def _absence(self, seen: Sighting) -> Ending | None:
        """Say when the bot has been out of the meeting for too long, without a word of the page why."""
        if seen.presence is Presence.INSIDE:
            self._outside_since = None
            return None
        now = asyncio.get_running_loop().time()
        self._outside_since = now if self._outside_since is None else self._outside_since
        in_lobby = seen.presence is Presence.LOBBY
        patience_s = self._patience.admission_s if in_lobby else self._patience.reconnect_s
        if now - self._outside_since < patience_s:
            return None
        if in_lobby:
            return Ending(0, Reason.EVICTED, "the bot was put back into the lobby and not let in again")
        return Ending(1, Reason.CONNECTION_LOST, f"not back in the meeting within {patience_s:.0f} s")

    def _meet(self) -> None:
        if not self._met_somebody:
            log.info("company_met")
        self._met_somebody, self._alone_since = True, None

    def _loneliness(self, seen: Sighting) -> Ending | None:
        if any(not person.is_self and not person.is_bot for person in seen.people):
            self._meet()
            return None
        if not seen.people or seen.presence is not Presence.INSIDE:
            # The bot itself is not in the list either: the page shows no people, which says nothing about who is there.
            return None
        now = asyncio.get_running_loop().time()
        self._alone_since = now if self._alone_since is None else self._alone_since
        patience_s = self._patience.alone_s if self._met_somebody else self._patience.no_one_joined_s
        if now - self._alone_since < patience_s:
            return None
        return Ending(0, Reason.LEFT_ALONE if self._met_somebody else Reason.NO_ONE_JOINED)


def _not_joined(error: JoinFailed) -> Ending:
    """Return the ending for a way in that is closed: final where the page says why, else worth another attempt."""
    if error.wall is None:
        return Ending(1, Reason.JOIN_FAILED, first_line(error), step=error.step)
    return Ending(0, error.wall.reason, first_line(error), step=error.step)


def _before_admission(presence: Presence) -> Ending:
    if presence is Presence.BROKEN:
        return Ending(1, Reason.JOIN_FAILED, "the page lost its connection on the way in")
    if presence is Presence.REMOVED:
        return _ENDINGS[Presence.REJECTED]
    return _ENDINGS[presence]
