"""What a guest puts in order in a Zoom meeting: sound on, devices off, and what there is to see in sight."""

import asyncio
from dataclasses import dataclass

import structlog
from playwright.async_api import Error as PlaywrightError

from usher.bot.platforms.web.driver import Driver

log = structlog.get_logger(__name__)

_TIME_S = 4.0
_MENU_S = 2.5
_MOST_TRIES = 5
_REST_LOOKS = 10


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Something to be brought about with a press.

    Attributes:
        press: The control to press; it is there only while the press is needed, or else
        done: is there when it is not.
        then: A control that appears after the press, and has to be pressed as well.
        lasting: It has to be brought about again whenever it is undone.
    """

    press: str
    done: str | None = None
    then: str | None = None
    lasting: bool = False


# Who is there decides whether the bot stays; the microphone may be live once the audio is joined. Source: see the
# controls' comments in knowledge.toml.
ARRANGEMENTS = (
    Arrangement("participants", done="participants_shown"),
    Arrangement("join_audio"),
    Arrangement("microphone_is_live", lasting=True),
    Arrangement("camera_is_live", lasting=True),
    Arrangement("view", done="speaker_view_shown", then="speaker_view"),
    Arrangement("chat_open", done="chat_shown"),
)


class Settling:
    """Brings the arrangements about, in little time, so that looks stay short."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._tries = dict.fromkeys(ARRANGEMENTS, 0)
        self._rest = 0

    async def go_on(self) -> None:
        """Bring about what is missing. What does not work in some tries is left as it is."""
        self._rest -= 1
        if self._rest > 0:
            return
        try:
            async with asyncio.timeout(_TIME_S):
                pressed = [await self._arrange(arrangement) for arrangement in ARRANGEMENTS]
            # Where nothing was missing, it need not be asked again so soon: each question costs the page some time.
            self._rest = 0 if any(pressed) else _REST_LOOKS
        except (PlaywrightError, TimeoutError) as error:
            log.info("not_settled", error=type(error).__name__)

    async def _arrange(self, arrangement: Arrangement) -> bool:
        """Press what brings it about; say whether that was needed."""
        if self._tries[arrangement] >= _MOST_TRIES or await self._is_done(arrangement):
            return False
        self._tries[arrangement] += not arrangement.lasting
        log.info("settling", press=arrangement.press)
        await self._driver.wake()
        # What a former try has opened is not to be closed by another press.
        if arrangement.then is not None and await self._driver.press_if_there(arrangement.then):
            return True
        if await self._driver.press_if_there(arrangement.press) and arrangement.then is not None:
            await self._press_after(arrangement.then)
        return True

    async def _is_done(self, arrangement: Arrangement) -> bool:
        if arrangement.done is None:
            return await self._driver.find_now(arrangement.press) is None
        return await self._driver.find_now(arrangement.done) is not None

    async def _press_after(self, control: str) -> None:
        async with asyncio.timeout(_MENU_S):
            await self._driver.press(control)
