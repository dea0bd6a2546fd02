"""Webhooks are told of each change: at least once, under one id."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.eventually import eventually
from tests.support.world import World, exited, wish

from usher.app.dispatcher import Again, Dispatcher, Done
from usher.app.loops import Wakeups
from usher.app.notify import Notifier
from usher.app.transitions import Report
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import TERMINAL, Effect, Event, Reason, Source, State
from usher.domain.meeting import Platform
from usher.domain.notices import NoticeType
from usher.ports import (
    ClaimedEffect,
    Delivered,
    Endpoint,
    EndpointChange,
    Erasure,
    Lane,
    Meeting,
    Notice,
    Undelivered,
    Webhook,
)

SENDS = 21
"""Tries of one message."""

HOOK = Webhook("https://example.com/hook", "whsec_c2VjcmV0")


async def hooked() -> World:
    world = World()
    user = await world.user()
    await world.store.put_webhook(user.user_id, HOOK)
    return world


def told(world: World) -> list[dict[str, Any]]:
    return [json.loads(notice.body) for _, notice in world.webhooks.sent]


class Hanging:
    """Servers of which the slow ones do not answer until they are let go."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.hanging = self.most_hanging = 0
        self.let_go = asyncio.Event()

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered:
        if "slow" in webhook.url:
            self.hanging += 1
            self.most_hanging = max(self.most_hanging, self.hanging)
            await self.let_go.wait()
        self.told.append(notice.notice_id)
        return Delivered()


async def owed(world: World) -> ClaimedEffect:
    """Claim the message that is due."""
    (effect,) = await world.store.claim(Lane.NOTIFY, limit=1, claim_s=60.0)
    return effect


def at_try(effect: ClaimedEffect, tries: int) -> ClaimedEffect:
    return replace(effect, tries=tries)


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


async def test_a_server_that_is_gone_is_disabled_and_may_be_enabled_again() -> None:
    world = await hooked()
    world.webhooks.answers.append(Undelivered("HTTP 410", unwanted=True, status_code=410))
    meeting = await world.send_bot()
    await world.settle()
    (endpoint,) = await world.store.endpoints(meeting.user_id)
    assert (endpoint.enabled, endpoint.gone) == (False, True)
    (delivery,) = await world.store.deliveries(endpoint.webhook_id, limit=9)
    assert (delivery.status, delivery.status_code) == ("failed", 410)
    await world.desk.change(meeting.user_id, endpoint.webhook_id, EndpointChange(enabled=True))
    await world.desk.replay(meeting.user_id, endpoint.webhook_id, delivery.delivery_id)
    await world.settle()
    assert [body["event_id"] for body in told(world)] == [f"msg_{meeting.meeting_id}_1"]


async def test_a_webhook_that_was_taken_away_is_told_nothing_more() -> None:
    world = await hooked()
    await world.send_bot()
    user = await world.user()
    await world.store.put_webhook(user.user_id, None)
    await world.settle()
    assert not world.webhooks.sent


async def test_a_webhook_set_while_the_old_one_was_gone_stays() -> None:
    world = await hooked()
    meeting = await world.send_bot()
    new = Webhook("https://example.com/new", "whsec_bmV3")

    class Moving:
        """A server whose owner moves while it answers that it is gone."""

        async def send(self, _webhook: Webhook, _notice: Notice) -> Undelivered:
            await world.store.put_webhook(meeting.user_id, new)
            return Undelivered("HTTP 410", unwanted=True)

    assert await Notifier(world.store, Moving()).notify(await owed(world)) == Done()
    assert await world.store.find_webhook(meeting.user_id) == new


async def test_a_change_that_did_not_come_about_is_told_to_nobody() -> None:
    world = await hooked()
    meeting = await world.active()
    await world.settle()
    before = len(world.webhooks.sent)
    for report in (
        Report(Event.ADMITTED, Source.BOT, meeting.attempt),
        Report(Event.LEASE_EXPIRED, Source.RECONCILER, meeting.attempt - 1),
        Report(Event.LAUNCH_FAILED, Source.DISPATCHER, meeting.attempt),
    ):
        assert not (await world.transitions.apply(meeting.meeting_id, report)).applied
    await world.settle()
    assert len(world.webhooks.sent) == before
    assert len(await world.store.events(meeting.meeting_id)) == before


