"""All open rooms of this process, and the way to the page of each person in them."""

import asyncio
from dataclasses import dataclass, field

import structlog

from usher.room.events import Delivery, ToPage, to_json
from usher.room.limits import RoomLimits
from usher.room.meeting import Person, RoomMeeting
from usher.room.messages import FromPage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text for one page; after the final one the WebSocket closes."""

    text: str
    final: bool


class Outbox:
    """Messages that wait for one page: bounded, and a page that does not keep up is cut off."""

    def __init__(self, size: int) -> None:
        self._queue: asyncio.Queue[Outgoing | None] = asyncio.Queue(size)
        self._closed = False

    def put(self, event: ToPage, *, final: bool = False) -> None:
        """Queue a message; never waits. After a final message or an overflow nothing more is taken."""
        if self._closed:
            return
        try:
            self._queue.put_nowait(Outgoing(to_json(event), final))
        except asyncio.QueueFull:
            self._overflow()
        self._closed = self._closed or final

    async def get(self) -> Outgoing | None:
        """The next message; None when the page fell too far behind and is to be cut off."""
        return await self._queue.get()

    def _overflow(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        self._closed = True


@dataclass(slots=True)
class _OpenRoom:
    meeting: RoomMeeting
    outboxes: dict[str, Outbox] = field(default_factory=dict)


class Rooms:
    """The rooms by id. A room opens with its first visitor and vanishes with its last."""

    def __init__(self, limits: RoomLimits) -> None:
        self._limits = limits
        self._open: dict[str, _OpenRoom] = {}

    def __len__(self) -> int:
        return len(self._open)

    def can_open(self, room_id: str) -> bool:
        """Whether the room is open, or one more may be."""
        return room_id in self._open or len(self._open) < self._limits.rooms

    def arrive(self, room_id: str, person: Person, outbox: Outbox) -> None:
        """Bring a newcomer to a room; `can_open` must hold."""
        room = self._open.get(room_id)
        if room is None:
            room = self._open[room_id] = _OpenRoom(RoomMeeting(self._limits))
            log.info("room_opened", room=room_id)
        room.outboxes[person.id] = outbox
        self._deliver(room, room.meeting.arrive(person))

    def handle(self, room_id: str, by: str, message: FromPage) -> None:
        """Let the room act on what a person said."""
        room = self._open.get(room_id)
        if room is not None:
            self._deliver(room, room.meeting.handle(by, message))

    def depart(self, room_id: str, person_id: str) -> None:
        """Take note that a person's page is gone. Idempotent."""
        room = self._open.get(room_id)
        if room is None or room.outboxes.pop(person_id, None) is None:
            return
        self._deliver(room, room.meeting.depart(person_id))
        if not room.outboxes:
            del self._open[room_id]
            log.info("room_closed", room=room_id)

    @staticmethod
    def _deliver(room: _OpenRoom, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            outbox = room.outboxes.get(delivery.to)
            if outbox is not None:
                outbox.put(delivery.event, final=delivery.final)
