"""The bounds of the room service."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How much the service accepts, and how long it waits.

    Attributes:
        rooms: Rooms at one time.
        participants: People inside one room; each pair keeps a connection, so cost grows with the square.
        waiting: People in one room's lobby.
        message_size_bytes: Longest message from a page; a session description of a mesh pair has about 4 kB.
        outbox_messages: Messages that may wait for one slow page before it is dropped.
        join_timeout_s: From an open WebSocket to its join message.
        ping_every_s: Pause between two pings to a page.
        silence_timeout_s: A page that says nothing for so long, not even pong, is gone.
        send_timeout_s: A page that does not take a message for so long is gone.
    """

    rooms: int = 100
    participants: int = 12
    waiting: int = 12
    message_size_bytes: int = 64 * 1024
    outbox_messages: int = 512
    join_timeout_s: float = 10.0
    ping_every_s: float = 3.0
    silence_timeout_s: float = 10.0
    send_timeout_s: float = 5.0
