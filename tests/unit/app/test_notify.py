"""Webhooks are told of each change: at least once, under one id."""

import json
from typing import Any

from tests.support.world import World, exited

from usher.domain.lifecycle import Reason, State
from usher.domain.meeting import Platform
from usher.ports import Undelivered, Webhook

HOOK = Webhook("https://example.com/hook", "whsec_c2VjcmV0")


async def hooked() -> World:
    world = World()
    user = await world.user()
    await world.store.put_webhook(user.user_id, HOOK)
    return world


def told(world: World) -> list[dict[str, Any]]:
    return [json.loads(notice.body) for _, notice in world.webhooks.sent]


async def test_a_visit_is_told_step_by_step() -> None:
    world = await hooked()
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    for _ in range(3):
        await world.settle()
        world.clock.advance(1.0)
    bodies = told(world)
    steps = [(body["data"]["status_change"]["from"], body["data"]["status_change"]["to"]) for body in bodies]
    assert steps == [(None, "requested"), ("requested", "starting"), ("starting", "active"), ("active", "completed")]
    assert [body["event_id"] for body in bodies] == [f"msg_{meeting.meeting_id}_{n}" for n in (1, 2, 3, 4)]
    last = bodies[-1]["data"]
    assert last["status_change"]["reason"] == "left_alone"
    assert last["status_change"]["by"] == "bot"
    assert last["meeting"]["data"]["totals"]["segments"] == 0, "the last message has the totals"
    assert {webhook for webhook, _ in world.webhooks.sent} == {HOOK}


async def test_a_message_that_is_not_taken_is_sent_again_under_the_same_id() -> None:
    world = await hooked()
    world.webhooks.answers.extend([Undelivered("HTTP 500"), Undelivered("HTTP 429", retry_after_s=100.0)])
    meeting = await world.send_bot()
    await world.settle()
    world.clock.advance(7.0)
    await world.settle()
    assert [body["event_id"] for body in told(world)] == [f"msg_{meeting.meeting_id}_1"]
    world.clock.advance(101.0)
    await world.settle()
    assert [body["event_id"] for body in told(world)] == [f"msg_{meeting.meeting_id}_{n}" for n in (1, 2)]


async def test_a_server_that_is_gone_for_good_is_asked_no_more() -> None:
    world = await hooked()
    world.webhooks.answers.append(Undelivered("HTTP 410", unwanted=True))
    await world.send_bot()
    await world.settle()
    user = await world.user()
    assert await world.store.find_webhook(user.user_id) is None
    assert not world.webhooks.sent


async def test_a_webhook_that_was_taken_away_is_told_nothing_more() -> None:
    world = await hooked()
    await world.send_bot()
    user = await world.user()
    await world.store.put_webhook(user.user_id, None)
    await world.settle()
    assert not world.webhooks.sent


async def test_a_dead_server_is_tried_for_days_and_then_no_more() -> None:
    world = await hooked()
    world.webhooks.answers.extend([Undelivered("ConnectError")] * 1000)
    meeting = await world.send_bot()
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    begun, tried = world.clock.now, len(world.webhooks.answers)
    for _ in range(24 * 60):
        await world.settle()
        if len(world.webhooks.answers) < tried:
            tried, last = len(world.webhooks.answers), world.clock.now
        world.clock.advance(300.0)
    assert 24 * 3600.0 < (last - begun).total_seconds() < 4 * 24 * 3600.0
    assert (await world.meeting(meeting.meeting_id)).status is State.COMPLETED
