"""Links to transcripts, in memory."""

from collections.abc import Sequence
from datetime import timedelta

from usher.adapters.memory.store_tables import Part
from usher.ports import MOST_SHARES, Meeting, Share


class MemoryShares(Part):
    """See `usher.ports.Shares`."""

    async def add_share(self, meeting_id: int, token_sha256: bytes, *, good_s: float) -> Share | None:
        """Make a link that is good for so long."""
        tables, meeting = self._tables, self._tables.meetings.get(meeting_id)
        if meeting is None or meeting.redacted or len(await self.shares(meeting_id)) >= MOST_SHARES:
            return None
        now = tables.now()
        share = Share(next(tables.ids), meeting_id, now, now + timedelta(seconds=good_s))
        tables.shares[token_sha256] = share
        return share

    async def find_shared(self, token_sha256: bytes) -> Meeting | None:
        """Return the meeting that a token opens, while it is good."""
        share = self._tables.shares.get(token_sha256)
        return self._tables.meetings[share.meeting_id] if share and self._is_good(share) else None

    async def shares(self, meeting_id: int) -> Sequence[Share]:
        """List the links to a transcript that are good, oldest first."""
        return [s for s in self._tables.shares.values() if s.meeting_id == meeting_id and self._is_good(s)]

    async def end_share(self, meeting_id: int, share_id: int) -> bool:
        """Take back a link."""
        for token, share in list(self._tables.shares.items()):
            if (share.meeting_id, share.share_id) == (meeting_id, share_id):
                del self._tables.shares[token]
                return self._is_good(share)
        return False

    def _is_good(self, share: Share) -> bool:
        return share.expires_at > self._tables.now()
