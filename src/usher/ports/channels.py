"""What goes over Redis."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from usher.ports.records import Json


class CommandChannel(Protocol):
    """The fast path of commands: `bot_commands:{connection_id}`. It may lose; the stored command is the truth."""

    async def publish(self, connection_id: str, message: str) -> int:
        """Publish and return the number of listeners reached.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...


class BotAccess(Protocol):
    """A bot's own account at Redis: hears its own command channel, appends to the segment stream, nothing else."""

    async def grant(self, connection_id: str, password: str) -> None:
        """Create or refresh the account `usher-bot-{connection_id}`. Idempotent.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def revoke(self, connection_id: str) -> None:
        """Remove the account and cut its connections. Idempotent.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def accounts(self) -> frozenset[str]:
        """Return the connections that have an account.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...


class Hints(Protocol):
    """Tells other processes that effects are owed. A hint may be lost: whoever waits for one also polls."""

    def send(self) -> None:
        """Give a hint, soon, in the background; many at once may become one."""
        ...


class Feed(Protocol):
    """Live frames of a meeting for its viewers: at most once, newest first to arrive; the store has the truth."""

    def publish(self, meeting_id: int, frame: Json) -> None:
        """Send a frame to whoever listens, in the background. A loss is not an error: it is logged and counted."""
        ...

    def subscribe(self, meeting_id: int) -> "Subscription":
        """Listen to a meeting. Enter the result; iterate over frames until it is left."""
        ...


class Subscription(Protocol):
    """A bounded queue of frames. If it overflows, the oldest go and `lost` tells how many."""

    lost: int

    async def __aenter__(self) -> "Subscription":
        """Return once frames published from now on will arrive.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening."""
        ...

    def __aiter__(self) -> AsyncIterator[Json]:
        """Iterate over frames as they come, without end; an empty one says that frames may have been lost before."""
        ...


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry of the segment stream as it came: nothing in it may be trusted before its signature was checked."""

    entry_id: str
    fields: Mapping[str, bytes]


class SegmentStream(Protocol):
    """The Redis stream between bots and collector, read by a consumer group."""

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        """Return new entries, and those that another consumer took and did not acknowledge for some seconds.

        Raises:
            Unavailable: Redis does not answer.
        """
        ...

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take entries off the stream for good. To be called after commit. Idempotent."""
        ...

    async def bury(self, entry: StreamEntry, *, reason: str) -> None:
        """Move an entry that can never be stored to the dead-letter stream."""
        ...

    async def forget(self, meeting_id: int) -> None:
        """Take every entry of a meeting off the stream and out of the dead letters. Idempotent.

        Raises:
            Unavailable: Redis does not answer; some may be gone.
        """
        ...

    async def backlog(self) -> int:
        """Return the number of entries that are not acknowledged."""
        ...

    async def lag_s(self) -> float:
        """Return the age of the oldest entry that is not acknowledged, by Redis's clock; 0 if there is none."""
        ...
