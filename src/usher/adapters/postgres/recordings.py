"""What is known of recordings."""

from collections import defaultdict
from collections.abc import Sequence

from usher.adapters.postgres.pool import Connection, Part, Row
from usher.adapters.postgres.rows import LIVE_STATES, LOCK_CURRENT, sql, storable
from usher.ports import (
    ChunkVerdict,
    NewChunk,
    Recording,
    RecordingFile,
    RecordingPage,
    StoredChunk,
    judged,
)
from usher.protocol.recordings import FileDescription, FileState

_IS_CURRENT = sql(
    "SELECT m.id FROM meetings m WHERE m.connection_id = $1 AND m.status IN (<live>)",
    live=LIVE_STATES,
)

_DESCRIBE = """
WITH r AS (
    INSERT INTO recordings AS r (meeting_id, attempt, connection_id, started_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (meeting_id, attempt) DO UPDATE SET started_at = r.started_at RETURNING r.id
)
INSERT INTO recording_files AS f (recording_id, name, speaker, state, lost_ms)
SELECT r.id, $5, $6, $7, $8 FROM r
ON CONFLICT (recording_id, name) DO UPDATE SET
    speaker = coalesce(excluded.speaker, f.speaker), state = excluded.state, lost_ms = excluded.lost_ms
"""

_JUDGE = """
SELECT f.id, f.state, f.chunks, c.sha256,
    (SELECT sum(s.size_bytes) FROM recording_files s WHERE s.recording_id = r.id)
FROM recordings r JOIN recording_files f ON f.recording_id = r.id
    LEFT JOIN recording_chunks c ON c.file_id = f.id AND c.number = $3
WHERE r.connection_id = $1 AND f.name = $2
"""

_ADD = """
WITH c AS (
    INSERT INTO recording_chunks (file_id, number, sha256, size_bytes) VALUES ($1, $2, $3, $4::integer)
)
UPDATE recording_files
SET chunks = $2 + 1, size_bytes = size_bytes + $4::integer, duration_ms = greatest(duration_ms, $5) WHERE id = $1
"""

_FAIL = "UPDATE recordings SET failure = coalesce(failure, $2) WHERE connection_id = $1"

_COLUMNS = sql(
    """
SELECT r.id, r.meeting_id, m.user_id, r.attempt, r.connection_id,
    m.connection_id = r.connection_id AND m.status IN (<live>), r.started_at, r.failure, r.created_at
FROM recordings r JOIN meetings m ON m.id = r.meeting_id
""",
    live=LIVE_STATES,
)

_LIST = sql(
    """<columns>
WHERE m.user_id = $1 AND r.deleted_at IS NULL AND ($2::bigint IS NULL OR r.id < $2)
    AND ($3::bigint IS NULL OR r.meeting_id = $3)
ORDER BY r.id DESC LIMIT $4
""",
    columns=_COLUMNS,
)

_FIND = sql("<columns> WHERE r.id = $1 AND r.deleted_at IS NULL", columns=_COLUMNS)

_DELETIONS = sql("<columns> WHERE r.deleted_at IS NOT NULL ORDER BY r.id LIMIT $1", columns=_COLUMNS)

_FILES = """
SELECT recording_id, id, name, speaker, state, duration_ms, lost_ms, size_bytes, chunks, created_at
FROM recording_files WHERE recording_id = ANY ($1::bigint[]) ORDER BY id
"""

_CHUNKS = "SELECT number, sha256, size_bytes FROM recording_chunks WHERE file_id = $1 ORDER BY number"

_BEGIN_DELETION = sql(
    """
UPDATE recordings r SET deleted_at = coalesce(r.deleted_at, now()) FROM meetings m
WHERE m.id = r.meeting_id AND r.id = $1 AND NOT (m.connection_id = r.connection_id AND m.status IN (<live>))
RETURNING true
""",
    live=LIVE_STATES,
)

_END_DELETION = "DELETE FROM recordings WHERE id = $1 AND deleted_at IS NOT NULL"