async def test_a_crash_after_sending_sends_again_under_the_same_id() -> None:
    world = await hooked()
    meeting = await world.send_bot()
    assert await Notifier(world.store, world.webhooks).notify(await owed(world)) == Done()
    world.clock.advance(61.0)  # nobody settled it, and the claim has ended
    await world.settle()
    ids = [notice.notice_id for _, notice in world.webhooks.sent]
    assert ids == [body["event_id"] for body in told(world)], "the header and the body name the same"
    assert ids[:2] == [f"msg_{meeting.meeting_id}_1"] * 2
    assert sorted(set(ids)) == [f"msg_{meeting.meeting_id}_{n}" for n in (1, 2)]


async def test_a_message_that_waits_keeps_no_later_one_back() -> None:
    world = await hooked()
    world.webhooks.answers.append(Undelivered("HTTP 500"))
    meeting = await world.send_bot()
    assert await world.dispatcher.run_pending()
    await world.settle()
    world.clock.advance(7.0)
    await world.settle()
    assert [body["event_id"] for body in told(world)] == [f"msg_{meeting.meeting_id}_{n}" for n in (2, 1)]


async def test_no_word_of_the_meeting_and_no_secret_is_told() -> None:
    world = await hooked()
    meeting = await world.active()
    await world.store.put_data(meeting.meeting_id, {"bot_log_1": "what the bot printed", "notes": "private"})
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    for _ in range(3):
        await world.settle()
        world.clock.advance(1.0)
    assert told(world)[-1]["data"]["meeting"]["data"].keys() == {"totals", "participants", "languages"}
    everything = b"".join(notice.body for _, notice in world.webhooks.sent).decode()
    assert all(secret not in everything for secret in ("what the bot printed", "private", HOOK.secret))


@pytest.mark.parametrize(
    ("outcome", "least_s", "most_s"),
    [
        (Undelivered("HTTP 500"), 4.0, 6.0),
        (Undelivered("HTTP 404", lasting=True), 600.0, 600.0),
        (Undelivered("HTTP 429", retry_after_s=100.0), 100.0, 100.0),
    ],
)
async def test_how_soon_it_is_tried_again(outcome: Undelivered, least_s: float, most_s: float) -> None:
    world = await hooked()
    world.webhooks.answers.append(outcome)
    await world.send_bot()
    again = await Notifier(world.store, world.webhooks).notify(await owed(world))
    assert isinstance(again, Again)
    assert again.delay_s is not None
    assert least_s <= again.delay_s <= most_s
    assert not again.last


async def test_waiting_for_the_totals_takes_nothing_from_the_tries_to_send() -> None:
    """The last message has so many tries more, and the first delay is short whether it had to wait or not."""
    world = await hooked()
    meeting = await world.active()
    await world.settle()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    effect = await owed(world)
    assert (await world.store.events(meeting.meeting_id))[-1].to_state in TERMINAL
    world.webhooks.answers.extend([Undelivered("HTTP 500")] * 100)
    notifier = Notifier(world.store, world.webhooks)
    results = [await notifier.notify(at_try(effect, tries)) for tries in range(6 + SENDS)]
    assert len(world.webhooks.answers) == 100 - SENDS, "the first six wait"
    again = [one for one in results if isinstance(one, Again)]
    assert again[6].delay_s is not None
    assert again[6].delay_s < 7.0
    assert [one.last for one in again] == [False] * (5 + SENDS) + [True]
    assert sum(one.delay_s or 0.0 for one in again) > 2.4 * 24 * 3600.0


