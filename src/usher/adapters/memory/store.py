"""The whole store in the memory of one process."""

from usher.adapters.memory.store_audit import MemoryAudit
from usher.adapters.memory.store_bots import MemoryLeases
from usher.adapters.memory.store_closing import MemoryClosing
from usher.adapters.memory.store_endpoints import MemoryDeliveries, MemoryEndpoints
from usher.adapters.memory.store_erasure import MemoryErasure
from usher.adapters.memory.store_meetings import MemoryMeetings
from usher.adapters.memory.store_old import FORGET
from usher.adapters.memory.store_outbox import MemoryOutbox
from usher.adapters.memory.store_recordings import MemoryRecordings
from usher.adapters.memory.store_seen import MemoryChats, MemoryExhibits
from usher.adapters.memory.store_shares import MemoryShares
from usher.adapters.memory.store_tables import Now, Tables, wall_clock
from usher.adapters.memory.store_tickets import MemoryTickets
from usher.adapters.memory.store_tokens import MemoryTokens
from usher.adapters.memory.store_transcripts import MemoryTranscripts
from usher.adapters.memory.store_users import MemoryUsers


class MemoryStore(
    MemoryMeetings,
    MemoryOutbox,
    MemoryLeases,
    MemoryTranscripts,
    MemoryErasure,
    MemoryExhibits,
    MemoryChats,
    MemoryRecordings,
    MemoryShares,
    MemoryTickets,
    MemoryUsers,
    MemoryEndpoints,
    MemoryDeliveries,
    MemoryClosing,
    MemoryAudit,
    MemoryTokens,
):
    """See `usher.ports.Store`. For one event loop; what it holds ends with the process.

    Args:
        now: The clock by which deadlines, leases and claims are judged; aware, UTC.
    """

    def __init__(self, now: Now = wall_clock) -> None:
        super().__init__(Tables(now))

    async def prune(self, *, older_than_s: float, limit: int) -> int:
        """Delete what nobody will ask for again."""
        return sum(len(forget(self._tables, older_than_s, limit)) for forget in FORGET)

    async def ping(self, *, timeout_s: float) -> None:
        """Return."""
