"""Keeps the accounts of bots at Redis in line with the bots that there are."""

import structlog

from usher.app.loops import run_every
from usher.ports import BotAccess, Meetings
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.telemetry import ACCOUNTS

log = structlog.get_logger(__name__)


class AccountKeeper:
    """Grants accounts that Redis has forgotten and revokes those that are left over. Safe to run many times over.

    Redis forgets accounts when it restarts without an ACL file; a manager that was paused in the middle of a launch
    may grant one for an attempt that is over.
    """

    def __init__(
        self, meetings: Meetings, access: BotAccess, credentials: BotCredentials, *, interval_s: float = 5.0
    ) -> None:
        self._meetings = meetings
        self._access = access
        self._credentials = credentials
        self._interval_s = interval_s

    async def run(self) -> None:
        """Keep accounts until cancelled."""
        await run_every(self._interval_s, "accounts", self.sweep)

    async def sweep(self) -> None:
        """Compare once: accounts first, meetings second, so that an account in the list was granted for one of them.

        Raises:
            Unavailable: Redis or the store does not answer.
        """
        accounts = await self._access.accounts()
        bots = await self._meetings.bots()
        missing, left_over = bots.keys() - accounts, accounts - bots.keys()
        for connection_id in missing:
            bot = BotIdentity(bots[connection_id], connection_id)
            await self._access.grant(connection_id, self._credentials.redis_password(bot))
        for connection_id in left_over:
            await self._access.revoke(connection_id)
        if missing or left_over:
            ACCOUNTS.labels("granted").inc(len(missing))
            ACCOUNTS.labels("revoked").inc(len(left_over))
            log.info("accounts_corrected", granted=len(missing), revoked=len(left_over))