async def test_a_server_that_hangs_keeps_nobody_elses_messages_back() -> None:
    """Far more messages to it than the lane has room for, and all of them older."""
    world, sender = World(), Hanging()
    slow = await world.store.create_user("slow@example.com", name=None, max_concurrent_bots=300)
    await world.store.put_webhook(slow.user_id, Webhook("https://slow.example/", HOOK.secret))
    for number in range(200):
        await world.bots.request(slow.user_id, wish(f"room-{number}"))
    ann = await world.user()
    await world.store.put_webhook(ann.user_id, HOOK)
    meeting = await world.send_bot()
    notifier = Notifier(world.store, sender)
    dispatcher = Dispatcher(world.store, dict.fromkeys(Effect, notifier.notify), world.policy, Wakeups())
    running = asyncio.create_task(dispatcher.run())
    try:
        await eventually(lambda: f"msg_{meeting.meeting_id}_1" in sender.told, timeout_s=30.0)
        assert sender.most_hanging <= 16
    finally:
        sender.let_go.set()
        running.cancel()
        await asyncio.wait({running})


async def test_a_dead_server_is_tried_for_days_and_then_no_more() -> None:
    world = await hooked()
    world.webhooks.answers.extend([Undelivered("ConnectError")] * 1000)
    meeting = await world.send_bot()
    user = await world.user()
    await world.bots.stop(user.user_id, Platform.ROOM, "weekly-sync")
    begun, tried = world.clock.now, len(world.webhooks.answers)
    for _ in range(24 * 90):
        await world.settle()
        if len(world.webhooks.answers) < tried:
            tried, last = len(world.webhooks.answers), world.clock.now
        world.clock.advance(300.0)
    assert 2.4 * 24 * 3600.0 < (last - begun).total_seconds() < 4 * 24 * 3600.0
    (endpoint,) = await world.store.endpoints(user.user_id)
    found = await world.store.deliveries(endpoint.webhook_id, limit=9)
    assert {(one.status, one.attempts, one.error) for one in found} == {("failed", SENDS, "ConnectError")}
    assert (await world.meeting(meeting.meeting_id)).status is State.COMPLETED


async def test_of_a_meeting_that_was_deleted_meanwhile_the_rest_is_told_without_what_it_was_about() -> None:
    world = await hooked()
    meeting = await world.active()
    world.webhooks.answers.append(Undelivered("HTTP 500"))
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    for _ in range(2):
        await world.settle()
        world.clock.advance(1.0)
    await world.store.put_data(meeting.meeting_id, {"participants": ["Ann"]})
    before = len(told(world))
    assert await world.store.erase(meeting.meeting_id) is Erasure.ERASED
    world.clock.advance(60.0)
    await world.settle()
    late = told(world)[before:]
    assert late
    for body in late:
        assert body["data"]["meeting"]["native_meeting_id"] == ""
        assert "Ann" not in str(body)
        assert meeting.ref.native_id not in str(body)


async def add(world: World, url: str, *events: NoticeType) -> Endpoint:
    return await world.desk.add((await world.user()).user_id, url, frozenset(events), "")


async def visit(world: World) -> Meeting:
    """Let a bot be let in and leave, and everything be told."""
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    for _ in range(3):
        await world.settle()
        world.clock.advance(1.0)
    return meeting


async def test_each_webhook_is_told_what_it_has_chosen() -> None:
    world = await hooked()
    ends = await add(world, "https://example.com/ends", NoticeType.FINISHED, NoticeType.TRANSCRIPT_READY)
    door = await add(world, "https://example.com/door", NoticeType.ADMITTED)
    meeting = await visit(world)
    number = meeting.meeting_id
    by_url: dict[str, list[tuple[str, str]]] = {}
    for (webhook, _), body in zip(world.webhooks.sent, told(world), strict=True):
        by_url.setdefault(webhook.url, []).append((body["event_type"], body["event_id"]))
    assert [kind for kind, _ in by_url[HOOK.url]] == ["meeting.status_change"] * 4
    assert by_url[door.webhook.url] == [("bot.admitted", f"msg_{number}_3_bot_admitted")]
    assert sorted(by_url[ends.webhook.url]) == [
        ("meeting.finished", f"msg_{number}_4_meeting_finished"),
        ("transcript.ready", f"msg_{number}_4_transcript_ready"),
    ]
    ready = next(body for body in told(world) if body["event_type"] == "transcript.ready")
    assert ready["data"]["meeting"]["data"]["totals"]["segments"] == 0


