"""A visit to a web client: what all of them do alike. Each platform says how its way in goes."""

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from usher.bot.platforms.port import NotPossible, Presence, Sighting, SignWatch, first_line
from usher.bot.platforms.web.driver import Driver
from usher.bot.platforms.web.knowledge import Chat, read_knowledge

log = structlog.get_logger(__name__)

_OPEN_S = 60.0
_OPEN_TRIES = 3
_OPEN_AGAIN_S = 1.0
_SAY_S = 15.0
_LEAVE_S = 6.0


class WebMeeting(ABC):
    """Implements `MeetingPage` for a web client; `knowledge` is the file of what is known of it."""

    knowledge: Path

    def __init__(self, page: Page) -> None:
        self.driver = Driver(page, read_knowledge(self.knowledge))
        self.name = ""
        self._prepared = False

    @property
    def step(self) -> str:
        """The step that was begun last."""
        return self.driver.step

    def watch_signs(self, watch: SignWatch) -> None:
        """Have the page watched for signs of who speaks, as far as the knowledge names any."""
        self.driver.watch_signs(watch)

    async def join(self, url: str, name: str) -> None:
        """Open the page, anew if it is open already, and take the platform's steps."""
        self.name = name
        if not self._prepared:
            await self.prepare()
            self._prepared = True
        await self.driver.take("open_page", self._open(url), within_s=_OPEN_S)
        await self.enter()

    async def resume(self) -> None:
        """Take the platform's steps from where the page is, unless it is in already."""
        if (await self.driver.look()).presence is Presence.CONNECTING:
            await self.enter()

    async def prepare(self) -> None:  # noqa: B027 - most platforms need nothing
        """Do, once, what has to be done before the page is opened, such as scripts that run before the page's own."""

    @abstractmethod
    async def enter(self) -> None:
        """Take the steps from the opened page up to the press of the join button; pass over what is done already."""

    async def look(self) -> Sighting:
        """Look at the page."""
        return await self.driver.look()

    async def say(self, text: str) -> None:
        """Write into the chat."""
        chat = self.driver.knowledge.chat
        if chat is None:
            raise NotPossible("bots of this version do not know this platform's chat")
        if len(text) > chat.most_characters:
            raise NotPossible(f"a message may have {chat.most_characters} characters here, this one has {len(text)}")
        try:
            async with asyncio.timeout(_SAY_S):
                await self._write(chat, text)
        except TimeoutError:
            raise NotPossible("the meeting's chat is not to be found, or the bot may not write in it") from None

    async def rename(self, name: str) -> None:  # noqa: ARG002 - the port's
        """Go under another name; most platforms do not let a guest do that once they have joined."""
        raise NotPossible("this platform does not let a guest change their name during the meeting")

    async def leave(self) -> None:
        """Press the page's leave control, and confirm if it asks."""
        async with asyncio.timeout(_LEAVE_S):
            if await self.driver.press_if_there("leave"):
                await self._confirm_leave()

    async def _open(self, url: str) -> None:
        """Open the page; a network that changes in this moment is given another chance."""
        for tries_left in reversed(range(_OPEN_TRIES)):
            try:
                await self.driver.page.goto(url, wait_until="domcontentloaded", timeout=_OPEN_S * 1000)
            except PlaywrightError as error:
                if not tries_left or "net::ERR_" not in str(error):
                    raise
                log.info("page_not_opened", error=first_line(error))
                await asyncio.sleep(_OPEN_AGAIN_S)
            else:
                return

    async def _write(self, chat: Chat, text: str) -> None:
        field = await self.driver.first_visible(chat.field, "chat_field")
        while field is None:
            opener = await self.driver.first_visible(chat.open, "chat_open")
            if opener is not None:
                await opener.click()
            await asyncio.sleep(0.3)
            field = await self.driver.first_visible(chat.field, "chat_field")
        await field.fill(text)
        button = await self.driver.first_visible(chat.send, "chat_send")
        await (button.click() if button is not None else field.press("Enter"))

    async def _confirm_leave(self) -> None:
        """Wait until the page shows that the bot is out, and press what it asks to be pressed for that."""
        while await self._is_in():
            if "leave_confirm" in self.driver.knowledge.controls:
                await self.driver.press_if_there("leave_confirm")
            await asyncio.sleep(0.1)

    async def _is_in(self) -> bool:
        try:
            return (await self.driver.look()).presence in {Presence.INSIDE, Presence.LOBBY}
        except PlaywrightError:
            # The page is on its way to another address: what it shows there will tell.
            return True
