"""A trial of a platform: goes into a meeting as a bot would, and says which steps hold and by what they were found."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Error as PlaywrightError

from usher.bot.browser import OpenBrowser, Outfit, open_browser
from usher.bot.platforms import MeetingPage, Presence, Sighting, open_platform
from usher.bot.platforms.port import JoinFailed, first_line
from usher.bot.platforms.web.driver import Taken
from usher.bot.platforms.web.meeting import WebMeeting
from usher.cli.doctor.finding import Finding
from usher.domain.meeting import MeetingRef

_LOOK_EVERY_S = 0.5
_ON_THE_WAY = frozenset({Presence.CONNECTING, Presence.RECONNECTING, Presence.LOBBY})
_SEEN = {
    Presence.CONNECTING: "the page shows nothing that is known: neither a lobby nor the meeting",
    Presence.RECONNECTING: "the page says that it lost its connection",
    Presence.LOBBY: "in the lobby, and not let in within the time",
    Presence.INSIDE: "in the meeting",
    Presence.REJECTED: "the host denied the request",
    Presence.REMOVED: "the host removed the bot",
    Presence.ENDED: "the meeting is over",
    Presence.BROKEN: "the page broke",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try.

    Attributes:
        meeting: Where to go.
        name: The name to go under.
        admission_s: How long somebody has to let the guest in.
        stay_s: How long to stay and look.
    """

    meeting: MeetingRef
    chromium: Path | None
    headless: bool
    sandbox: bool
    name: str = "Usher doctor"
    admission_s: float = 120.0
    stay_s: float = 5.0


async def try_platform(trial: Trial) -> AsyncIterator[Finding]:
    """Yield a finding for each step of the way in, for what is seen inside, and for the way out. Bounded in time."""
    outfit = Outfit(trial.chromium, headless=trial.headless, sandbox=trial.sandbox)
    try:
        async with open_browser(outfit, script="") as browser:
            async for finding in _visit(trial, browser):
                yield finding
    except PlaywrightError as error:
        yield Finding("browser", False, first_line(error), "`usher doctor` without a platform says more.")


async def _visit(trial: Trial, browser: OpenBrowser) -> AsyncIterator[Finding]:
    page = open_platform(trial.meeting.platform, browser.page)
    failure = ""
    try:
        await page.join(trial.meeting.url, trial.name)
    except JoinFailed as error:
        failure = first_line(error)
    for finding in _steps(page, failure):
        yield finding
    if failure:
        return
    seen = await _wait(page, trial.admission_s)
    yield _judge_presence(seen)
    if seen.presence is not Presence.INSIDE:
        return
    await asyncio.sleep(trial.stay_s)
    for finding in _judge_inside(await page.look()):
        yield finding
    yield await _leave(page)


def _steps(page: MeetingPage, failure: str) -> list[Finding]:
    if not isinstance(page, WebMeeting):
        return [Finding("way in", not failure, failure or "every step was taken")]
    found = [_judge_step(taken, failure) for taken in page.driver.taken]
    if failure and all(finding.ok for finding in found):
        found.append(Finding(page.step or "way in", False, failure))
    return found


def _judge_step(taken: Taken, failure: str) -> Finding:
    if not taken.works:
        return Finding(taken.step, False, failure, "The page may have changed: open it beside this and compare.")
    late = [f"{control} by fall-back {rank}" for control, rank in taken.ways.items() if rank > 0]
    return Finding(taken.step, True, f"{taken.seconds:.1f} s" + (f"; found {', '.join(late)}" if late else ""))


async def _wait(page: MeetingPage, within_s: float) -> Sighting:
    """Look until the way has come to an end; at the latest after the time that somebody has to open."""
    end = asyncio.get_running_loop().time() + within_s
    while True:
        seen = await page.look()
        if seen.wall is not None or seen.presence not in _ON_THE_WAY or asyncio.get_running_loop().time() > end:
            return seen
        await asyncio.sleep(_LOOK_EVERY_S)


def _judge_presence(seen: Sighting) -> Finding:
    if seen.wall is not None and seen.presence is not Presence.INSIDE:
        return Finding("admission", False, f"{seen.wall.reason}: the page says {seen.wall.sign!r}")
    inside = seen.presence is Presence.INSIDE
    remedy = "" if inside or seen.presence is not Presence.LOBBY else "Admit the guest from another window in time."
    return Finding("admission", inside, _SEEN[seen.presence], remedy)


def _judge_inside(seen: Sighting) -> list[Finding]:
    names = [person.name + (" (the bot)" if person.is_self else "") for person in seen.people]
    return [
        Finding(
            "people",
            any(person.is_self for person in seen.people),
            ", ".join(names) or "nobody is seen",
            "" if names else "Without them a bot cannot tell that it is alone; the page may have changed.",
        ),
        Finding("still in", seen.presence is Presence.INSIDE, _SEEN[seen.presence]),
    ]


async def _leave(page: MeetingPage) -> Finding:
    try:
        await page.leave()
        seen = await page.look()
    except (PlaywrightError, TimeoutError) as error:
        return Finding("leave", False, first_line(error) or "the page did not let go within the time")
    return Finding("leave", seen.presence is not Presence.INSIDE, "left through the page's own control")
