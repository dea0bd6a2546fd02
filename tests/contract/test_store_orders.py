"""What every store has to do for commands that move no meeting: chat messages and names."""

import asyncio
from dataclasses import replace

from tests.contract.store_worlds import ADMITTED, World, decided, new_meeting, walk, written

from usher.domain.lifecycle import Effect, Event, Source
from usher.ports import (
    CHAT,
    MOST_PENDING,
    RENAME,
    Acknowledgement,
    CommandFate,
    Configuration,
    Lane,
    Meeting,
    Order,
    Store,
    StoredCommand,
    Unordered,
)

STOP = (Event.STOP_REQUESTED, Source.USER)


async def inside(store: Store) -> Meeting:
    return await walk(store, await new_meeting(store), *ADMITTED)


async def ordered(store: Store, meeting: Meeting, text: str = "hello", action: str = CHAT) -> int:
    written = await store.order(Order(meeting.meeting_id, action, text, again_s=60.0))
    assert isinstance(written, StoredCommand), written
    return written.seq


async def reconfigured(store: Store, meeting: Meeting, language: str = "de") -> Meeting:
    now = await store.find(meeting.meeting_id)
    assert now is not None
    change = decided(now, Event.CONFIGURATION_REQUESTED, Source.USER)
    return await written(store, replace(change, desired_configuration=Configuration(language), command="reconfigure"))


async def outcomes(store: Store, meeting: Meeting, *numbers: int) -> list[str | None]:
    fates = [await store.fate(meeting.meeting_id, seq) for seq in numbers]
    return [None if fate is None else fate.outcome for fate in fates]


async def test_an_order_is_a_numbered_command_that_moves_nothing(store: Store) -> None:
    meeting = await inside(store)
    said = await store.order(Order(meeting.meeting_id, CHAT, "hel\x00lo", again_s=60.0))
    assert said == StoredCommand(1, meeting.connection_id, CHAT, Configuration("en"), text="hello")
    assert await ordered(store, meeting, "Note taker", RENAME) == 2
    after = await store.find(meeting.meeting_id)
    assert after is not None
    assert after == replace(meeting, command_seq=2)
    pending = await store.pending(meeting.connection_id, after_seq=0)
    assert [(one.seq, one.action, one.text) for one in pending] == [(1, CHAT, "hello"), (2, RENAME, "Note taker")]
    assert len(await store.events(meeting.meeting_id)) == len(ADMITTED) + 1, "history knows of no order"
    beats = await store.beat([meeting.connection_id], lease_s=20.0)
    assert beats[meeting.connection_id].newest_seq == 2


async def test_an_order_owes_that_it_is_published_again(world: World) -> None:
    store = world.store
    meeting = await inside(store)
    await ordered(store, meeting)
    assert not await store.claim(Lane.COMMAND, limit=9, claim_s=60.0)
    await world.pass_time(61.0)
    (owed,) = await store.claim(Lane.COMMAND, limit=9, claim_s=60.0)
    assert (owed.effect, owed.meeting_id, owed.attempt) == (Effect.SEND_COMMAND, meeting.meeting_id, 1)


async def test_orders_are_for_bots_that_are_in_the_meeting(store: Store) -> None:
    meeting = await new_meeting(store)
    order = Order(meeting.meeting_id, CHAT, "hello", again_s=1.0)
    assert await store.order(order) is Unordered.NOT_IN_MEETING
    meeting = await walk(store, meeting, *ADMITTED)
    assert isinstance(await store.order(order), StoredCommand)
    await reconfigured(store, meeting)
    assert isinstance(await store.order(order), StoredCommand)
    now = await store.find(meeting.meeting_id)
    assert now is not None
    leaving = await written(store, replace(decided(now, *STOP), command="leave"))
    assert await store.order(order) is Unordered.NOT_IN_MEETING
    await walk(store, leaving, (Event.LEFT, Source.BOT))
    assert await store.order(order) is Unordered.NOT_IN_MEETING
    assert await store.order(replace(order, meeting_id=999_999)) is Unordered.NOT_IN_MEETING


async def test_only_so_many_orders_wait(store: Store) -> None:
    meeting = await inside(store)
    for _ in range(MOST_PENDING):
        await ordered(store, meeting)
    order = Order(meeting.meeting_id, CHAT, "one more", again_s=1.0)
    assert await store.order(order) is Unordered.TOO_MANY
    await store.acknowledge(meeting.connection_id, Acknowledgement(7, "applied"))
    assert isinstance(await store.order(order), StoredCommand)


