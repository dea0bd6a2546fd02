"""Effects that are owed, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from usher.adapters.memory.store_tables import OwedRow, Part
from usher.ports import Backlog, Claim, ClaimedEffect, Lane


class MemoryOutbox(Part):
    """See `usher.ports.Outbox`."""

    async def claim(self, lane: Lane, *, limit: int, claim_s: float) -> Sequence[ClaimedEffect]:
        """Claim due effects, at most one of a meeting, and webhook, at a time."""
        tables, now = self._tables, self._tables.now()
        lines: dict[tuple[int, int | None], list[OwedRow]] = {}
        for row in tables.outbox.values():
            if row.lane is lane and row.buried_at is None:
                whom = None if row.message is None else row.message.webhook_id
                lines.setdefault((row.meeting_id, whom), []).append(row)
        ready = [row for rows in lines.values() for row in rows if _next(row, rows, now)]
        claimed = []
        for row in sorted(ready, key=lambda row: (row.due_at, row.effect_id))[:limit]:
            row.token = f"claim-{next(tables.ids)}"
            row.claimed_until = tables.after(claim_s)
            claimed.append(_claimed(row, Claim(row.effect_id, row.token)))
        return claimed

    async def renew(self, claims: Sequence[Claim], *, claim_s: float) -> frozenset[int]:
        """Hold claims for longer."""
        held = [row for claim in claims if (row := self._tables.held(claim.effect_id, claim.token))]
        for row in held:
            row.claimed_until = self._tables.after(claim_s)
        return frozenset(row.effect_id for row in held)

    async def complete(self, claim: Claim) -> bool:
        """Remove a claimed effect."""
        row = self._tables.held(claim.effect_id, claim.token)
        if row is not None:
            del self._tables.outbox[row.effect_id]
        return row is not None

    async def postpone(self, claim: Claim, *, delay_s: float, error: str) -> bool:
        """Give a claimed effect back."""
        row = self._tables.held(claim.effect_id, claim.token)
        if row is None:
            return False
        row.tries += 1
        row.due_at, row.error, row.token, row.claimed_until = self._tables.after(delay_s), error, None, None
        return True

    async def bury(self, claim: Claim, *, error: str) -> bool:
        """Keep a claimed effect and never run it again."""
        row = self._tables.held(claim.effect_id, claim.token)
        if row is None:
            return False
        row.buried_at, row.error, row.token, row.claimed_until = self._tables.now(), error, None, None
        return True

    async def backlogs(self) -> Mapping[Lane, Backlog]:
        """Return what is due in each lane."""
        now, found = self._tables.now(), {}
        for lane in Lane:
            rows = (row for row in self._tables.outbox.values() if row.lane is lane and row.buried_at is None)
            ages = [(now - row.due_at).total_seconds() for row in rows if row.due(now)]
            found[lane] = Backlog(len(ages), max(ages, default=0.0))
        return found


def _claimed(row: OwedRow, claim: Claim) -> ClaimedEffect:
    effect = ClaimedEffect(claim, row.meeting_id, row.attempt, row.effect, row.tries)
    told = row.message
    if told is None:
        return effect
    return replace(effect, version=told.version, webhook_id=told.webhook_id, notice=told.kind)


def _next(row: OwedRow, rows: Sequence[OwedRow], now: datetime) -> bool:
    """Say whether it is an effect's turn: none of its meeting and webhook is being run, and no earlier one is due."""
    others = (other for other in rows if other.effect_id < row.effect_id)
    return row.due(now) and not any(each.claimed(now) for each in rows) and not any(each.due(now) for each in others)
