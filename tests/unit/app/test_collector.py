"""From the segment stream to the store and to live viewers."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from tests.support.eventually import eventually
from tests.support.world import World, exited

from usher.adapters.memory.redis import MemorySegmentStream
from usher.app.collector import Collector
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason
from usher.ports import Erasure, Meeting, StreamEntry
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.segments import SegmentEntry, SpokenSegment, sign


def entry(meeting_id: int, text: str = "hello there", *, revision: int = 0, completed: bool = True) -> SegmentEntry:
    segment = SpokenSegment(
        segment_id="s:1",
        revision=revision,
        start_s=1.0,
        end_s=2.5,
        text=text,
        speaker="Ann",
        language="en",
        completed=completed,
    )
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    return SegmentEntry(meeting_id=meeting_id, session_uid="s", session_start=start, segments=[segment])


def append(world: World, meeting: Meeting, said: SegmentEntry, *, token: str | None = None) -> None:
    bot = BotIdentity(meeting.meeting_id, meeting.connection_id)
    fields = sign(said, meeting.connection_id, token or world.credentials.token(bot))
    world.segments.append({name: value.encode() for name, value in fields.items()})


async def test_a_segment_is_stored_with_absolute_times_and_shown_live() -> None:
    world = World()
    meeting = await world.active()
    async with world.feed.subscribe(meeting.meeting_id) as live:
        append(world, meeting, entry(meeting.meeting_id))
        await world.collector.collect()
        frame = await anext(aiter(live))
    (stored,) = await world.store.segments(meeting.meeting_id)
    assert (stored.text, stored.speaker) == ("hello there", "Ann")
    assert stored.absolute_start == datetime(2026, 1, 1, 9, 0, 1, tzinfo=UTC)
    assert frame["type"] == "transcript.mutable"
    assert frame["payload"]["segments"][0]["text"] == "hello there"
    assert await world.stream.backlog() == 0


async def test_the_newest_revision_wins_whatever_the_order() -> None:
    world = World()
    meeting = await world.active()
    append(world, meeting, entry(meeting.meeting_id, "hello there", revision=3))
    append(world, meeting, entry(meeting.meeting_id, "hell", revision=1, completed=False))
    await world.collector.collect()
    append(world, meeting, entry(meeting.meeting_id, "hello", revision=2, completed=False))
    await world.collector.collect()
    assert [s.text for s in await world.store.segments(meeting.meeting_id)] == ["hello there"]


async def test_an_entry_for_another_meeting_is_buried() -> None:
    world = World()
    mine, other = await world.active("room-1"), await world.active("room-2")
    append(world, mine, entry(other.meeting_id))
    await world.collector.collect()
    assert await world.store.segments(other.meeting_id) == []
    assert [reason for _, reason in world.segments.dead] == ["bad signature"]


async def test_an_entry_signed_with_another_secret_is_buried() -> None:
    world = World()
    meeting = await world.active()
    forged = BotCredentials(b"somebody else's secret").token(BotIdentity(meeting.meeting_id, meeting.connection_id))
    append(world, meeting, entry(meeting.meeting_id), token=forged)
    await world.collector.collect()
    assert await world.store.segments(meeting.meeting_id) == []


async def test_poison_does_not_hold_up_what_follows() -> None:
    world = World()
    meeting = await world.active()
    world.segments.append({"body": b"{not json", "signature": b"", "connection_id": b"\xff"})
    append(world, meeting, entry(meeting.meeting_id))
    await world.collector.collect()
    assert len(await world.store.segments(meeting.meeting_id)) == 1
    assert await world.stream.backlog() == 0


async def test_totals_wait_for_the_last_of_the_transcript() -> None:
    world = World()
    meeting = await world.active()
    append(world, meeting, entry(meeting.meeting_id))
    user = await world.user()
    await world.bots.stop(user.user_id, meeting.ref.platform, meeting.ref.native_id)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert "totals" not in (await world.meeting(meeting.meeting_id)).data
    await world.collector.collect()
    world.clock.advance(5)
    await world.settle()
    data = (await world.meeting(meeting.meeting_id)).data
    assert data["totals"] == {"segments": 1, "words": 2, "speech_s": 1.5}
    assert data["participants"] == ["Ann"]


class _Refusing(MemorySegmentStream):
    """Refuses every other read."""

    reads = 0

    async def read(self, *, limit: int, wait_s: float) -> Sequence[StreamEntry]:
        self.reads += 1
        if self.reads % 2 == 0:
            raise Unavailable("refused")
        return await super().read(limit=limit, wait_s=wait_s)


async def test_it_reads_ahead_and_goes_on_after_a_read_that_failed() -> None:
    world = World()
    meetings = [await world.active(f"room-{number}") for number in range(3)]
    for meeting in meetings:
        append(world, meeting, entry(meeting.meeting_id))
    stream = _Refusing(world.segments)
    collector = Collector(stream, world.store, world.feed, world.credentials, batch=1, wait_s=0.05)
    running = asyncio.create_task(collector.run())
    await eventually(lambda: not world.segments.held, timeout_s=30.0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [len(await world.store.segments(meeting.meeting_id)) for meeting in meetings] == [1, 1, 1]
    assert stream.reads >= 6


async def test_text_for_a_deleted_meeting_is_neither_stored_nor_shown() -> None:
    world = World()
    meeting = await over(world)
    other = await world.active("another")
    async with world.feed.subscribe(meeting.meeting_id) as live, world.feed.subscribe(other.meeting_id) as others:
        append(world, meeting, entry(meeting.meeting_id, "late"))
        append(world, other, entry(other.meeting_id, "in time"))
        await world.collector.collect()
        await world.collector.store([entry(meeting.meeting_id, "last words")])
        assert (await anext(aiter(others)))["payload"]["segments"][0]["text"] == "in time"
        world.feed.publish(meeting.meeting_id, {"type": "end"})
        assert await anext(aiter(live)) == {"type": "end"}, "nothing came before it"
    assert not await world.store.segments(meeting.meeting_id)
    assert await world.stream.backlog() == 0


async def test_an_entry_of_a_deleted_meeting_that_can_never_be_stored_is_not_kept_among_the_dead() -> None:
    world = World()
    meeting = await over(world)
    other = await world.active("another")
    append(world, meeting, entry(meeting.meeting_id, "late"), token="of somebody else")
    append(world, other, entry(other.meeting_id, "hello"), token="of somebody else")
    await world.collector.collect()
    assert [reason for _, reason in world.segments.dead] == ["bad signature"]
    assert b"hello" in world.segments.dead[0][0].fields["body"]


async def over(world: World) -> Meeting:
    """Return a meeting that was deleted."""
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    await world.settle()
    assert await world.store.erase(meeting.meeting_id) is Erasure.ERASED
    return meeting