class PostgresRecordings(Part):
    """See `usher.ports.Recordings`."""

    async def describe_file(self, connection_id: str, name: str, said: FileDescription) -> bool:
        """Begin a file, or change what is known of it; the meeting's row is held, so that it is not over meanwhile."""
        speaker = None if said.speaker is None else storable(said.speaker)
        async with self._database.connection() as connection, connection.transaction():
            meeting = await connection.fetchrow(LOCK_CURRENT, connection_id)
            if meeting is None:
                return False
            of = (meeting["id"], meeting["attempt"], connection_id, said.started_at)
            await connection.execute(_DESCRIBE, *of, name, speaker, said.state, said.lost_ms)
        return True

    async def judge_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Say what would become of a chunk now."""
        async with self._database.connection() as connection:
            if await connection.fetchval(_IS_CURRENT, connection_id) is None:
                return ChunkVerdict.OVER
            return (await _judge(connection, connection_id, chunk))[0]

    async def add_chunk(self, connection_id: str, chunk: NewChunk) -> ChunkVerdict:
        """Add a chunk; the meeting's row is held, so that two at once come one after the other."""
        async with self._database.connection() as connection, connection.transaction():
            if await connection.fetchrow(LOCK_CURRENT, connection_id) is None:
                return ChunkVerdict.OVER
            verdict, file_id = await _judge(connection, connection_id, chunk)
            if verdict is ChunkVerdict.NEW:
                size = (chunk.size_bytes, chunk.until_ms)
                await connection.execute(_ADD, file_id, chunk.number, chunk.sha256, *size)
        return verdict

    async def fail_recording(self, connection_id: str, why: str) -> None:
        """Note why a recording could not be kept."""
        await self._database.value(_FAIL, connection_id, storable(why))

    async def recordings(self, user_id: int, page: RecordingPage) -> Sequence[Recording]:
        """List a user's recordings, newest first."""
        return await self._with_files(
            await self._database.rows(_LIST, user_id, page.before_id, page.meeting_id, page.limit)
        )

    async def find_recording(self, recording_id: int) -> Recording | None:
        """Return the recording."""
        return next(iter(await self._with_files(await self._database.rows(_FIND, recording_id))), None)

    async def chunks(self, file_id: int) -> Sequence[StoredChunk]:
        """Return the chunks of a file, in order."""
        return [StoredChunk(*row) for row in await self._database.rows(_CHUNKS, file_id)]

    async def begin_deletion(self, recording_id: int) -> bool:
        """Take a recording out of every listing."""
        return await self._database.value(_BEGIN_DELETION, recording_id) is True

    async def end_deletion(self, recording_id: int) -> None:
        """Forget a recording."""
        await self._database.value(_END_DELETION, recording_id)

    async def deletions(self, *, limit: int) -> Sequence[Recording]:
        """Return recordings whose deletion was begun and not ended."""
        return await self._with_files(await self._database.rows(_DELETIONS, limit))

    async def _with_files(self, rows: Sequence[Row]) -> Sequence[Recording]:
        files: dict[int, list[RecordingFile]] = defaultdict(list)
        for recording_id, file_id, name, speaker, state, *rest in await self._database.rows(
            _FILES, [row["id"] for row in rows]
        ):
            files[recording_id].append(RecordingFile(file_id, name, speaker, FileState(state), *rest))
        return [Recording(*(*row, tuple(files[row["id"]]))) for row in rows]


async def _judge(connection: Connection, connection_id: str, chunk: NewChunk) -> tuple[ChunkVerdict, int]:
    """Say what becomes of a chunk, and which file it belongs to."""
    row = await connection.fetchrow(_JUDGE, connection_id, chunk.name, chunk.number)
    if row is None:
        return ChunkVerdict.UNKNOWN_FILE, 0
    file_id, state, chunks, sha256, size_bytes = row
    return judged(chunk, FileState(state), chunks, sha256, int(size_bytes)), file_id
