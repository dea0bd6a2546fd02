"""Tells users' webhooks of each change: at least once, under one id, and never of a change that was rolled back."""

import random
from contextlib import AsyncExitStack
from typing import Protocol

import structlog

from usher.app.dispatcher import Again, Done, Result
from usher.app.turns import Turns
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import TERMINAL
from usher.domain.notices import NoticeType
from usher.domain.policy import Backoff
from usher.ports import (
    ClaimedEffect,
    Delivered,
    Deliveries,
    Endpoint,
    Endpoints,
    Meeting,
    MeetingEvent,
    Meetings,
    Message,
    Notice,
    Undelivered,
    WebhookSender,
)
from usher.protocol.webhooks import NoticeBody, NoticeData, NoticeMeeting, StatusChange, notice_id

log = structlog.get_logger(__name__)

_RETRY = Backoff(first_s=5.0, factor=3.0, most_s=6 * 3600.0)
_LASTING_S = 600.0
_TRIES = 21
"""With the delays above: three days, and over two and a half with the worst of luck in the jitter."""
_TOTALS_S, _TOTALS_TRIES = 0.5, 6
"""Tries of the last messages of a meeting that may be spent on waiting for its totals."""
_TRANSCRIPT, _TRANSCRIPT_TRIES = Backoff(first_s=0.5, factor=1.5, most_s=60.0), 100
"""The same of the message that the transcript is ready, which nobody gets before it is: over an hour."""
_STORE_AWAY_S = 10.0
_MOST_OF_USER = 128
_BUSY = Undelivered("its server has not answered earlier messages yet")


class NotifyStore(Meetings, Endpoints, Deliveries, Protocol):
    """The part of the store that messages are made from."""


class Notifier:
    """Sends the message that a transition owes to one webhook.

    Each webhook has turns of its own, so that one that hangs keeps no other back, and its user has more than one of
    them can use up, but less than all.
    """

    def __init__(self, store: NotifyStore, sender: WebhookSender) -> None:
        self._store = store
        self._sender = sender
        self._turns = Turns()
        self._turns_of_users = Turns(most=_MOST_OF_USER)

    async def notify(self, effect: ClaimedEffect) -> Result:
        """Send one message; a webhook that was taken away or disabled meanwhile is told nothing more.

        The message of a meeting's end waits a few seconds for the totals, which it then holds. That the transcript is
        ready is told when it is, and only of meetings that the bot was let into.
        """
        try:
            return await self._notify(effect)
        except Unavailable as error:
            return Again(error.detail, _STORE_AWAY_S, endless=True)

    async def _notify(self, effect: ClaimedEffect) -> Result:
        meeting = await self._store.find(effect.meeting_id)
        endpoint = None if meeting is None else await self._endpoint(effect, meeting.user_id)
        if meeting is None or endpoint is None or not endpoint.enabled:
            return Done()
        history = await self._store.events(effect.meeting_id)
        event = next((event for event in history if event.version == effect.version), None)
        kind = effect.notice or NoticeType.STATUS_CHANGE
        if event is None or not _is_told(kind, meeting):
            return Done()
        if event.to_state in TERMINAL and "totals" not in meeting.data and not meeting.redacted:
            wait = _wait(kind, effect.tries)
            if wait is not None:
                return wait
        message = Message(endpoint.webhook_id, meeting.meeting_id, event.version, kind)
        return await self._send(endpoint, message, _notice(meeting, event, kind))

    async def _endpoint(self, effect: ClaimedEffect, user_id: int) -> Endpoint | None:
        if effect.webhook_id is not None:
            return await self._store.find_endpoint(effect.webhook_id)
        return next((one for one in await self._store.endpoints(user_id) if one.account), None)

    async def _send(self, endpoint: Endpoint, message: Message, notice: Notice) -> Result:
        outcome = await self._in_turn(endpoint, notice)
        failed = outcome if isinstance(outcome, Undelivered) else None
        sends = await self._store.record_try(
            message, status_code=outcome.status_code, error=None if failed is None else failed.why
        )
        if failed is None:
            return Done()
        _log_undelivered(message, sends, failed)
        if failed.unwanted:
            await self._disable(endpoint)
            return Done()
        return _again(failed, sends)

    async def _in_turn(self, endpoint: Endpoint, notice: Notice) -> Delivered | Undelivered:
        async with AsyncExitStack() as turns:
            for line, whose in ((self._turns, endpoint.webhook_id), (self._turns_of_users, endpoint.user_id)):
                if not await turns.enter_async_context(line.take(whose)):
                    return _BUSY
            return await self._sender.send(endpoint.webhook, notice)

    async def _disable(self, endpoint: Endpoint) -> None:
        """Disable the webhook that is gone, and not what the user may have made of it meanwhile."""
        if await self._store.endpoint_gone(endpoint.webhook_id, endpoint.webhook):
            log.warning("webhook_disabled", user_id=endpoint.user_id, webhook_id=endpoint.webhook_id)


def _is_told(kind: NoticeType, meeting: Meeting) -> bool:
    """Say whether there is something to tell: of a bot that was never let in, or of what was deleted, no transcript."""
    return kind is not NoticeType.TRANSCRIPT_READY or (meeting.start_time is not None and not meeting.redacted)


def _wait(kind: NoticeType, tries: int) -> Again | None:
    """Say how long to wait for the totals that are not made yet; None if they are not waited for any more."""
    why = "the totals of the meeting are not made yet"
    if kind is NoticeType.TRANSCRIPT_READY:
        last = tries >= _TRANSCRIPT_TRIES
        return Again(why, _TRANSCRIPT.delay_s(tries + 1), last=last, endless=True)
    return Again(why, _TOTALS_S) if tries < _TOTALS_TRIES else None


def _log_undelivered(message: Message, sends: int, outcome: Undelivered) -> None:
    log.info(
        "webhook_not_delivered",
        webhook_id=message.webhook_id,
        meeting_id=message.meeting_id,
        version=message.version,
        notice=message.kind,
        tries=sends,
        why=outcome.why,
    )


def _again(outcome: Undelivered, sends: int) -> Again:
    """Say when to send next, after so many tries to send."""
    if sends >= _TRIES:
        return Again(outcome.why, last=True)
    delay_s = _RETRY.delay_s(sends) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
    delay_s = max(delay_s, outcome.retry_after_s, _LASTING_S if outcome.lasting else 0.0)
    return Again(outcome.why, delay_s, endless=True)


def _notice(meeting: Meeting, event: MeetingEvent, kind: NoticeType) -> Notice:
    """Return the message about one event; never a word of what was said in the meeting."""
    message_id = notice_id(meeting.meeting_id, event.version, kind)
    data = NoticeData(meeting=_meeting(meeting), status_change=_change(event))
    body = NoticeBody(event_id=message_id, event_type=kind, created_at=event.at, data=data)
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
