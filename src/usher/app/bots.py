"""What users ask for: send a bot, change its configuration, stop it, look at it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from usher.app.transitions import Outcome, Report, Transitions, deadline_s, owed
from usher.domain.errors import Conflict, LimitReached, NotFound
from usher.domain.lifecycle import ACCEPTS_CONFIGURATION, LIVE, Event, Refused, Source, created_by
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.policy import Policy
from usher.ports import (
    CHAT,
    RENAME,
    CommandFate,
    Commands,
    Configuration,
    Created,
    IdempotencyKey,
    Meeting,
    MeetingEvent,
    Meetings,
    NewMeeting,
    Order,
    Page,
    StoredCommand,
    Unordered,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked request for a bot.

    Attributes:
        join_at: When it shall be at the door; None for at once.
        recording_enabled: Whether the meeting's sound is kept.
    """

    ref: MeetingRef
    bot_name: str
    configuration: Configuration
    join_at: datetime | None = None
    recording_enabled: bool = False
    idempotency: IdempotencyKey | None = None


class Bots:
    """The bots of users. Every method but `end` takes the user first and sees nothing of anybody else's."""

    def __init__(self, meetings: "BotStore", transitions: Transitions, policy: Policy) -> None:
        self._meetings = meetings
        self._transitions = transitions
        self._policy = policy

    async def request(self, user_id: int, wish: Wish) -> Created:
        """Accept a request for a bot; once this returns, the meeting will reach an end whatever fails.

        Idempotent under one idempotency key.

        Raises:
            Conflict: The user has a bot in that meeting already.
            Invalid: The idempotency key was used for another request.
            LimitReached: The user's limit of concurrent bots is used up.
        """
        row = created_by(Event.SCHEDULED if wish.join_at else Event.REQUESTED)
        created = await self._meetings.create(
            NewMeeting(
                user_id=user_id,
                ref=wish.ref,
                bot_name=wish.bot_name,
                configuration=wish.configuration,
                connection_id=str(uuid.uuid4()),
                transition=row,
                owed=owed(self._policy, row, attempt=1),
                deadline_s=deadline_s(self._policy, row.to_state) or 0.0,
                join_at=wish.join_at,
                lead_s=self._policy.scheduled_lead_s,
                recording_enabled=wish.recording_enabled,
                idempotency=wish.idempotency,
            )
        )
        if not created.replayed:
            self._transitions.announce_created(created.meeting, row)
        return created

    async def stop(self, user_id: int, platform: Platform, native_id: str) -> Meeting:
        """Stop the user's bot in that call, in whatever state it is. Idempotent: stopping twice is stopping once.

        Raises:
            NotFound: The user never sent a bot there.
        """
        return await self.end(await self.get(user_id, platform, native_id))

    async def end(self, meeting: Meeting) -> Meeting:
        """Stop the bot of a meeting, whoever owns it. Idempotent."""
        return (await self._report(meeting, Event.STOP_REQUESTED)).meeting

    async def configure(
        self, user_id: int, platform: Platform, native_id: str, changes: dict[str, str | None]
    ) -> Meeting:
        """Change language or task (`changes` holds the new values only) of a bot that is in the meeting.

        Raises:
            NotFound: The user never sent a bot there.
            Conflict: `not_in_meeting`: the bot is not in the meeting, so there is nothing to reconfigure.
        """
        meeting = await self.get(user_id, platform, native_id)
        if meeting.status not in ACCEPTS_CONFIGURATION:
            raise _not_in_meeting(meeting)
        present = meeting.desired_configuration
        task = changes.get("task") or present.task
        language = changes.get("language", present.language)
        outcome = await self._report(meeting, Event.CONFIGURATION_REQUESTED, Configuration(language, task))
        if isinstance(outcome.decision, Refused) or not outcome.applied:
            raise _not_in_meeting(outcome.meeting)
        return outcome.meeting

    async def say(self, user_id: int, platform: Platform, native_id: str, text: str) -> StoredCommand:
        """Let a bot that is in the meeting write into its chat. Not idempotent: twice is two messages.

        Raises:
            NotFound: The user never sent a bot there.
            Conflict: `not_in_meeting`.
            LimitReached: `too_many_commands`: the bot has not done what it was told before.
        """
        return await self._order(user_id, platform, native_id, CHAT, text)

    async def rename(self, user_id: int, platform: Platform, native_id: str, name: str) -> StoredCommand:
        """Let a bot that is in the meeting go under another name. Raises as `say` does."""
        return await self._order(user_id, platform, native_id, RENAME, name)

    async def fate(self, user_id: int, platform: Platform, native_id: str, seq: int) -> CommandFate:
        """Return what became of a command to the bot of the user's newest visit to that call.

        Raises:
            NotFound: The user never sent a bot there, or never told it that.
        """
        meeting = await self.get(user_id, platform, native_id)
        fate = await self._meetings.fate(meeting.meeting_id, seq)
        if fate is None:
            raise NotFound("unknown_command", f"Meeting {meeting.meeting_id} has no command {seq}.")
        return fate

    async def get(self, user_id: int, platform: Platform, native_id: str) -> Meeting:
        """Return the user's newest visit to that call.

        Raises:
            NotFound: The user never sent a bot there.
        """
        meeting = await self._meetings.find_latest(user_id, platform, native_id)
        if meeting is None:
            raise NotFound("unknown_meeting", f"You have no meeting {native_id!r} on {platform}.")
        return meeting

    async def get_by_id(self, user_id: int, meeting_id: int) -> Meeting:
        """Return one of the user's meetings.

        Raises:
            NotFound: There is none with that id, or it is somebody else's.
        """
        meeting = await self._meetings.find(meeting_id)
        if meeting is None or meeting.user_id != user_id:
            raise NotFound("unknown_meeting", f"You have no meeting with the id {meeting_id}.")
        return meeting

    async def list_running(self, user_id: int) -> Sequence[Meeting]:
        """List the user's meetings that are not over, newest first, 1,000 at most."""
        return await self._meetings.list_of_user(user_id, Page(limit=1000, states=LIVE))

    async def list_all(self, user_id: int, page: Page) -> Sequence[Meeting]:
        """List the user's meetings, newest first."""
        return await self._meetings.list_of_user(user_id, page)

    async def get_visit(self, user_id: int, platform: Platform, native_id: str, meeting_id: int | None) -> Meeting:
        """Return a certain visit of the user to that call; without an id, the newest.

        Raises:
            NotFound: There is none, or it is somebody else's, or to another call.
        """
        if meeting_id is None:
            return await self.get(user_id, platform, native_id)
        meeting = await self.get_by_id(user_id, meeting_id)
        if meeting.redacted or (meeting.ref.platform, meeting.ref.native_id) != (platform, native_id):
            raise NotFound("unknown_meeting", f"Meeting {meeting_id} is not on {platform} as {native_id!r}.")
        return meeting

    async def get_only(self, user_id: int, platform: Platform, native_id: str) -> Meeting:
        """Return the user's visit to that call if there is but one: what cannot be undone needs no guess.

        Raises:
            NotFound: There is none.
            Conflict: `several_visits`.
        """
        visits = await self.list_all(user_id, Page(limit=2, platform=platform, native_id=native_id))
        if len(visits) > 1:
            raise Conflict(
                "several_visits",
                f"You have several meetings {native_id!r} on {platform}. Name one by its id: see `GET /meetings`.",
            )
        return visits[0] if visits else await self.get(user_id, platform, native_id)

    async def events(self, meeting: Meeting) -> Sequence[MeetingEvent]:
        """Return a meeting's history, oldest first."""
        return await self._meetings.events(meeting.meeting_id)

    async def _order(self, user_id: int, platform: Platform, native_id: str, action: str, text: str) -> StoredCommand:
        meeting = await self.get(user_id, platform, native_id)
        order = Order(meeting.meeting_id, action, text, self._policy.command_again_s)
        written = await self._meetings.order(order)
        if written is Unordered.TOO_MANY:
            raise LimitReached("too_many_commands", "The bot has not done yet what it was told before. Try again soon.")
        if isinstance(written, Unordered):
            now = await self.get_by_id(user_id, meeting.meeting_id)
            raise Conflict("not_in_meeting", f"The bot can do this while it is in the meeting; now it is {now.status}.")
        self._transitions.send(written)
        return written

    async def _report(self, meeting: Meeting, event: Event, configuration: Configuration | None = None) -> Outcome:
        """Report a user's wish about whichever attempt is current when it is applied."""
        attempt = meeting.attempt
        while True:
            report = Report(event, Source.USER, attempt, configuration=configuration)
            outcome = await self._transitions.apply(meeting.meeting_id, report, known=meeting)
            if outcome.applied or outcome.meeting.attempt == attempt:
                return outcome
            attempt = outcome.meeting.attempt


class BotStore(Meetings, Commands, Protocol):
    """The part of the store that users' wishes touch."""


def _not_in_meeting(meeting: Meeting) -> Conflict:
    return Conflict(
        "not_in_meeting",
        f"The bot's configuration can be changed while it is in the meeting; now it is {meeting.status}.",
    )
