"""Looks for controls and presses them, by a platform's knowledge: every look and every press has a time limit."""

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Locator, Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from usher.bot.platforms.port import ChatLine, JoinFailed, Person, Presence, Sighting, SignWatch, Wall, first_line
from usher.bot.platforms.web.bots import is_bot_name
from usher.bot.platforms.web.knowledge import Knowledge, Way
from usher.bot.platforms.web.people import READ_PEOPLE

log = structlog.get_logger(__name__)

_Result = TypeVar("_Result")

_LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8").replace("__PEOPLE__", READ_PEOPLE)
_LOOK_S = 5.0
_POLL_S = 0.2
_PRESS_S = 5.0
_CLEAR_S = 1.5
_KEY_MS = 20.0
_MOST_OBSTACLES = 5
_MOST_PEOPLE = 1000
_MOST_LINES = 50
_MOST_ID = 255

_IS_IN_FRONT = """(element) => {
  const box = element.getBoundingClientRect();
  const met = element.getRootNode().elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return met === null || element.contains(met);
}"""

_IN_MOTION = ("Execution context was destroyed", "Cannot find context", "Frame was detached")
"""How the browser's library says that a document gave way to the next one while it was looked at."""

_PRESENCES = (
    ("removed", Presence.REMOVED),
    ("ended", Presence.ENDED),
    ("rejected", Presence.REJECTED),
    ("broken", Presence.BROKEN),
    ("reconnecting", Presence.RECONNECTING),
    ("lobby", Presence.LOBBY),
    ("inside", Presence.INSIDE),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken, or was tried.

    Attributes:
        ways: By which of its ways each control was found last, counted from 0: others than the first are fall-backs.
    """

    step: str
    seconds: float
    works: bool
    ways: Mapping[str, int]


class Driver:
    """A page of one platform.

    Args:
        page: The browser's page.
        knowledge: What is known of the platform.

    Attributes:
        step: The step that is being taken, for evidence.
        taken: The steps until now.
    """

    def __init__(self, page: Page, knowledge: Knowledge) -> None:
        self.page = page
        self.knowledge = knowledge
        self.step = ""
        self.taken: list[Taken] = []
        self._signs: SignWatch | None = None
        self._ways: dict[str, int] = {}
        self._facts = _look_facts(knowledge)

    async def take(self, step: str, work: Awaitable[_Result], *, within_s: float) -> _Result:
        """Take one step of the way in.

        Raises:
            JoinFailed: It did not work in its time; names the step.
        """
        self.step, self._ways = step, {}
        begun, works = asyncio.get_running_loop().time(), False
        try:
            async with asyncio.timeout(within_s):
                result = await work
        except TimeoutError as error:
            raise JoinFailed(step, f"not done within {within_s:.0f} s") from error
        except PlaywrightError as error:
            raise JoinFailed(step, first_line(error)) from error
        else:
            works = True
            return result
        finally:
            self.taken.append(Taken(step, asyncio.get_running_loop().time() - begun, works, self._ways))

    async def find(self, control: str, meanwhile: Sequence[str] = ()) -> Locator:
        """Return the control by the first way on which it is visible; wait for it, and put obstacles away meanwhile.

        The caller's step limits the time.

        Args:
            control: Its name in the knowledge.
            meanwhile: Controls that lead to it: the first of them that is there is pressed.

        Raises:
            JoinFailed: The page says that there is no way in, or that a person is needed.
        """
        while True:
            try:
                found = await self.find_now(control)
                if found is not None:
                    return found
                await self.require_way()
                await self._press_one(meanwhile)
            except PlaywrightError as error:
                # Pages go from one address to the next by themselves.
                log.debug("page_in_motion", control=control, error=type(error).__name__)
            await asyncio.sleep(_POLL_S)

    async def find_now(self, control: str) -> Locator | None:
        """Return the control if it is visible now."""
        return await self.first_visible(self.knowledge.ways(control), control)

    async def first_visible(self, ways: Sequence[Way], control: str, *, in_front: bool = False) -> Locator | None:
        """Return the first visible element by the ways, in their order; if asked, one that nothing lies over."""
        for scope in await self.scopes():
            locators = [_locator(scope, way) for way in ways]
            # Most controls are on few pages: one question tells of all the ways that there is nothing.
            if not locators or await reduce(Locator.or_, locators).count() == 0:
                continue
            for rank, locator in enumerate(locators):
                for found in await locator.all():
                    if await found.is_visible() and (not in_front or await _is_in_front(found)):
                        self._ways[control] = rank
                        return found
        return None

    async def press(self, control: str) -> None:
        """Press the control, as soon as it is there and enabled, and nothing stands in front of it.

        The caller's step limits the time.

        Raises:
            JoinFailed: As `find`.
        """
        while not await _is_pressed(await self.find(control)):
            await self.require_way()

    async def type_into(self, control: str, text: str) -> None:
        """Type over what the field holds, key by key: some pages take no notice of a value that is set.

        Raises:
            JoinFailed: The field does not hold the text afterwards.
        """
        await self.press(control)
        field = await self.find(control)
        await field.press("ControlOrMeta+a")
        await field.press("Delete")
        await field.press_sequentially(text, delay=_KEY_MS)
        held = await field.evaluate("(field) => field.value ?? field.textContent", timeout=_PRESS_S * 1000)
        if str(held).strip() != text.strip():
            raise JoinFailed(self.step, f"the field {control} does not hold what was typed")

    async def press_if_there(self, control: str) -> bool:
        """Press the control if it is there now; say whether it was. Puts away what stands in front of it.

        The caller limits the time.
        """
        while (found := await self.find_now(control)) is not None:
            if await _is_pressed(found):
                return True
            await self.look()
        return False

    async def wake(self) -> None:
        """Move the mouse a little: the bars of a meeting hide while it rests."""
        for x in (400, 440):
            await self.page.mouse.move(x, 400)

    async def require_way(self) -> None:
        """Look at the page, put obstacles away, and go on if there may still be a way in.

        Raises:
            JoinFailed: There is none; the reason is the page's.
        """
        for _ in range(_MOST_OBSTACLES):
            seen = await self._see()
            if (wall := self._sighting(seen).wall) is not None:
                raise JoinFailed(self.step, f"the page says {wall.sign!r}", wall)
            if not await self._put_away(seen["obstacles"]):
                return

    async def look(self) -> Sighting:
        """Look at the page once, and put away the obstacles that are seen."""
        seen = await self._see()
        await self._put_away(seen["obstacles"])
        sighting = self._sighting(seen)
        if sighting.presence is Presence.INSIDE:
            await self._run_watch()
        return sighting

    def watch_signs(self, watch: SignWatch) -> None:
        """Have the signs of who speaks watched from the first look inside on, in whatever document shows the people."""
        self._signs = watch if self.knowledge.people.speaks else None

    async def _run_watch(self) -> None:
        if self._signs is None:
            return
        people = self.knowledge.people.model_dump(mode="json")
        async with asyncio.timeout(_LOOK_S):
            await (await self.scopes())[0].evaluate(self._signs.script, self._signs.argument(people))

    async def _see(self) -> dict[str, Any]:
        """Look at every scope; a page that goes to another address in this moment is looked at there."""
        async with asyncio.timeout(_LOOK_S):
            while True:
                try:
                    return _together([await scope.evaluate(_LOOK, self._facts) for scope in await self.scopes()])
                except PlaywrightError as error:
                    if not any(sign in str(error) for sign in _IN_MOTION):
                        raise
                    await asyncio.sleep(_POLL_S)

    async def scopes(self) -> list[Page | Frame]:
        """Return where to look: in the frame that the client runs in, if there is one, and in the page around it."""
        if self.knowledge.frame is None:
            return [self.page]
        holder = await self.page.query_selector(self.knowledge.frame)
        frame = await holder.content_frame() if holder is not None else None
        return [self.page] if frame is None else [frame, self.page]

    async def _press_one(self, controls: Sequence[str]) -> None:
        for control in controls:
            if (found := await self.find_now(control)) is not None:
                await found.click(timeout=_PRESS_S * 1000)
                return

    async def _put_away(self, obstacles: list[str | None]) -> bool:
        """Press what puts the seen obstacles away; say whether there was anything to press."""
        pressed = False
        for obstacle, sign in zip(self.knowledge.obstacles, obstacles, strict=True):
            if sign is None:
                continue
            # Of two obstacles, one over the other, the upper one is put away first.
            button = await self.first_visible(obstacle.press, "obstacle", in_front=True)
            if button is not None:
                log.info("obstacle_put_away", sign=sign)
                pressed = True
                # What goes away by itself in this moment need not be pressed.
                await press_quietly(button)
        return pressed

    def _sighting(self, seen: dict[str, Any]) -> Sighting:
        matched = seen["matched"]
        presence = next((p for name, p in _PRESENCES if matched[name] is not None), Presence.CONNECTING)
        walls = zip(self.knowledge.walls, seen["walls"], strict=True)
        return Sighting(
            presence=presence,
            people=tuple(_person(person) for person in seen["people"]),
            wall=next((Wall(wall.reason, sign) for wall, sign in walls if sign is not None), None),
            chat=tuple(ChatLine(line["id"][:_MOST_ID], line["sender"], line["text"]) for line in seen["chat"]),
        )


def _together(looks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the looks at a page's parts as one: of each thing, what the first part says that says anything."""
    first, *others = looks
    for other in others:
        first["matched"] = {name: told or other["matched"][name] for name, told in first["matched"].items()}
        for kind in ("walls", "obstacles"):
            first[kind] = [one or two for one, two in zip(first[kind], other[kind], strict=True)]
        first["people"] = first["people"] or other["people"]
        first["chat"] = first["chat"] or other["chat"]
    return first


async def _is_in_front(element: Locator) -> bool:
    """Say whether a press in the middle of the element would meet it; outside of the window nothing lies over it."""
    try:
        return bool(await element.evaluate(_IS_IN_FRONT, timeout=_CLEAR_S * 1000))
    except PlaywrightTimeoutError:
        return False


async def _is_pressed(button: Locator) -> bool:
    """Press; say whether it was possible, or something is in front of it that may have to be put away first."""
    try:
        await button.click(timeout=_CLEAR_S * 1000)
    except PlaywrightTimeoutError:
        log.info("press_in_vain")
        return False
    return True


async def press_quietly(button: Locator) -> None:
    """Press if it is possible at once; what is not, another look comes back to."""
    try:
        # One obstacle may stand in front of another: the next look comes back to it.
        await button.click(timeout=_CLEAR_S * 1000)
    except PlaywrightError as error:
        log.info("obstacle_not_pressed", error=type(error).__name__)


def _look_facts(knowledge: Knowledge) -> dict[str, Any]:
    facts = knowledge.model_dump(
        include={"silent", "signs", "walls", "obstacles", "people", "chat"},
        exclude={"obstacles": {"__all__": {"press"}}, "chat": {"open", "field", "send"}},
        mode="json",
    )
    return {**facts, "most_people": _MOST_PEOPLE, "most_lines": _MOST_LINES}


def _person(seen: dict[str, Any]) -> Person:
    return Person(
        name=seen["name"],
        is_self=seen["own"],
        person_id=seen["id"][:_MOST_ID],
        is_bot=is_bot_name(seen["name"]),
        speaks=seen["speaks"],
    )


def _locator(scope: Page | Frame, way: Way) -> Locator:
    if way.css is not None:
        return scope.locator(way.css)
    words = _words(way)
    if way.role is not None:
        # The library's type of roles is a long list of literals; the knowledge is checked by the platforms' tests.
        role: Any = way.role
        return scope.get_by_role(role, name=words) if way.name else scope.get_by_role(role)
    if way.label:
        return scope.get_by_label(words)
    if way.placeholder:
        return scope.get_by_placeholder(words)
    return scope.get_by_text(words)


def _words(way: Way) -> re.Pattern[str]:
    """Return a pattern of any of the way's words, with either form of apostrophe."""
    said = way.name or way.label or way.placeholder or way.text
    one = "|".join(re.escape(word).replace("'", "['\\u2019]") for word in said)
    return re.compile(one if way.part else rf"^\s*(?:{one})\s*$", re.IGNORECASE)