async def test_no_transcript_is_ready_of_a_meeting_that_the_bot_was_never_in() -> None:
    world = World()
    await add(world, HOOK.url, NoticeType.FINISHED, NoticeType.TRANSCRIPT_READY)
    meeting = await world.send_bot()
    await world.bots.stop(meeting.user_id, Platform.ROOM, "weekly-sync")
    for _ in range(30):
        await world.settle()
        world.clock.advance(1.0)
    assert [body["event_type"] for body in told(world)] == ["meeting.finished"]


async def test_a_transcript_is_not_ready_before_its_totals_are_made() -> None:
    """However long that takes; and what is never ready is never told."""
    world = World()
    await add(world, HOOK.url, NoticeType.TRANSCRIPT_READY)
    meeting = await world.active()
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
    effect = await owed(world)
    notifier = Notifier(world.store, world.webhooks)
    results = [await notifier.notify(at_try(effect, tries)) for tries in range(101)]
    assert all(isinstance(one, Again) and one.endless for one in results)
    assert [isinstance(one, Again) and one.last for one in results] == [False] * 100 + [True]
    assert not world.webhooks.sent
    await world.store.put_data(meeting.meeting_id, {"totals": {"segments": 3}})
    assert await notifier.notify(at_try(effect, 50)) == Done()
    assert [body["event_type"] for body in told(world)] == ["transcript.ready"]


async def test_a_dead_webhook_delays_no_other_of_the_same_user() -> None:
    """Both are owed every change of every meeting; what hangs has the older messages."""
    world, sender = World(), Hanging()
    slow = await add(world, "https://slow.example/", NoticeType.STATUS_CHANGE)
    quick = await add(world, "https://quick.example/", NoticeType.STATUS_CHANGE, NoticeType.ADMITTED)
    assert slow.user_id == quick.user_id
    meeting = await world.send_bot()
    for event, by in ((Event.LAUNCH_BEGUN, Source.DISPATCHER), (Event.ADMITTED, Source.BOT)):
        assert (await world.transitions.apply(meeting.meeting_id, Report(event, by, meeting.attempt))).applied
    notifier = Notifier(world.store, sender)
    dispatcher = Dispatcher(world.store, dict.fromkeys(Effect, notifier.notify), world.policy, Wakeups())
    running = asyncio.create_task(dispatcher.run())
    number = meeting.meeting_id
    wanted = {f"msg_{number}_1", f"msg_{number}_2", f"msg_{number}_3", f"msg_{number}_3_bot_admitted"}
    try:
        await eventually(lambda: set(sender.told) == wanted, timeout_s=30.0)
        assert sender.hanging == 1, "and it is told one change of a meeting at a time"
    finally:
        sender.let_go.set()
        running.cancel()
        await asyncio.wait({running})


async def test_what_a_version_before_owed_goes_to_the_webhook_without_an_id() -> None:
    world = await hooked()
    await add(world, "https://example.com/other", NoticeType.ADMITTED)
    await world.send_bot()
    effect = replace(await owed(world), webhook_id=None, notice=None)
    assert await Notifier(world.store, world.webhooks).notify(effect) == Done()
    assert [webhook for webhook, _ in world.webhooks.sent] == [HOOK]
    assert told(world)[0]["event_type"] == "meeting.status_change"


async def test_while_the_store_is_away_nothing_is_given_up() -> None:
    world = await hooked()
    await world.send_bot()
    effect = await owed(world)

    class Away:
        """A server before whose answer the store goes away."""

        async def send(self, _webhook: Webhook, _notice: Notice) -> Undelivered:
            raise Unavailable("the database is away")

    again = await Notifier(world.store, Away()).notify(at_try(effect, 1000))
    assert isinstance(again, Again)
    assert again.endless
    assert not again.last
