"""What every store has to do with what bots see of a page: evidence and chat."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.contract.store_worlds import ADMITTED, new_meeting, walk

from usher.domain.lifecycle import Event, Source
from usher.ports import MOST_EXHIBITS, ExhibitContents, Meeting, Store
from usher.protocol.chat import MOST_LINES, MOST_LINES_AT_ONCE, SeenLine
from usher.protocol.evidence import Evidence

JPEG = b"\xff\xd8\xff a picture \x00 \xff"
RETRY = ((Event.CRASHED, Source.BOT), (Event.RETRY_GRANTED, Source.DISPATCHER), *ADMITTED)
LEFT = (Event.LEFT, Source.BOT)


async def inside(store: Store) -> Meeting:
    return await walk(store, await new_meeting(store), *ADMITTED)


def line(line_id: str, text: str = "hello", sender: str = "Ann", *, ago_s: float = 0.0) -> SeenLine:
    return SeenLine(line_id=line_id, sender=sender, text=text, is_self=sender == "Usher", ago_s=ago_s)


async def told(store: Store, meeting: Meeting, *lines: SeenLine) -> list[str]:
    kept = await store.save_chat(meeting.connection_id, lines)
    assert kept is not None
    return [f"{one.attempt}:{one.line_id}" for one in kept]


async def texts(store: Store, meeting: Meeting) -> list[str]:
    return [one.text for one in await store.chat(meeting.meeting_id)]


async def test_evidence_is_kept_with_its_meeting(store: Store) -> None:
    meeting, other = await inside(store), await inside(store)
    before = datetime.now(UTC)
    full = Evidence(
        step="give_name",
        reason="join_failed",
        title="Mee\x00t",
        address="https://meet.example/abc",
        screenshot=JPEG,
        tree='- textbox "Your name"\x00\n- text: Zoë 🎤',
    )
    assert await store.exhibit(meeting.connection_id, full)
    assert await store.exhibit(meeting.connection_id, Evidence(step="look"))
    first, second = await store.exhibits(meeting.meeting_id)
    assert abs(first.taken_at - before) < timedelta(seconds=60)
    assert (first.number, first.attempt, first.step, first.reason) == (1, 1, "give_name", "join_failed")
    assert (first.title, first.address) == ("Meet", "https://meet.example/abc")
    tree = '- textbox "Your name"\n- text: Zoë 🎤'
    assert (first.screenshot_bytes, first.tree_characters) == (len(JPEG), len(tree))
    assert (second.number, second.reason, second.screenshot_bytes, second.tree_characters) == (2, None, 0, 0)
    assert await store.exhibit_contents(meeting.meeting_id, 1) == ExhibitContents(JPEG, tree)
    assert await store.exhibit_contents(meeting.meeting_id, 2) == ExhibitContents(None, "")
    assert await store.exhibit_contents(meeting.meeting_id, 3) is None
    assert await store.exhibit_contents(other.meeting_id, 1) is None
    assert not await store.exhibits(other.meeting_id)


async def test_the_newest_evidence_is_kept_under_its_number(store: Store) -> None:
    meeting = await inside(store)
    for number in range(1, MOST_EXHIBITS + 4):
        assert await store.exhibit(meeting.connection_id, Evidence(step=f"step {number}"))
    kept = await store.exhibits(meeting.meeting_id)
    assert [(one.number, one.step) for one in kept] == [(n, f"step {n}") for n in range(4, MOST_EXHIBITS + 4)]


async def test_evidence_at_once_gets_a_number_each(store: Store) -> None:
    meeting = await inside(store)
    await asyncio.gather(*(store.exhibit(meeting.connection_id, Evidence(step=str(n))) for n in range(8)))
    assert [one.number for one in await store.exhibits(meeting.meeting_id)] == list(range(1, 9))


async def test_only_the_current_attempt_is_heard(store: Store) -> None:
    meeting = await inside(store)
    retried = await walk(store, meeting, *RETRY)
    for connection_id in (meeting.connection_id, "nobody"):
        assert not await store.exhibit(connection_id, Evidence(step="late"))
        assert await store.save_chat(connection_id, [line("1")]) is None
    assert await store.exhibit(retried.connection_id, Evidence(step="second"))
    assert [one.attempt for one in await store.exhibits(meeting.meeting_id)] == [2]
    assert await told(store, retried, line("1")) == ["2:1"]
    over = await walk(store, retried, LEFT)
    assert not await store.exhibit(over.connection_id, Evidence(step="late"))
    assert await store.save_chat(over.connection_id, [line("2")]) is None
    assert len(await store.exhibits(meeting.meeting_id)) == len(await store.chat(meeting.meeting_id)) == 1


async def test_lines_of_chat_are_kept_once_in_the_order_of_their_first_sight(store: Store) -> None:
    meeting, other = await inside(store), await inside(store)
    assert await told(store, meeting, line("b", "one"), line("a", "t\x00wo"), line("b", "again")) == ["1:b", "1:a"]
    assert await told(store, meeting, line("a", "edited"), line("0", "three")) == ["1:0"]
    assert await told(store, meeting, line("a"), line("b")) == []
    assert await texts(store, meeting) == ["one", "two", "three"]
    assert [one.number for one in await store.chat(meeting.meeting_id)] == [1, 2, 3]
    kept = await store.save_chat(meeting.connection_id, [line("a"), line("4", "four"), line("5", "five")])
    assert kept is not None
    assert [one.number for one in kept] == [4, 5]
    assert await told(store, other, line("a", "elsewhere")) == ["1:a"]
    assert await told(store, other) == []
    assert not await store.chat(999_999)


async def test_a_line_tells_who_wrote_it_and_when_it_was_seen(store: Store) -> None:
    meeting = await inside(store)
    kept = await store.save_chat(meeting.connection_id, [line("1", ago_s=3600.0), line("2", "hi", "Usher")])
    assert kept is not None
    assert list(kept) == list(await store.chat(meeting.meeting_id))
    first, second = kept
    assert (first.sender, first.is_self) == ("Ann", False)
    assert (second.sender, second.is_self) == ("Usher", True)
    assert timedelta(seconds=3599) < second.at - first.at < timedelta(seconds=3601)


async def test_what_the_page_shows_to_a_second_attempt_again_is_not_new(store: Store) -> None:
    meeting = await inside(store)
    await told(store, meeting, line("1", "hello"), line("2", "how are you"))
    second = await walk(store, meeting, *RETRY)
    assert await told(store, second, line("1", "hello"), line("2", "another"), line("3", "new")) == ["2:2", "2:3"]
    assert await texts(store, meeting) == ["hello", "how are you", "another", "new"]


async def test_only_so_many_lines_of_a_meeting_are_kept(store: Store) -> None:
    meeting = await inside(store)
    for first in range(0, MOST_LINES - 10, MOST_LINES_AT_ONCE):
        numbers = range(first, min(first + MOST_LINES_AT_ONCE, MOST_LINES - 10))
        await told(store, meeting, *(line(str(number)) for number in numbers))
    last = await told(store, meeting, *(line(str(number)) for number in range(MOST_LINES - 20, MOST_LINES + 5)))
    assert last == [f"1:{number}" for number in range(MOST_LINES - 10, MOST_LINES)]
    assert len(await store.chat(meeting.meeting_id)) == MOST_LINES


async def test_lines_told_twice_at_once_are_kept_once(store: Store) -> None:
    meeting = await inside(store)
    batch = [line(str(number)) for number in range(50)]
    kept = await asyncio.gather(*(told(store, meeting, *batch) for _ in range(6)))
    assert sorted(map(len, kept)) == [0, 0, 0, 0, 0, 50]
    assert [one.line_id for one in await store.chat(meeting.meeting_id)] == [str(number) for number in range(50)]
