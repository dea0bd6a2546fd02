"""From the segment stream to the store, and from there to live viewers. An entry is acknowledged after commit."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import structlog
from pydantic import ValidationError

from usher.app.loops import run_forever
from usher.domain.errors import Invalid
from usher.domain.transcript import Segment
from usher.ports import Feed, HeardSegment, SegmentStream, Session, StreamEntry, Transcripts
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.live import LiveSegment, MeetingTag, TranscriptFrame, TranscriptPayload, dump
from usher.protocol.segments import BODY, CONNECTION, SegmentEntry, SpokenSegment, is_signed, meeting_named_in
from usher.telemetry import SEGMENT_ENTRIES

log = structlog.get_logger(__name__)

_MOST_TOKENS = 10_000
_END_S = 1.0


@dataclass(frozen=True, slots=True)
class _Read:
    entry: StreamEntry
    session: Session
    segments: list[Segment]


_Checked = tuple[StreamEntry, _Read | str]
"""An entry and what it says, or why it can never be stored."""


class Collector:
    """Reads batches, stores each with one statement, then acknowledges; what can never be stored is buried."""

    def __init__(
        self,
        stream: SegmentStream,
        transcripts: Transcripts,
        feed: Feed,
        credentials: BotCredentials,
        *,
        batch: int = 500,
        wait_s: float = 1.0,
    ) -> None:
        self._stream = stream
        self._transcripts = transcripts
        self._feed = feed
        self._token = lru_cache(_MOST_TOKENS)(credentials.token)
        self._batch = batch
        self._wait_s = wait_s

    async def run(self) -> None:
        """Collect until cancelled. While one batch is stored, the next one is read and checked; they stay in order."""
        ahead: asyncio.Task[list[_Checked]] | None = None

        async def one_pass() -> bool:
            nonlocal ahead
            taking, ahead = ahead or asyncio.create_task(self._take()), None
            batch = await taking
            ahead = asyncio.create_task(self._take(), name="collect-ahead") if batch else None
            await self._keep(batch)
            return True

        try:
            await run_forever("collect", one_pass, lambda: asyncio.sleep(0))
        finally:
            if ahead is not None:
                # What it has read and nobody stores is another collector's, after a while.
                ahead.cancel()
                await asyncio.wait({asyncio.gather(ahead, return_exceptions=True)}, timeout=_END_S)

    async def collect(self) -> int:
        """Store one batch and return how many entries it had. Safe to repeat after a crash at any point."""
        batch = await self._take()
        await self._keep(batch)
        return len(batch)

    async def _take(self) -> list[_Checked]:
        """Read the next batch and check it."""
        entries = await self._stream.read(limit=self._batch, wait_s=self._wait_s)
        return [(entry, self._read(entry)) for entry in entries]

    async def _keep(self, batch: Sequence[_Checked]) -> None:
        """Store what can be stored of a batch, bury the rest, and acknowledge all of it."""
        good: list[_Read] = []
        for entry, read in batch:
            if isinstance(read, str):
                await self._bury(entry, read)
            else:
                good.append(read)
        stored = await self._store(good)
        if batch:
            await self._stream.acknowledge([entry.entry_id for entry, _ in batch])
            SEGMENT_ENTRIES.labels("stored").inc(len(stored))

    async def store(self, entries: Sequence[SegmentEntry]) -> None:
        """Store and announce entries that did not come by the stream and whose origin is proven. Idempotent.

        Raises:
            Unavailable: The store does not answer.
        """
        nowhere = StreamEntry("", {})
        reads = [_read(nowhere, entry) for entry in entries if entry.session_start.tzinfo is not None]
        if reads:
            await self._save(reads)

    async def _store(self, reads: Sequence[_Read]) -> Sequence[_Read]:
        """Store a batch with one statement; if something in it cannot be stored, one by one without that."""
        if not reads:
            return reads
        try:
            return await self._save(reads)
        except Invalid as error:
            if len(reads) > 1:
                return [stored for read in reads for stored in await self._store([read])]
            await self._bury(reads[0].entry, error.code)
            return []

    async def _save(self, reads: Sequence[_Read]) -> Sequence[_Read]:
        """Store a batch, tell viewers, and return what was taken: nothing of a meeting whose transcript was deleted."""
        taken = await self._transcripts.save([read.session for read in reads], _heard(reads))
        late = len({read.session.meeting_id for read in reads} - taken.keys())
        if late:
            log.info("text_came_too_late", meetings=late)
        kept = [read for read in reads if read.session.meeting_id in taken]
        self._announce(kept, taken)
        return kept

    async def _bury(self, entry: StreamEntry, why: str) -> None:
        """Bury an entry, and take it out again if its meeting's transcript was deleted.

        In this order, because the deletion goes through the dead letters when it is committed: either it finds the
        entry there, or it is seen here.
        """
        log.warning("entry_buried", entry_id=entry.entry_id, why=why)
        SEGMENT_ENTRIES.labels("buried").inc()
        await self._stream.bury(entry, reason=why)
        meeting_id = meeting_named_in(entry.fields)
        if meeting_id is not None and await self._transcripts.is_erased(meeting_id):
            await self._stream.forget(meeting_id)

    def _read(self, entry: StreamEntry) -> _Read | str:
        """Check and read an entry; a string says why it can never be stored."""
        try:
            said = SegmentEntry.model_validate_json(entry.fields.get(BODY, b""))
            connection_id = entry.fields.get(CONNECTION, b"").decode()
        except (ValidationError, UnicodeDecodeError):
            return "malformed"
        token = self._token(BotIdentity(said.meeting_id, connection_id))
        if not is_signed(entry.fields, token):
            return "bad signature"
        if said.session_start.tzinfo is None:
            return "session_start has no time zone"
        return _read(entry, said)

    def _announce(self, reads: Sequence[_Read], editions: Mapping[int, int]) -> None:
        by_meeting: dict[int, list[Segment]] = defaultdict(list)
        for read in reads:
            by_meeting[read.session.meeting_id].extend(read.segments)
        for meeting_id, segments in by_meeting.items():
            if segments:
                self._feed.publish(meeting_id, dump(transcript_frame(meeting_id, segments, editions[meeting_id])))


def _read(entry: StreamEntry, said: SegmentEntry) -> _Read:
    session = Session(said.meeting_id, said.session_uid, said.session_start)
    return _Read(entry, session, [_segment(session, segment) for segment in said.segments])


def _heard(reads: Sequence[_Read]) -> list[HeardSegment]:
    return [HeardSegment(read.session.meeting_id, segment) for read in reads for segment in read.segments]


def transcript_frame(meeting_id: int, segments: Sequence[Segment], edition: int) -> TranscriptFrame:
    """Return the live frame that tells segments of an edition."""
    return TranscriptFrame(
        meeting=MeetingTag(id=meeting_id),
        payload=TranscriptPayload(segments=[_live(segment) for segment in segments], edition=edition),
        ts=datetime.now(UTC),
    )


def _segment(session: Session, spoken: SpokenSegment) -> Segment:
    return Segment(
        segment_id=spoken.segment_id,
        revision=spoken.revision,
        session_uid=session.session_uid,
        start_s=spoken.start_s,
        end_s=max(spoken.start_s, spoken.end_s),
        absolute_start=session.session_start + timedelta(seconds=spoken.start_s),
        absolute_end=session.session_start + timedelta(seconds=max(spoken.start_s, spoken.end_s)),
        text=spoken.text.replace("\0", ""),
        speaker=spoken.speaker,
        language=spoken.language,
        completed=spoken.completed,
    )


def _live(segment: Segment) -> LiveSegment:
    return LiveSegment(
        segment_id=segment.segment_id,
        revision=segment.revision,
        start=segment.start_s,
        end_time=segment.end_s,
        text=segment.text,
        speaker=segment.speaker,
        language=segment.language,
        completed=segment.completed,
        session_uid=segment.session_uid,
        absolute_start_time=segment.absolute_start,
        absolute_end_time=segment.absolute_end,
    )
