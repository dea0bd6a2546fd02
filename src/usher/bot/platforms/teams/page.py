"""The way of a guest through Teams' web client."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.platforms.port import JoinFailed, Presence, Sighting, first_line
from usher.bot.platforms.teams.call import LISTEN, READ, Call, complete
from usher.bot.platforms.web.meeting import WebMeeting

log = structlog.get_logger(__name__)

_Result = TypeVar("_Result")

_GATE_S = 60.0
_NAME_S = 30.0
_SWITCH_S = 15.0
_ASK_S = 40.0
_CALL_S = 3.0
_POLL_S = 0.2
_AWAKE_S = 0.1
_CHAT_S = 3.0
_MOST_CHAT_PRESSES = 3
_PRESS_S = 2.0
# A press is repeated when nothing has come of it for so long.
_AGAIN_S = 4.0
# What the form does not show for so long it does not have.
_MISSING_S = 3.0
_FORMS = 5


class TeamsPage(WebMeeting):
    """Drives Teams' page: a guest without microphone and camera.

    Teams reloads itself on the way in, and forgets what the form held: each step brings about a state, whatever it
    finds, and the question is not asked before all of them hold.
    """

    knowledge = Path(__file__).with_name("knowledge.toml")

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._has_asked = False
        self._chat_presses = 0

    async def prepare(self) -> None:
        """Listen to the call from its beginning."""
        await self.driver.page.add_init_script(LISTEN)

    async def enter(self) -> None:
        """Take the steps up to the question, again if the page throws its form away."""
        for _ in range(_FORMS):
            await self._step("pass_gate", self._pass_gate, _GATE_S)
            await self._step("give_name", self._give_name, _NAME_S)
            await self._step("sound_on", self._sound_on, _SWITCH_S)
            await self._step("microphone_off", lambda: self._switch_off("microphone"), _SWITCH_S)
            await self._step("camera_off", lambda: self._switch_off("camera"), _SWITCH_S)
            if await self._step("ask_to_join", self._ask_to_join, _ASK_S):
                return
            log.info("form_lost")
        raise JoinFailed("ask_to_join", f"the page threw its form away {_FORMS} times")

    async def look(self) -> Sighting:
        """Look at the page and at its call; inside, have the chat open, which is nowhere else to be read."""
        seen = await self._see()
        if seen.presence is Presence.CONNECTING and self._has_asked:
            await self.driver.wake()
            await asyncio.sleep(_AWAKE_S)
            seen = await self._see()
        if seen.presence is Presence.INSIDE and self._chat_presses < _MOST_CHAT_PRESSES:
            await self._open_chat()
        return seen

    async def say(self, text: str) -> None:
        """Write into the chat."""
        await self.driver.wake()
        await super().say(text)

    async def leave(self) -> None:
        """Press the page's leave control."""
        async with asyncio.timeout(_PRESS_S):
            await self.driver.wake()
        await super().leave()

    async def _see(self) -> Sighting:
        return complete(await self.driver.look(), await self._call(), self.name)

    async def _open_chat(self) -> None:
        """Open the chat; guests of some meetings have none."""
        with suppress(PlaywrightError, TimeoutError):
            async with asyncio.timeout(_CHAT_S):
                if await self.driver.find_now("chat_field") is not None:
                    self._chat_presses = _MOST_CHAT_PRESSES
                elif await self.driver.press_if_there("chat_open"):
                    self._chat_presses += 1

    async def _call(self) -> Call:
        async with asyncio.timeout(_CALL_S):
            told = [Call.read(await scope.evaluate(READ)) for scope in await self.driver.scopes()]
        return next((call for call in told if call != Call()), Call())

    async def _step(self, name: str, act: Callable[[], Awaitable[_Result]], within_s: float) -> _Result:
        return await self.driver.take(name, self._persist(act), within_s=within_s)

    async def _persist(self, act: Callable[[], Awaitable[_Result]]) -> _Result:
        """Begin the act anew when the page goes away under it, or something lies over what is pressed."""
        while True:
            try:
                return await act()
            except (PlaywrightError, TimeoutError) as error:
                if self.driver.page.is_closed():
                    raise
                log.info("step_begun_anew", step=self.step, error=first_line(error))
            await self._clear()

    async def _clear(self) -> None:
        with suppress(PlaywrightError, TimeoutError):
            await self.driver.require_way()
        await asyncio.sleep(_POLL_S)

    async def _pass_gate(self) -> None:
        """Go on in the browser, up to the form."""
        pressed_at: float | None = None
        while not await self._is_there("name", "join"):
            await self.driver.require_way()
            if _is_due(pressed_at) and await self.driver.press_if_there("continue_in_browser"):
                pressed_at = _now()
            await asyncio.sleep(_POLL_S)

    async def _give_name(self) -> None:
        """Write the name; somebody who is signed in is not asked for one."""
        begun_at = _now()
        while True:
            await self.driver.require_way()
            field = await self.driver.find_now("name")
            if field is None:
                if _now() - begun_at >= _MISSING_S and await self.driver.find_now("join") is not None:
                    log.info("no_name_asked")
                    return
                await asyncio.sleep(_POLL_S)
            elif await field.input_value(timeout=_PRESS_S * 1000) == self.name:
                return
            else:
                await field.fill(self.name, timeout=_PRESS_S * 1000)

    async def _sound_on(self) -> None:
        """Have the meeting's sound played here; most forms do that unasked."""
        await self.driver.require_way()
        choice = await self.driver.find_now("computer_audio")
        if choice is not None and not await choice.is_checked(timeout=_PRESS_S * 1000):
            await choice.click(timeout=_PRESS_S * 1000)
        await self.driver.press_if_there("speaker_off")

    async def _switch_off(self, device: str) -> None:
        """Press until the page shows that the device is off."""
        begun_at = _now()
        while await self.driver.find_now(f"{device}_is_off") is None:
            await self.driver.require_way()
            if await self.driver.press_if_there(f"{device}_on"):
                begun_at = _now()
            elif _now() - begun_at >= _MISSING_S:
                log.warning("no_switch_found", device=device)
                return
            await asyncio.sleep(_POLL_S)

    async def _ask_to_join(self) -> bool:
        """Press the button until the page goes on; say no when what the form held is lost."""
        pressed_at: float | None = None
        while await self._form_holds():
            button = await self.driver.find_now("join")
            is_due = _is_due(pressed_at)
            if button is not None and is_due and await button.is_enabled(timeout=_PRESS_S * 1000):
                self._has_asked = True
                await button.click(timeout=_PRESS_S * 1000)
                pressed_at = _now()
            if await self._went_on() or (button is None and pressed_at is not None and is_due):
                return True
            await asyncio.sleep(_POLL_S)
        return await self._went_on()

    async def _went_on(self) -> bool:
        seen = await self.look()
        if seen.wall is not None:
            raise JoinFailed(self.step, f"the page says {seen.wall.sign!r}", seen.wall)
        return seen.presence is not Presence.CONNECTING

    async def _is_there(self, *controls: str) -> bool:
        """Say whether one of the controls is visible now."""
        for control in controls:
            if await self.driver.find_now(control) is not None:
                return True
        return False

    async def _form_holds(self) -> bool:
        """Say whether the form, as far as it is there, is as the steps left it."""
        field = await self.driver.find_now("name")
        if field is not None and await field.input_value(timeout=_PRESS_S * 1000) != self.name:
            return False
        return not await self._is_there("continue_in_browser", "microphone_on", "camera_on")


def _is_due(pressed_at: float | None) -> bool:
    return pressed_at is None or _now() - pressed_at >= _AGAIN_S


def _now() -> float:
    return asyncio.get_running_loop().time()
