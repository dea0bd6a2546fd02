"""V74: text between the stream and the store."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from tests.support.world import World

from usher.adapters.memory.redis import MemorySegmentStream
from usher.app.collector import Collector
from usher.domain.errors import Unavailable
from usher.ports import HeardSegment, Session, Transcripts
from usher.protocol.segments import SegmentEntry, SpokenSegment, sign


class _Away:
    """Transcripts whose database is away, while `away`."""

    def __init__(self, transcripts: Transcripts) -> None:
        self._transcripts, self.away = transcripts, True

    async def save(self, sessions: Sequence[Session], heard: Sequence[HeardSegment]) -> Mapping[int, int]:
        if self.away:
            raise Unavailable(f"the database is away, and {len(heard)} segments are not stored")
        return await self._transcripts.save(sessions, heard)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
        return getattr(self._transcripts, name)


async def test_v74_text_that_could_not_be_stored_is_neither_acknowledged_nor_shown() -> None:
    world = World()
    meeting = await world.active()
    await asyncio.sleep(0)
    said = SpokenSegment(segment_id="s:1", revision=1, start_s=1, end_s=2, text="hello", completed=True)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    entry = SegmentEntry(meeting_id=meeting.meeting_id, session_uid="s", session_start=began, segments=[said])
    bot = await world.bot_of(meeting.meeting_id)
    fields = sign(entry, bot.connection_id, world.credentials.token(bot))
    world.segments.append({name: value.encode() for name, value in fields.items()})
    store = _Away(world.store)
    collector = Collector(world.stream, cast("Transcripts", store), world.feed, world.credentials, wait_s=0.0)
    async with world.feed.subscribe(meeting.meeting_id) as live:
        shown = asyncio.ensure_future(anext(aiter(live)))
        with pytest.raises(Unavailable):
            await collector.collect()
        await asyncio.sleep(0.01)
        assert not shown.done()
        assert await world.stream.backlog() == 1
        store.away = False
        again = MemorySegmentStream(world.segments, claim_idle_s=0.0)
        await Collector(again, cast("Transcripts", store), world.feed, world.credentials, wait_s=0.0).collect()
        assert (await asyncio.wait_for(shown, 60))["payload"]["segments"][0]["text"] == "hello"
    assert [segment.text for segment in await world.store.segments(meeting.meeting_id)] == ["hello"]
    assert await world.stream.backlog() == 0