async def test_a_chat_message_is_never_made_void(store: Store) -> None:
    meeting = await inside(store)
    await reconfigured(store, meeting)  # 1
    await ordered(store, meeting, "first")  # 2
    await ordered(store, meeting, "A", RENAME)  # 3
    await reconfigured(store, meeting, "fr")  # 4
    await ordered(store, meeting, "second")  # 5
    await ordered(store, meeting, "B", RENAME)  # 6
    for seq in (4, 5, 6):
        await store.acknowledge(meeting.connection_id, Acknowledgement(seq, "applied"))
    fates = await outcomes(store, meeting, 1, 2, 3, 4, 5, 6)
    assert fates == ["expired", None, "expired", "applied", "applied", "applied"]
    assert [one.seq for one in await store.pending(meeting.connection_id, after_seq=0)] == [2]


async def test_a_leave_makes_all_but_chat_void(store: Store) -> None:
    meeting = await inside(store)
    await ordered(store, meeting, "A", RENAME)
    await ordered(store, meeting)
    await reconfigured(store, meeting)
    now = await store.find(meeting.meeting_id)
    assert now is not None
    leaving = await written(store, replace(decided(now, *STOP), command="leave"))
    await store.acknowledge(meeting.connection_id, Acknowledgement(4, "applied"))
    assert await outcomes(store, meeting, 1, 2, 3, 4) == ["expired", None, "expired", "applied"]
    left = replace(decided(leaving, Event.LEFT, Source.BOT), expire_commands=True)
    await written(store, left)
    assert await outcomes(store, meeting, 2) == ["expired"]


async def test_the_end_of_the_time_for_a_configuration_is_not_the_end_of_a_chat_message(store: Store) -> None:
    meeting = await inside(store)
    changing = await reconfigured(store, meeting)
    await ordered(store, meeting)
    late = decided(changing, Event.DEADLINE_PASSED, Source.RECONCILER)
    await written(store, replace(late, expire_changes=True, drop_configuration=True))
    assert await outcomes(store, meeting, 1, 2) == ["expired", None]


async def test_what_became_of_a_command_is_told(store: Store) -> None:
    meeting, other = await inside(store), await inside(store)
    await ordered(store, meeting)
    assert await store.fate(meeting.meeting_id, 1) == CommandFate(1, CHAT, None, "")
    assert await store.fate(meeting.meeting_id, 2) is None
    assert await store.fate(other.meeting_id, 1) is None
    await store.acknowledge(meeting.connection_id, Acknowledgement(1, "refused", "there is no chat"))
    assert await store.fate(meeting.meeting_id, 1) == CommandFate(1, CHAT, "refused", "there is no chat")


async def test_the_newest_change_of_configuration_is_known_whatever_else_was_ordered(store: Store) -> None:
    meeting = await inside(store)
    assert (meeting.command_seq, meeting.configuration_seq) == (0, 0)
    await ordered(store, meeting)
    changing = await reconfigured(store, meeting)
    assert (changing.command_seq, changing.configuration_seq) == (2, 2)
    await ordered(store, meeting)
    now = await store.find(meeting.meeting_id)
    assert now is not None
    assert (now.command_seq, now.configuration_seq) == (3, 2)


async def test_orders_and_changes_at_once_get_a_number_each(store: Store) -> None:
    meeting = await inside(store)
    await asyncio.gather(*(ordered(store, meeting, str(n)) for n in range(8)), reconfigured(store, meeting))
    pending = await store.pending(meeting.connection_id, after_seq=0)
    assert [one.seq for one in pending] == list(range(1, 10))


async def test_a_failure_tells_what_is_known_of_it_until_the_next_attempt(store: Store) -> None:
    meeting = await walk(store, await new_meeting(store), (Event.LAUNCH_BEGUN, Source.DISPATCHER))
    crashed = replace(
        decided(meeting, Event.CRASHED, Source.BOT),
        failure_stage=meeting.status,
        detail="code 1. give\x00_name: …",
    )
    failed = await written(store, crashed)
    assert failed.failure_detail == "code 1. give_name: …"
    found = await store.find(meeting.meeting_id)
    assert found == failed
    retried = await walk(store, failed, (Event.RETRY_GRANTED, Source.DISPATCHER))
    assert (retried.failure_stage, retried.failure_detail) == (None, None)
    begun = await walk(store, retried, (Event.LAUNCH_BEGUN, Source.DISPATCHER))
    silent = replace(decided(begun, Event.CRASHED, Source.BOT), failure_stage=begun.status, detail="")
    assert (await written(store, silent)).failure_detail is None
