"""Janus' video room demo as a listener sees it: it is in the room under its name and sends nothing."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from usher.bot.platforms.port import Person, Presence, Sighting
from usher.bot.platforms.web.meeting import WebMeeting

_STEP_S = 15.0
_LOOK_S = 4.0
_VOICES = Path(__file__).with_name("voices.js").read_text(encoding="utf-8")
_LISTEN = "subscriber-mode=yes"


class JanusPage(WebMeeting):
    """Drives the page in its mode for those who only listen: no microphone and no camera are asked for."""

    knowledge = Path(__file__).with_name("knowledge.toml")

    async def enter(self) -> None:
        """Start the demo, give the name, join."""
        await self.driver.take("start", self.driver.press("start"), within_s=_STEP_S)
        await self.driver.take("give_name", self._give_name(), within_s=_STEP_S)
        await self.driver.take("join", self.driver.press("join"), within_s=_STEP_S)

    async def look(self) -> Sighting:
        """Look at the page; it does not show the bot itself, and tracks belong to people for good."""
        seen = await super().look()
        if seen.presence is not Presence.INSIDE:
            return seen
        async with asyncio.timeout(_LOOK_S):
            voices = dict(await self.driver.page.evaluate(_VOICES))
        return replace(seen, people=(*seen.people, Person(self.name, is_self=True)), voices=voices)

    async def _open(self, url: str) -> None:
        parts = urlsplit(url)
        query = f"{parts.query}&{_LISTEN}" if parts.query else _LISTEN
        await super()._open(urlunsplit(parts._replace(query=query)))

    async def _give_name(self) -> None:
        # The page takes letters and digits only.
        field = await self.driver.find("name")
        await field.fill(re.sub(r"[^a-zA-Z0-9]", "", self.name) or "Usher")
