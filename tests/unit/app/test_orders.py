"""What a bot in the meeting is told to write or to be called, from the user's wish to its outcome."""

import asyncio
import json

import pytest
from tests.support.world import World, exited

from usher.domain.errors import Conflict, LimitReached, NotFound
from usher.domain.lifecycle import Reason, State
from usher.domain.meeting import Platform
from usher.ports import MOST_PENDING, Meeting

ROOM = (Platform.ROOM, "weekly-sync")


async def say(world: World, text: str = "hello") -> int:
    return (await world.bots.say((await world.user()).user_id, *ROOM, text)).seq


async def configure(world: World, language: str) -> None:
    await world.bots.configure((await world.user()).user_id, *ROOM, {"language": language})


async def acknowledge(world: World, meeting: Meeting, seq: int, outcome: str = "applied", detail: str = "") -> None:
    bot = await world.bot_of(meeting.meeting_id)
    await world.reports.acknowledge(bot, seq, outcome=outcome, detail=detail)


async def fates(world: World, *numbers: int) -> list[str | None]:
    user = await world.user()
    return [(await world.bots.fate(user.user_id, *ROOM, seq)).outcome for seq in numbers]


async def test_what_is_to_be_written_is_published_at_once() -> None:
    world = World()
    meeting = await world.active()
    heard = world.channel.listen(meeting.connection_id)
    assert await say(world) == 1
    told = json.loads(await asyncio.wait_for(heard.get(), 1.0))
    assert told == {"action": "chat", "text": "hello", "seq": 1}
    await world.bots.rename((await world.user()).user_id, *ROOM, "Note taker")
    told = json.loads(await asyncio.wait_for(heard.get(), 1.0))
    assert told == {"action": "rename", "name": "Note taker", "seq": 2}
    assert (await world.meeting(meeting.meeting_id)).version == meeting.version, "it moves no meeting"


async def test_it_is_published_again_while_nobody_acknowledges_it() -> None:
    world = World()
    meeting = await world.active()
    await say(world)
    await asyncio.sleep(0.01)
    heard = world.channel.listen(meeting.connection_id)
    world.clock.advance(world.policy.command_again_s)
    await world.settle()
    assert json.loads(heard.get_nowait())["action"] == "chat"
    await acknowledge(world, meeting, 1)
    assert await fates(world, 1) == ["applied"]
    assert not await world.store.pending(meeting.connection_id, after_seq=0)


async def test_a_refusal_is_told_with_its_reason() -> None:
    world = World()
    meeting = await world.active()
    await say(world)
    assert await fates(world, 1) == [None]
    await acknowledge(world, meeting, 1, "refused", "the room has no chat")
    fate = await world.bots.fate((await world.user()).user_id, *ROOM, 1)
    assert (fate.outcome, fate.detail) == ("refused", "the room has no chat")
    with pytest.raises(NotFound) as unknown:
        await world.bots.fate((await world.user()).user_id, *ROOM, 2)
    assert unknown.value.code == "unknown_command"


async def test_a_bot_that_is_not_in_the_meeting_is_told_nothing() -> None:
    world = World()
    meeting = await world.send_bot()
    with pytest.raises(Conflict) as refused:
        await say(world)
    assert refused.value.code == "not_in_meeting"
    assert State.REQUESTED in refused.value.detail
    assert not await world.store.pending(meeting.connection_id, after_seq=0)
    with pytest.raises(NotFound):
        await world.bots.rename((await world.user()).user_id, Platform.ROOM, "elsewhere", "Note taker")


async def test_a_bot_that_does_nothing_is_told_so_much_and_no_more() -> None:
    world = World()
    await world.active()
    for _ in range(MOST_PENDING):
        await say(world)
    with pytest.raises(LimitReached) as refused:
        await say(world)
    assert refused.value.code == "too_many_commands"


async def test_the_word_on_a_chat_message_is_not_taken_for_one_on_the_configuration() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    assert await say(world) == 2
    await acknowledge(world, meeting, 2)
    now = await world.meeting(meeting.meeting_id)
    assert (now.status, now.configuration.language) == (State.RECONFIGURING, "en")
    await acknowledge(world, meeting, 1)
    now = await world.meeting(meeting.meeting_id)
    assert (now.status, now.configuration.language) == (State.ACTIVE, "de")
    assert await fates(world, 1, 2) == ["applied", "applied"]


async def test_a_change_that_is_under_way_is_ended_by_its_own_word_after_a_chat_message() -> None:
    world = World()
    meeting = await world.active()
    await say(world)
    await configure(world, "de")
    await acknowledge(world, meeting, 2)
    assert (await world.meeting(meeting.meeting_id)).status is State.ACTIVE
    assert await fates(world, 1, 2) == [None, "applied"], "a configuration makes no message void"


async def test_a_message_outlives_the_time_for_a_configuration_and_not_the_meeting() -> None:
    world = World()
    meeting = await world.active()
    await configure(world, "de")
    await say(world)
    world.clock.advance(world.policy.deadlines.reconfiguring_s + 1)
    await world.reconciler.reconcile()
    assert await fates(world, 1, 2) == ["expired", None]
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    assert await fates(world, 2) == ["expired"]


async def test_the_next_attempt_does_not_write_what_the_last_one_was_told() -> None:
    world = World()
    meeting = await world.active()
    await say(world)
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(1, Reason.CRASHED))
    await world.settle()
    retried = await world.meeting(meeting.meeting_id)
    assert retried.attempt == 2
    assert await fates(world, 1) == ["expired"]
    assert not await world.store.pending(retried.connection_id, after_seq=0)
