"""Tells users' webhooks of each change: at least once, under one id, and never of a change that was rolled back."""

import random
from typing import Protocol

import structlog

from usher.app.dispatcher import Again, Done, Result
from usher.app.turns import Turns
from usher.domain.lifecycle import TERMINAL
from usher.domain.policy import Backoff
from usher.ports import (
    ClaimedEffect,
    Meeting,
    MeetingEvent,
    Meetings,
    Notice,
    Undelivered,
    Webhook,
    Webhooks,
    WebhookSender,
)
from usher.protocol.webhooks import NoticeBody, NoticeData, NoticeMeeting, StatusChange, notice_id

log = structlog.get_logger(__name__)

_RETRY = Backoff(first_s=5.0, factor=3.0, most_s=6 * 3600.0)
_LASTING_S = 600.0
_TRIES = 14
"""With the delays above: over a day and a half, and over more than a day with the worst of luck in the jitter."""
_TOTALS_S, _TOTALS_TRIES = 0.5, 6
"""Tries of the last message of a meeting that may be spent on waiting, and do not count as tries to send."""
_BUSY = Undelivered("its server has not answered earlier messages yet")


class NotifyStore(Meetings, Webhooks, Protocol):
    """The part of the store that messages are made from."""


class Notifier:
    """Sends the message that a transition owes."""

    def __init__(self, store: NotifyStore, sender: WebhookSender) -> None:
        self._store = store
        self._sender = sender
        self._turns = Turns()

    async def notify(self, effect: ClaimedEffect) -> Result:
        """Send one message; a webhook that was taken away meanwhile is told nothing more.

        The message of a meeting's end waits a few seconds for the totals, which it then holds.
        """
        meeting = await self._store.find(effect.meeting_id)
        webhook = None if meeting is None else await self._store.find_webhook(meeting.user_id)
        history = await self._store.events(effect.meeting_id)
        event = next((event for event in history if event.version == effect.version), None)
        if meeting is None or webhook is None or event is None:
            return Done()
        awaited = event.to_state in TERMINAL and "totals" not in meeting.data and not meeting.redacted
        if awaited and effect.tries < _TOTALS_TRIES:
            return Again("the totals of the meeting are not made yet", _TOTALS_S)
        async with self._turns.take(meeting.user_id) as is_ours:
            outcome = await self._sender.send(webhook, _notice(meeting, event)) if is_ours else _BUSY
        if not isinstance(outcome, Undelivered):
            return Done()
        _log_undelivered(effect, outcome)
        if outcome.unwanted:
            await self._take_away(meeting.user_id, webhook)
            return Done()
        waits = _TOTALS_TRIES if event.to_state in TERMINAL else 0
        return _again(outcome, effect.tries + 1 - waits)

    async def _take_away(self, user_id: int, unwanted: Webhook) -> None:
        """Take away the webhook that is gone, and not the one that the user may have set instead meanwhile."""
        if await self._store.find_webhook(user_id) == unwanted:
            log.warning("webhook_taken_away", user_id=user_id)
            await self._store.put_webhook(user_id, None)


def _log_undelivered(effect: ClaimedEffect, outcome: Undelivered) -> None:
    log.info(
        "webhook_not_delivered",
        meeting_id=effect.meeting_id,
        version=effect.version,
        tries=effect.tries + 1,
        why=outcome.why,
    )


def _again(outcome: Undelivered, sends: int) -> Again:
    """Say when to send next, after so many tries to send; below 1, tries went into waiting for the totals."""
    if sends >= _TRIES:
        return Again(outcome.why, last=True)
    delay_s = _RETRY.delay_s(sends) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
    return Again(outcome.why, max(delay_s, outcome.retry_after_s, _LASTING_S if outcome.lasting else 0.0))


def _notice(meeting: Meeting, event: MeetingEvent) -> Notice:
    """Return the message about one event; never a word of what was said in the meeting."""
    message_id = notice_id(meeting.meeting_id, event.version)
    data = NoticeData(meeting=_meeting(meeting), status_change=_change(event))
    body = NoticeBody(event_id=message_id, created_at=event.at, data=data)
    return Notice(message_id, body.model_dump_json(by_alias=True).encode())


def _meeting(meeting: Meeting) -> NoticeMeeting:
    shown = ("totals", "participants", "languages")
    return NoticeMeeting(
        id=meeting.meeting_id,
        user_id=meeting.user_id,
        platform=meeting.ref.platform,
        native_meeting_id=meeting.ref.native_id,
        bot_name=meeting.bot_name,
        status=meeting.status,
        version=meeting.version,
        attempt=meeting.attempt,
        reason=meeting.reason,
        failure_stage=meeting.failure_stage,
        join_at=meeting.join_at,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        data={name: meeting.data[name] for name in shown if name in meeting.data},
    )


def _change(event: MeetingEvent) -> StatusChange:
    return StatusChange(
        version=event.version,
        event=event.event,
        from_state=event.from_state,
        to_state=event.to_state,
        by=event.by,
        attempt=event.attempt,
        reason=event.reason,
        timestamp=event.at,
    )
