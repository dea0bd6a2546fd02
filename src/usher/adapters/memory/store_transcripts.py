"""Sessions and segments, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from usher.adapters.memory.store_tables import Part
from usher.domain.transcript import Segment, newest, supersedes
from usher.ports import Edition, HeardSegment, Mark, Session

_SPEAKER_LENGTH = 255
_LANGUAGE_LENGTH = 10


class MemoryTranscripts(Part):
    """See `usher.ports.Transcripts`."""

    async def save(self, sessions: Sequence[Session], heard: Sequence[HeardSegment]) -> Mapping[int, int]:
        """Upsert a batch."""
        tables = self._tables
        named = {session.meeting_id for session in sessions} | {each.meeting_id for each in heard}
        taken = dict.fromkeys(
            (each for each in named if each in tables.meetings and not tables.meetings[each].redacted), 0
        )
        for meeting_id in {each.meeting_id for each in heard} & taken.keys():
            taken[meeting_id] = tables.editions[meeting_id] = tables.editions.get(meeting_id, 0) + 1
        for session in sessions:
            if session.meeting_id in taken:
                tables.sessions.setdefault((session.meeting_id, session.session_uid), session)
        for each in heard:
            if each.meeting_id in taken:
                stored = tables.segments.setdefault(each.meeting_id, {})
                known = stored.get(each.segment.segment_id)
                if known is None or supersedes(each.segment, known):
                    stored[each.segment.segment_id] = _fitted(each.segment)
                    tables.changed[each.meeting_id, each.segment.segment_id] = taken[each.meeting_id]
        return taken

    async def stored(self, marks: Sequence[Mark]) -> frozenset[Mark]:
        """Return those of the final segments that are stored."""
        return frozenset(mark for mark in marks if self._is_stored(mark))

    def _is_stored(self, mark: Mark) -> bool:
        known = self._tables.segments.get(mark.meeting_id, {}).get(mark.segment_id)
        return known is not None and known.completed and known.revision >= mark.revision

    async def segments(self, meeting_id: int) -> Sequence[Segment]:
        """Return the segments of a meeting in the order in which they were said."""
        return newest(self._tables.segments.get(meeting_id, {}).values())

    async def edition(self, meeting_id: int, *, after: int) -> Edition:
        """Return the newest edition with what changed after another one."""
        tables, segments = self._tables, await self.segments(meeting_id)
        changed = [one for one in segments if tables.changed[meeting_id, one.segment_id] > after]
        return Edition(tables.editions.get(meeting_id, 0), changed)


def _fitted(segment: Segment) -> Segment:
    return replace(
        segment,
        text=segment.text.replace("\x00", ""),
        speaker=segment.speaker and segment.speaker.replace("\x00", "")[:_SPEAKER_LENGTH],
        language=segment.language and segment.language.replace("\x00", "")[:_LANGUAGE_LENGTH],
    )
