"""`Meeting`: the truth of one call. Scenarios change it; it tells the page at once, and keeps what the page tells."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from tests.replicas.news import Look, Participant, Phase, Told, WallKind
from tests.replicas.page import Media, OpenPage

BOT_ID = "bot"

_FIRST_SOURCE = 6_001


class Meeting:
    """One call with one bot, which may open several pages one after another.

    Args:
        gate: The control that leads from `gate` to `prejoin`; None: there is no gate.
        look: How the platform appears.
        lobby: Whoever asks waits until admitted.

    Attributes:
        passcode_holds: Whoever asks has given the right passcode.
        bot: What the page told.
        media: What brings sound to the page.
    """

    def __init__(self, *, gate: str | None = None, look: Look | None = None, lobby: bool = True) -> None:
        self.phase: Phase = "prejoin" if gate is None else "gate"
        self.look = look or Look()
        self.lobby = lobby
        self.passcode_holds = True
        self.bot = Told()
        self.media: Media | None = None
        self.people: dict[str, Participant] = {}
        self.dialogs: list[str] = []
        self._gate = gate
        self._wall: WallKind | None = None
        self._before_wall: Phase = self.phase
        self._chat: list[dict[str, str]] = []
        self._connected = True
        self._page: OpenPage | None = None
        self._numbers = itertools.count(1)

    def state(self) -> dict[str, Any]:
        """Return what a page is told."""
        people = [{**asdict(person), "self": False} for person in self.people.values()]
        if self.phase == "inside":
            people.append(
                {"id": BOT_ID, "name": self.bot.name, "source": 0, "host": False, "speaking": False, "self": True}
            )
        return {
            "type": "state",
            "phase": self.phase,
            "wall": self._wall,
            "people": people,
            "dialogs": self.dialogs,
            "chat": self._chat,
            "connected": self._connected,
            "look": asdict(self.look),
        }

    def come(self, name: str, *, host: bool = False) -> Participant:
        """Somebody joins."""
        number = next(self._numbers)
        person = Participant(f"p{number}", name, _FIRST_SOURCE + number, host)
        self.people[person.id] = person
        self.tell()
        return person

    def go(self, person_id: str) -> None:
        """Somebody leaves."""
        self.people.pop(person_id, None)
        self.tell()

    def rename(self, person_id: str, name: str) -> None:
        """Somebody goes under another name."""
        self.people[person_id].name = name
        self.tell()

    def hear(self, person_id: str, *, speaking: bool) -> None:
        """Somebody is shown as speaking, or not any more."""
        person = self.people.get(person_id)
        if person is not None and person.speaking != speaking:
            person.speaking = speaking
            self.tell()

    def turn(self, phase: Phase) -> None:
        """The bot is somewhere else now."""
        self.phase = phase
        self.tell()

    def wall(self, kind: WallKind) -> None:
        """Something stands in the way until `solved`."""
        if self.phase != "wall":
            self._before_wall = self.phase
        self._wall = kind
        self.turn("wall")

    def solve(self) -> None:
        """A person has dealt with what stood in the way."""
        self._wall = None
        self.turn(self._before_wall)

    def show(self, dialog: str) -> None:
        """A dialog appears."""
        self.dialogs.append(dialog)
        self.tell()

    def say(self, sender: str, text: str) -> None:
        """Somebody writes into the chat."""
        self._chat.append({"id": f"c{next(self._numbers)}", "sender": sender, "text": text})
        self.tell()

    def connect(self, *, connected: bool) -> None:
        """The bot's network is there, or is not."""
        self._connected = connected
        if self.media is not None:
            self.media.cut(connected=connected)
        self.tell()

    def appear(self, **look: Any) -> None:  # noqa: ANN401 - the fields of Look
        """Change how the platform appears."""
        self.look = replace(self.look, **look)
        self.tell()

    def tell(self) -> None:
        """Tell the page everything."""
        if self._page is not None:
            self._page.send(self.state())

    async def attend(self, socket: WebSocket) -> None:
        """Serve a page until it is gone."""
        await socket.accept()
        page = OpenPage(socket, self.media)
        sending = asyncio.create_task(page.run())
        try:
            while True:
                await self._take(page, await socket.receive_json())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            if self._page is page:
                self._page, self.bot.present = None, False
                if self.media is not None:
                    await self.media.disconnect()

    async def play(self, socket: WebSocket) -> None:
        """Serve the page's wish for sound as PCM."""
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):
            if self.media is not None:
                await self.media.play(socket)

    async def _take(self, page: OpenPage, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "answer":
            if self.media is not None and self._page is page:
                await self.media.take(message)
            return
        if kind == "opened":
            self._page, self.bot.present = page, True
        getattr(self, f"_on_{kind}")(message)
        self.tell()
        page.send({"type": "done", "id": message["id"]})

    def _on_opened(self, _: dict[str, Any]) -> None:
        self.bot.opened += 1

    def _on_pressed(self, message: dict[str, Any]) -> None:
        control, name = message["control"], message.get("name", "")
        self.bot.pressed.append(f"{control} {name}".strip())
        if control == self._gate and self.phase == "gate":
            self.phase = "prejoin"
        if control == "dialog" and name in self.dialogs:
            self.dialogs.remove(name)

    def _on_asked(self, message: dict[str, Any]) -> None:
        self.bot.name = message["name"]
        self.bot.microphone, self.bot.camera = message["microphone"], message["camera"]
        self.bot.passcode = message.get("passcode", "")
        if self.phase in {"prejoin", "passcode_wrong"}:
            self.phase = "passcode_wrong" if not self.passcode_holds else "lobby" if self.lobby else "inside"

    def _on_left(self, _: dict[str, Any]) -> None:
        self.bot.left = True
        self.phase = "left"

    def _on_cancelled(self, _: dict[str, Any]) -> None:
        self.bot.cancelled = True
        self.phase = "left"

    def _on_said(self, message: dict[str, Any]) -> None:
        self.bot.said.append(message["text"])
        self.say(self.bot.name, message["text"])

    def _on_solved(self, _: dict[str, Any]) -> None:
        self.solve()
