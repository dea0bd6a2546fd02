"""What every store has to do when a transcript is deleted or shared, and how meetings are listed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.contract.store_worlds import ADMITTED, World, new_meeting, new_user, request, walk, written
from tests.contract.store_worlds import decided as deciding

from usher.domain.lifecycle import Event, Source, State
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.transcript import Segment
from usher.ports import (
    MOST_SHARES,
    Claim,
    Erasure,
    HeardSegment,
    Lane,
    Meeting,
    Order,
    Page,
    Session,
    Store,
)
from usher.protocol.chat import SeenLine
from usher.protocol.evidence import Evidence

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WORD = "xylophone"
LEFT = (Event.LEFT, Source.BOT)


def said(meeting: Meeting, text: str = WORD, segment_id: str = "a") -> HeardSegment:
    return HeardSegment(
        meeting.meeting_id,
        Segment(segment_id, 1, "s", 1.0, 2.0, NOW, NOW + timedelta(seconds=1), text, WORD, "en", completed=True),
    )


async def ended(store: Store, native_id: str = "weekly-sync") -> Meeting:
    """Return a meeting that is over, whose workload is gone, and in which the word was said in every way."""
    meeting = await walk(store, await new_meeting(store, native_id=native_id), *ADMITTED)
    await store.save([Session(meeting.meeting_id, "s", NOW)], [said(meeting)])
    await store.save_chat(meeting.connection_id, [SeenLine(line_id="1", sender=WORD, text=WORD, ago_s=0)])
    await store.order(Order(meeting.meeting_id, "chat", WORD, 1.0))
    await store.exhibit(meeting.connection_id, Evidence(step=WORD, title=WORD, tree=WORD))
    await store.put_data(meeting.meeting_id, {"notes": WORD, "totals": {"words": 1}, "bot_log_1": WORD})
    left = replace(deciding(await found(store, meeting), *LEFT), detail=WORD)
    meeting = await written(store, left)
    await workload_gone(store)
    return meeting


async def found(store: Store, meeting: Meeting) -> Meeting:
    now = await store.find(meeting.meeting_id)
    assert now is not None
    return now


async def workload_gone(store: Store) -> None:
    """Let the launcher confirm the end of all workloads."""
    while effects := await store.claim(Lane.WORKLOAD, limit=10, claim_s=60.0):
        for effect in effects:
            assert await store.complete(Claim(effect.claim.effect_id, effect.claim.token))


async def test_everything_that_was_said_is_gone_and_states_stay(store: Store) -> None:
    meeting = await ended(store)
    await store.add_share(meeting.meeting_id, b"1" * 32, good_s=60.0)
    states = [event.to_state for event in await store.events(meeting.meeting_id)]
    assert not await store.is_erased(meeting.meeting_id)
    for _ in range(2):
        assert await store.erase(meeting.meeting_id) is Erasure.ERASED
    assert await store.is_erased(meeting.meeting_id)
    assert not await store.segments(meeting.meeting_id)
    assert not await store.chat(meeting.meeting_id)
    assert not await store.exhibits(meeting.meeting_id)
    assert not await store.shares(meeting.meeting_id)
    assert await store.find_shared(b"1" * 32) is None
    assert await store.fate(meeting.meeting_id, 1) is None
    redacted = await found(store, meeting)
    assert redacted.redacted
    assert (redacted.ref, redacted.data) == (
        MeetingRef(Platform.ROOM, "", ""),
        {"redacted": True, "totals": {"words": 1}},
    )
    assert (redacted.status, redacted.version, redacted.end_time) == (meeting.status, meeting.version, meeting.end_time)
    events = await store.events(meeting.meeting_id)
    assert [event.to_state for event in events] == states
    assert not any(event.detail for event in events)


async def test_nothing_is_taken_in_for_a_deleted_meeting(store: Store) -> None:
    meeting = await ended(store)
    other = await new_meeting(store, native_id="another")
    await store.erase(meeting.meeting_id)
    sessions = [Session(one.meeting_id, "late", NOW) for one in (meeting, other)]
    taken = await store.save(sessions, [said(meeting, "late"), said(other, "in time")])
    assert taken == {other.meeting_id: 1}
    assert not await store.segments(meeting.meeting_id)
    assert [segment.text for segment in await store.segments(other.meeting_id)] == ["in time"]
    assert await store.put_data(meeting.meeting_id, {"notes": WORD}) is None
    assert await store.add_share(meeting.meeting_id, b"2" * 32, good_s=60.0) is None
    assert not await store.exhibit(meeting.connection_id, Evidence(step=WORD))
    assert await store.save_chat(meeting.connection_id, [SeenLine(line_id="2", text=WORD, ago_s=0)]) is None
    assert (await found(store, meeting)).data == {"redacted": True, "totals": {"words": 1}}


async def test_what_is_not_over_is_not_deleted(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), *ADMITTED)
    await store.save([], [said(meeting)])
    assert await store.erase(meeting.meeting_id) is Erasure.NOT_OVER
    meeting = await walk(store, meeting, LEFT)
    assert await store.erase(meeting.meeting_id) is Erasure.ENDING, "the launcher has not confirmed the end"
    assert len(await store.segments(meeting.meeting_id)) == 1
    await workload_gone(store)
    assert await store.erase(meeting.meeting_id) is Erasure.ERASED
    assert await store.erase(999_999) is Erasure.UNKNOWN
    assert not await store.is_erased(999_999)


async def test_a_deleted_visit_is_found_by_nobody_who_names_the_call(store: Store) -> None:
    meeting = await ended(store)
    await store.erase(meeting.meeting_id)
    by_name = Page(platform=Platform.ROOM, native_id="weekly-sync")
    assert await store.find_latest(meeting.user_id, Platform.ROOM, "weekly-sync") is None
    assert await store.find_latest(meeting.user_id, Platform.ROOM, "") is None
    assert not await store.list_of_user(meeting.user_id, by_name)
    assert not await store.list_of_user(meeting.user_id, replace(by_name, native_id=""))
    assert [one.meeting_id for one in await store.list_of_user(meeting.user_id, Page())] == [meeting.meeting_id]
    user = await store.find_user(meeting.user_id)
    assert user is not None
    again = await new_meeting(store, user)
    assert await store.is_vacated(again.meeting_id)
    assert await store.find_latest(meeting.user_id, Platform.ROOM, "weekly-sync") == again


async def test_data_that_is_there_may_be_kept(store: Store) -> None:
    meeting = await new_meeting(store)
    put = await store.put_data(meeting.meeting_id, {"participants": ["Ann"], "a\x00": "b\x00"})
    assert put == await found(store, meeting)
    kept = await store.put_data(meeting.meeting_id, {"participants": [], "totals": {"words": 3}}, keep=True)
    assert kept is not None
    assert kept.data == {"participants": ["Ann"], "a": "b", "totals": {"words": 3}}
    assert await store.put_data(999_999, {"a": 1}, keep=True) is None


async def test_a_link_is_good_until_it_is_over_or_taken_back(world: World) -> None:
    store = world.store
    meeting, other = await ended(store), await new_meeting(store, native_id="another")
    first = await store.add_share(meeting.meeting_id, b"1" * 32, good_s=100.0)
    second = await store.add_share(meeting.meeting_id, b"2" * 32, good_s=1000.0)
    assert first is not None
    assert second is not None
    assert (first.meeting_id, first.expires_at - first.created_at) == (meeting.meeting_id, timedelta(seconds=100))
    assert await store.shares(meeting.meeting_id) == [first, second]
    assert await store.find_shared(b"1" * 32) == await found(store, meeting)
    assert await store.find_shared(b"3" * 32) is None
    assert not await store.end_share(other.meeting_id, second.share_id), "it is another meeting's"
    await world.pass_time(101.0)
    assert await store.find_shared(b"1" * 32) is None
    assert [one.share_id for one in await store.shares(meeting.meeting_id)] == [second.share_id]
    assert not await store.end_share(meeting.meeting_id, first.share_id), "it was over"
    assert await store.end_share(meeting.meeting_id, second.share_id)
    assert not await store.end_share(meeting.meeting_id, second.share_id)
    assert await store.find_shared(b"2" * 32) is None


async def test_links_to_one_transcript_are_limited_and_forgotten(world: World) -> None:
    store, meeting = world.store, await new_meeting(world.store)
    for number in range(MOST_SHARES):
        assert await store.add_share(meeting.meeting_id, number.to_bytes(32), good_s=50.0)
    assert await store.add_share(meeting.meeting_id, b"x" * 32, good_s=50.0) is None
    await world.pass_time(60.0)
    assert await store.add_share(meeting.meeting_id, b"x" * 32, good_s=50.0)
    assert await store.prune(older_than_s=5.0, limit=1000) >= MOST_SHARES
    assert len(await store.shares(meeting.meeting_id)) == 1


async def test_meetings_are_listed_by_platform_call_and_time(store: Store) -> None:
    user = await new_user(store)
    calls = [("a", Platform.ROOM), ("b", Platform.ZOOM), ("c", Platform.ROOM), ("d", Platform.ZOOM)]
    made = []
    for native_id, platform in calls:
        wanted = request(user, native_id)
        created = await store.create(replace(wanted, ref=MeetingRef(platform, native_id, "")))
        made.append(created.meeting)

    async def listed(page: Page) -> str:
        return "".join(meeting.ref.native_id for meeting in await store.list_of_user(user.user_id, page))

    assert await listed(Page()) == "dcba"
    assert await listed(Page(platform=Platform.ZOOM)) == "db"
    assert await listed(Page(platform=Platform.ROOM, native_id="c")) == "c"
    assert await listed(Page(platform=Platform.ZOOM, native_id="c")) == ""
    assert await listed(Page(since=made[1].created_at)) == "dcb"
    assert await listed(Page(until=made[1].created_at)) == "a"
    assert await listed(Page(since=made[1].created_at, until=made[3].created_at, platform=Platform.ROOM)) == "c"
    assert await listed(Page(before_id=made[2].meeting_id)) == "ba"
    assert await listed(Page(before_id=made[2].meeting_id, platform=Platform.ZOOM, limit=1)) == "b"
    assert await listed(Page(before_id=999_999)) == ""
    stranger = await new_meeting(store)
    assert await listed(Page(before_id=stranger.meeting_id)) == "", "it is somebody else's"
    assert await listed(Page(states=frozenset({State.REQUESTED}), platform=Platform.ROOM)) == "ca"
