"""Effects that are owed."""

from collections.abc import Mapping, Sequence

from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import storable
from usher.domain.lifecycle import Effect
from usher.domain.notices import NoticeType
from usher.ports import Backlog, Claim, ClaimedEffect, Lane

# Claims of one lane are made one after another: the second claimer has to see the first one's claims before it may
# tell which effect of a meeting is next, and what a waiting statement sees is fixed before it waits.
TURN = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
TURN_CLASS = 0x6F62

# OFFSET 0 keeps the planner from joining the whole backlog to itself: with it each row is looked up when it comes up
# in order, and the limit ends the search.
_CLAIM = """
WITH next AS MATERIALIZED (
    SELECT o.id FROM outbox o
    WHERE o.lane = $1 AND o.buried_at IS NULL AND o.due_at <= statement_timestamp()
        AND (o.claimed_until IS NULL OR o.claimed_until <= statement_timestamp())
        AND NOT EXISTS (
            SELECT FROM outbox b
            WHERE b.meeting_id = o.meeting_id AND b.lane = o.lane AND b.buried_at IS NULL AND b.id <> o.id
                AND b.webhook_id IS NOT DISTINCT FROM o.webhook_id
                AND (b.claimed_until > statement_timestamp()
                    OR b.id < o.id AND b.due_at <= statement_timestamp())
            OFFSET 0)
    ORDER BY o.due_at, o.id
    LIMIT $2
    FOR UPDATE OF o SKIP LOCKED
), claimed AS (
    UPDATE outbox o
    SET claim_token = gen_random_uuid()::text,
        claimed_until = statement_timestamp() + make_interval(secs => $3)
    FROM next WHERE o.id = next.id
    RETURNING o.id, o.claim_token, o.meeting_id, o.attempt, o.effect, o.tries, o.version, o.webhook_id, o.notice,
        o.due_at
)
SELECT id, claim_token, meeting_id, attempt, effect, tries, version, webhook_id, notice FROM claimed ORDER BY due_at, id
"""

_HELD = "id = $1 AND claim_token = $2 AND claimed_until > now() AND buried_at IS NULL"

_COMPLETE = "DELETE FROM outbox WHERE <held> RETURNING true".replace("<held>", _HELD)

_POSTPONE = """
UPDATE outbox
SET due_at = now() + make_interval(secs => $3), tries = tries + 1, error = $4, claim_token = NULL, claimed_until = NULL
WHERE <held> RETURNING true
""".replace("<held>", _HELD)

_RENEW = """
UPDATE outbox o SET claimed_until = now() + make_interval(secs => $3)
FROM unnest($1::bigint[], $2::text[]) AS held (id, token)
WHERE o.id = held.id AND o.claim_token = held.token AND o.claimed_until > now() AND o.buried_at IS NULL
RETURNING o.id
"""

_BACKLOGS = """
SELECT lane, count(*), extract(epoch FROM now() - min(due_at))::float8 FROM outbox
WHERE buried_at IS NULL AND due_at <= now() GROUP BY lane
"""

_BURY = """
UPDATE outbox SET buried_at = now(), error = $3, claim_token = NULL, claimed_until = NULL
WHERE <held> RETURNING true
""".replace("<held>", _HELD)


class PostgresOutbox(Part):
    """See `usher.ports.Outbox`."""

    async def claim(self, lane: Lane, *, limit: int, claim_s: float) -> Sequence[ClaimedEffect]:
        """Claim due effects, at most one of a meeting, and webhook, at a time."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(TURN, TURN_CLASS, lane)
            rows = await connection.fetch(_CLAIM, lane, limit, claim_s)
        return [_claimed(row) for row in rows]

    async def renew(self, claims: Sequence[Claim], *, claim_s: float) -> frozenset[int]:
        """Hold claims for longer, in one statement."""
        effect_ids = [claim.effect_id for claim in claims]
        rows = await self._database.rows(_RENEW, effect_ids, [claim.token for claim in claims], claim_s)
        return frozenset(effect_id for (effect_id,) in rows)

    async def complete(self, claim: Claim) -> bool:
        """Remove a claimed effect."""
        return await self._database.value(_COMPLETE, claim.effect_id, claim.token) is True

    async def postpone(self, claim: Claim, *, delay_s: float, error: str) -> bool:
        """Give a claimed effect back."""
        return await self._database.value(_POSTPONE, claim.effect_id, claim.token, delay_s, storable(error)) is True

    async def bury(self, claim: Claim, *, error: str) -> bool:
        """Keep a claimed effect and never run it again."""
        return await self._database.value(_BURY, claim.effect_id, claim.token, storable(error)) is True

    async def backlogs(self) -> Mapping[Lane, Backlog]:
        """Return what is due in each lane."""
        due = {lane: Backlog(depth, oldest_s) for lane, depth, oldest_s in await self._database.rows(_BACKLOGS)}
        return {lane: due.get(lane.value, Backlog()) for lane in Lane}


def _claimed(row: Row) -> ClaimedEffect:
    effect_id, token, meeting_id, attempt, effect, tries, version, webhook_id, notice = row
    return ClaimedEffect(
        claim=Claim(effect_id, token),
        meeting_id=meeting_id,
        attempt=attempt,
        effect=Effect(effect),
        tries=tries,
        version=version,
        webhook_id=webhook_id,
        notice=None if notice is None else NoticeType(notice),
    )
