"""One page's WebSocket, from its join message to its end."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from usher.room.events import Ping, Refused
from usher.room.limits import RoomLimits
from usher.room.meeting import Person
from usher.room.messages import FromPage, Join, Pong, parse_from_page
from usher.room.rooms import Outbox, Rooms

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Over:
    """Why a visit ends, and the WebSocket close code that says so.

    Source: RFC 6455, section 7.4.1; the IANA registry of close codes for 1013.
    """

    why: str
    close_code: int


_DONE: Final = _Over("done", 1000)
_PAGE_GONE: Final = _Over("page_gone", 1001)
_BROKE_PROTOCOL: Final = _Over("broke_protocol", 1008)
_TOO_BIG: Final = _Over("message_too_big", 1009)
_SILENT: Final = _Over("silent", 1001)
_TOO_SLOW: Final = _Over("too_slow", 1013)
_REFUSED: Final = _Over("too_many_rooms", 1013)


class Visit:
    """Carries messages between one page and its room until either is done."""

    def __init__(self, websocket: WebSocket, room_id: str, rooms: Rooms, limits: RoomLimits) -> None:
        self._websocket = websocket
        self._room_id = room_id
        self._rooms = rooms
        self._limits = limits
        self._outbox = Outbox(limits.outbox_messages)
        self._person_id = secrets.token_hex(8)

    async def run(self) -> None:
        """Serve the page until it leaves, is sent away, falls silent or breaks the protocol."""
        await self._websocket.accept()
        over = _PAGE_GONE
        try:
            over = await self._arrive() or await self._first_to_finish()
        finally:
            self._rooms.depart(self._room_id, self._person_id)
            log.info("room_visit_over", room=self._room_id, person=self._person_id, why=over.why)
        await self._close(over)

    async def _arrive(self) -> _Over | None:
        match await self._receive(self._limits.join_timeout_s):
            case _Over() as over:
                return over
            case Join() as join:
                pass
            case _:
                return _BROKE_PROTOCOL
        if not self._rooms.can_open(self._room_id):
            self._outbox.put(Refused("too_many_rooms"), final=True)
            await self._write()
            return _REFUSED
        person = Person(self._person_id, join.name, join.host, join.microphone)
        self._rooms.arrive(self._room_id, person, self._outbox)
        return None

    async def _first_to_finish(self) -> _Over:
        tasks = [asyncio.create_task(part) for part in (self._read(), self._write(), self._ping())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> _Over:
        while True:
            match await self._receive(self._limits.silence_timeout_s):
                case _Over() as over:
                    return over
                case Join():
                    return _BROKE_PROTOCOL
                case Pong():
                    continue
                case message:
                    self._rooms.handle(self._room_id, self._person_id, message)

    async def _write(self) -> _Over:
        while True:
            outgoing = await self._outbox.get()
            if outgoing is None:
                return _TOO_SLOW
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    await self._websocket.send_text(outgoing.text)
            except TimeoutError:
                return _TOO_SLOW
            except WebSocketDisconnect:
                return _PAGE_GONE
            if outgoing.final:
                return _DONE

    async def _ping(self) -> _Over:
        while True:
            await asyncio.sleep(self._limits.ping_every_s)
            self._outbox.put(Ping())

    async def _receive(self, timeout_s: float) -> FromPage | _Over:
        try:
            async with asyncio.timeout(timeout_s):
                frame = await self._websocket.receive()
        except TimeoutError:
            return _SILENT
        if frame["type"] == "websocket.disconnect":
            return _PAGE_GONE
        text = frame.get("text")
        if text is None:
            return _BROKE_PROTOCOL
        if len(text.encode()) > self._limits.message_size_bytes:
            return _TOO_BIG
        try:
            return parse_from_page(text)
        except ValidationError:
            return _BROKE_PROTOCOL

    async def _close(self, over: _Over) -> None:
        # The other side may have closed first, or be gone without a word: there is nobody left to tell.
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.close(over.close_code, over.why)
