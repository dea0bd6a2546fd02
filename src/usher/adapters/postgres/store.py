"""The whole store on one pool of connections."""

from typing import Self

from usher.adapters.postgres.audit import PostgresAudit
from usher.adapters.postgres.chats import PostgresChats
from usher.adapters.postgres.closing import PostgresClosing
from usher.adapters.postgres.commands import PostgresCommands
from usher.adapters.postgres.deliveries import PostgresDeliveries
from usher.adapters.postgres.endpoints import PostgresEndpoints
from usher.adapters.postgres.erasure import PostgresErasure
from usher.adapters.postgres.exhibits import PostgresExhibits
from usher.adapters.postgres.leases import PostgresLeases
from usher.adapters.postgres.meetings import PostgresMeetings
from usher.adapters.postgres.old import PostgresOld
from usher.adapters.postgres.outbox import PostgresOutbox
from usher.adapters.postgres.pool import Database
from usher.adapters.postgres.recordings import PostgresRecordings
from usher.adapters.postgres.shares import PostgresShares
from usher.adapters.postgres.tickets import PostgresTickets
from usher.adapters.postgres.tokens import PostgresTokens
from usher.adapters.postgres.transcripts import PostgresTranscripts
from usher.adapters.postgres.users import PostgresUsers


class PostgresStore(
    PostgresMeetings,
    PostgresOutbox,
    PostgresCommands,
    PostgresLeases,
    PostgresTranscripts,
    PostgresErasure,
    PostgresExhibits,
    PostgresChats,
    PostgresRecordings,
    PostgresShares,
    PostgresTickets,
    PostgresUsers,
    PostgresEndpoints,
    PostgresDeliveries,
    PostgresClosing,
    PostgresAudit,
    PostgresTokens,
    PostgresOld,
):
    """See `usher.ports.Store`. Open it with `connect`."""

    @classmethod
    async def connect(cls, dsn: str, *, pool_size: int = 10, timeout_s: float = 10.0) -> Self:
        """Open the store. The database has to have been migrated.

        Args:
            dsn: `postgresql://…`.
            pool_size: Most connections that are open at once.
            timeout_s: For getting a connection, and for each statement.

        Raises:
            Unavailable: The database does not answer.
        """
        return cls(await Database.connect(dsn, pool_size=pool_size, timeout_s=timeout_s))

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    async def ping(self, *, timeout_s: float) -> None:
        """Return if the database answers in time.

        Raises:
            Unavailable: It does not.
        """
        await self._database.ping(timeout_s)
