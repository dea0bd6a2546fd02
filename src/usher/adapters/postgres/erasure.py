"""Deleting transcripts, for good."""

from usher.adapters.postgres.audit import write_deed
from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import LIVE_STATES, sql
from usher.domain.lifecycle import Effect
from usher.ports import Actor, Erasure, Lane

# The strongest lock on the row: a collector that is storing text for the meeting holds a share of its key, so it is
# waited for, and its text is among what is deleted. Whoever comes later waits for this, and sees that it was deleted.
_LOCK = sql(
    """
SELECT m.status IN (<live>) AS live, m.redacted_at IS NOT NULL AS erased, EXISTS (
    SELECT FROM outbox o
    WHERE o.meeting_id = m.id AND o.lane = '<lane>' AND o.effect = '<effect>' AND o.buried_at IS NULL) AS ending
FROM meetings m WHERE m.id = $1 FOR UPDATE
""",
    live=LIVE_STATES,
    lane=Lane.WORKLOAD,
    effect=Effect.TERMINATE,
)

_PURGE = (
    "DELETE FROM transcriptions WHERE meeting_id = $1",
    "DELETE FROM meeting_sessions WHERE meeting_id = $1",
    "DELETE FROM chat_messages WHERE meeting_id = $1",
    "DELETE FROM commands WHERE meeting_id = $1",
    "DELETE FROM meeting_evidence WHERE meeting_id = $1",
    "DELETE FROM transcript_shares WHERE meeting_id = $1",
    "UPDATE meeting_events SET detail = '' WHERE meeting_id = $1 AND detail <> ''",
    # Buried effects belong to nobody; the others are held by whoever claimed them, who may be waiting for this row.
    "UPDATE outbox SET error = NULL WHERE meeting_id = $1 AND buried_at IS NOT NULL",
    """
UPDATE meetings
SET platform_specific_id = '', meeting_url = '', failure_detail = NULL, redacted_at = now(), updated_at = now(),
    data = jsonb_strip_nulls(jsonb_build_object('redacted', true, 'totals', data -> 'totals'))
WHERE id = $1 AND redacted_at IS NULL
""",
)

_IS_ERASED = "SELECT true FROM meetings WHERE id = $1 AND redacted_at IS NOT NULL"


class PostgresErasure(Part):
    """The deletion of `usher.ports.Transcripts`."""

    async def erase(self, meeting_id: int, *, by: Actor | None = None) -> Erasure:
        """Delete a transcript and all that tells what the meeting was about, in one transaction."""
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, meeting_id)
            if row is None:
                return Erasure.UNKNOWN
            if row["live"]:
                return Erasure.NOT_OVER
            if row["ending"]:
                return Erasure.ENDING
            for statement in _PURGE:
                await connection.execute(statement, meeting_id)
            if not row["erased"]:
                await write_deed(connection, by, "transcript_deleted", f"meeting:{meeting_id}")
        return Erasure.ERASED

    async def is_erased(self, meeting_id: int) -> bool:
        """Say whether the transcript of a meeting was deleted."""
        return await self._database.value(_IS_ERASED, meeting_id) is True
