"""Deleting transcripts, in memory."""

from dataclasses import replace
from datetime import datetime

from usher.adapters.memory.store_tables import Part
from usher.domain.lifecycle import LIVE, Effect
from usher.domain.meeting import MeetingRef
from usher.ports import Actor, Erasure, Meeting


class MemoryErasure(Part):
    """The deletion of `usher.ports.Transcripts`."""

    async def erase(self, meeting_id: int, *, by: Actor | None = None) -> Erasure:
        """Delete a transcript and all that tells what the meeting was about."""
        tables, meeting = self._tables, self._tables.meetings.get(meeting_id)
        if meeting is None:
            return Erasure.UNKNOWN
        if meeting.status in LIVE:
            return Erasure.NOT_OVER
        if self._is_ending(meeting_id):
            return Erasure.ENDING
        for table in (tables.segments, tables.chats, tables.commands, tables.exhibits):
            table.pop(meeting_id, None)
        tables.changed = {key: edition for key, edition in tables.changed.items() if key[0] != meeting_id}
        tables.sessions = {key: one for key, one in tables.sessions.items() if one.meeting_id != meeting_id}
        tables.shares = {token: one for token, one in tables.shares.items() if one.meeting_id != meeting_id}
        tables.events[meeting_id] = [replace(event, detail="") for event in tables.events[meeting_id]]
        for row in tables.outbox.values():
            if row.meeting_id == meeting_id and row.buried_at is not None:
                row.error = None
        if not meeting.redacted:
            tables.meetings[meeting_id] = _redacted(meeting, tables.now())
            tables.write_deed(by, "transcript_deleted", f"meeting:{meeting_id}")
        return Erasure.ERASED

    async def is_erased(self, meeting_id: int) -> bool:
        """Say whether the transcript of a meeting was deleted."""
        meeting = self._tables.meetings.get(meeting_id)
        return meeting is not None and meeting.redacted

    def _is_ending(self, meeting_id: int) -> bool:
        return any(
            row.effect is Effect.TERMINATE and row.meeting_id == meeting_id and row.buried_at is None
            for row in self._tables.outbox.values()
        )


def _redacted(meeting: Meeting, now: datetime) -> Meeting:
    totals = meeting.data.get("totals")
    return replace(
        meeting,
        ref=MeetingRef(meeting.ref.platform, "", ""),
        failure_detail=None,
        data={"redacted": True} if totals is None else {"redacted": True, "totals": totals},
        redacted_at=now,
        updated_at=now,
    )
