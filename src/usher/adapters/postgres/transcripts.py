"""Sessions and segments."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import storable
from usher.domain.transcript import Segment, newest
from usher.ports import Edition, HeardSegment, Mark, Session

_SPEAKER_LENGTH = 255
_LANGUAGE_LENGTH = 10

# Rows are written in the order of their keys, so that two batches at a time cannot wait for each other. What belongs
# to a meeting that was deleted meanwhile is dropped: it must not hold up the rest of the batch. Meetings are locked
# first: whoever deletes one waits for the batch, and a batch that waited for the deletion sees it. The keys that
# refer to them take the same locks, so these cost little. The row of a transcript's edition is held until the commit,
# so that editions are committed in their order: whoever sees one sees all before it.
_SAVE = """
WITH taken AS MATERIALIZED (
    SELECT m.id FROM meetings m
    WHERE m.id = ANY ($1::bigint[] || $4::bigint[]) AND m.redacted_at IS NULL
    ORDER BY m.id FOR KEY SHARE
), sessions AS (
    INSERT INTO meeting_sessions (meeting_id, session_uid, session_start_time)
    SELECT s.* FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS s (meeting_id, session_uid, started)
    WHERE s.meeting_id IN (SELECT id FROM taken)
    ORDER BY s.meeting_id, s.session_uid
    ON CONFLICT (meeting_id, session_uid) DO NOTHING
), editions AS (
    INSERT INTO transcript_editions AS e (meeting_id, edition)
    SELECT id, 1 FROM taken WHERE id = ANY ($4::bigint[]) ORDER BY id
    ON CONFLICT (meeting_id) DO UPDATE SET edition = e.edition + 1
    RETURNING e.meeting_id, e.edition
), heard AS (
INSERT INTO transcriptions AS t (
    meeting_id, segment_id, revision, session_uid, start_time, end_time, absolute_start, absolute_end,
    text, speaker, language, completed, edition)
SELECT h.*, e.edition FROM unnest(
    $4::bigint[], $5::text[], $6::integer[], $7::text[], $8::float8[], $9::float8[], $10::timestamptz[],
    $11::timestamptz[], $12::text[], $13::text[], $14::text[], $15::boolean[]) AS h (meeting_id)
JOIN editions e ON e.meeting_id = h.meeting_id
ON CONFLICT (meeting_id, segment_id) DO UPDATE SET
    revision = excluded.revision, session_uid = excluded.session_uid,
    start_time = excluded.start_time, end_time = excluded.end_time,
    absolute_start = excluded.absolute_start, absolute_end = excluded.absolute_end,
    text = excluded.text, speaker = excluded.speaker, language = excluded.language, completed = excluded.completed,
    edition = excluded.edition
WHERE (excluded.completed, excluded.revision) > (t.completed, t.revision)
)
SELECT id, coalesce(e.edition, 0) AS edition FROM taken LEFT JOIN editions e ON e.meeting_id = id
"""

_SEGMENTS = """
SELECT segment_id, revision, session_uid, start_time, end_time, absolute_start, absolute_end,
    text, speaker, language, completed
FROM transcriptions WHERE meeting_id = $1 ORDER BY absolute_start, segment_id
"""

_SINCE = """
SELECT n.edition, t.segment_id, t.revision, t.session_uid, t.start_time, t.end_time, t.absolute_start, t.absolute_end,
    t.text, t.speaker, t.language, t.completed
FROM (SELECT coalesce((SELECT e.edition FROM transcript_editions e WHERE e.meeting_id = $1), 0)) AS n (edition)
LEFT JOIN transcriptions t ON t.meeting_id = $1 AND t.edition > $2
ORDER BY t.absolute_start, t.segment_id
"""

_STORED = """
SELECT k.meeting_id, k.segment_id, k.revision
FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS k (meeting_id, segment_id, revision)
JOIN transcriptions t ON t.meeting_id = k.meeting_id AND t.segment_id = k.segment_id
WHERE t.completed AND t.revision >= k.revision
"""

_Column = list[object]


class PostgresTranscripts(Part):
    """See `usher.ports.Transcripts`."""

    async def save(self, sessions: Sequence[Session], heard: Sequence[HeardSegment]) -> Mapping[int, int]:
        """Upsert a batch in one statement."""
        rows = [_fields(meeting_id, segment) for meeting_id, segment in _newest(heard)]
        spans = [(s.meeting_id, storable(s.session_uid), s.session_start) for s in sessions]
        if not rows and not spans:
            return {}
        taken = await self._database.rows(_SAVE, *_columns(spans, 3), *_columns(rows, 12))
        return {row["id"]: row["edition"] for row in taken}

    async def stored(self, marks: Sequence[Mark]) -> frozenset[Mark]:
        """Return those of the final segments that are stored, with one statement."""
        columns = _columns([(mark.meeting_id, storable(mark.segment_id), mark.revision) for mark in marks], 3)
        return frozenset(Mark(*row) for row in await self._database.rows(_STORED, *columns))

    async def segments(self, meeting_id: int) -> Sequence[Segment]:
        """Return the segments of a meeting in the order in which they were said."""
        return [Segment(*row) for row in await self._database.rows(_SEGMENTS, meeting_id)]

    async def edition(self, meeting_id: int, *, after: int) -> Edition:
        """Return the newest edition with what changed after another one, as one statement sees it."""
        rows = await self._database.rows(_SINCE, meeting_id, after)
        return Edition(rows[0]["edition"], [Segment(*row[1:]) for row in rows if row["segment_id"] is not None])


def _newest(heard: Sequence[HeardSegment]) -> Iterable[tuple[int, Segment]]:
    """Keep one revision of each segment, in the order of the table's key: one statement may write a row only once."""
    of_meeting = attrgetter("meeting_id")
    for meeting_id, group in groupby(sorted(heard, key=of_meeting), key=of_meeting):
        for segment in sorted(newest(each.segment for each in group), key=attrgetter("segment_id")):
            yield meeting_id, segment


def _fields(meeting_id: int, segment: Segment) -> tuple[object, ...]:
    speaker, language = segment.speaker, segment.language
    return (
        meeting_id,
        storable(segment.segment_id),
        segment.revision,
        storable(segment.session_uid),
        segment.start_s,
        segment.end_s,
        segment.absolute_start,
        segment.absolute_end,
        storable(segment.text),
        None if speaker is None else storable(speaker)[:_SPEAKER_LENGTH],
        None if language is None else storable(language)[:_LANGUAGE_LENGTH],
        segment.completed,
    )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[_Column]:
    """Turn rows into columns; no rows make empty columns."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
