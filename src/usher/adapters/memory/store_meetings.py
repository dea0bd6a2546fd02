"""Meetings and their history, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from usher.adapters.memory.store_change import owe, require_row, write_change
from usher.adapters.memory.store_tables import Part, as_json
from usher.domain.errors import Conflict, Invalid, InvariantBroken, LimitReached, NotFound
from usher.domain.lifecycle import COUNTED, HAS_WORKLOAD, LIVE, MISSABLE, Effect, Source
from usher.domain.meeting import Platform
from usher.domain.notices import notices_of
from usher.domain.policy import Policy
from usher.domain.reconcile import Watched
from usher.ports import Change, Created, Json, Meeting, MeetingEvent, NewMeeting, Page, Void


class MemoryMeetings(Part):
    """See `usher.ports.Meetings`."""

    async def create(self, new: NewMeeting) -> Created:
        """Write a meeting and all that belongs to it."""
        tables = self._tables
        replayed = self._refuse_or_replay(new)
        if replayed is not None:
            return Created(replayed, replayed=True)
        require_row(new.transition, None)
        if new.connection_id in tables.connections:
            raise InvariantBroken("a connection was used twice")
        meeting = _meeting(next(tables.ids), new, tables.now())
        if meeting.status in COUNTED:
            tables.active_bots[new.user_id] += 1
        if new.idempotency is not None:
            key = (new.user_id, new.idempotency.key)
            tables.idempotency_keys[key] = (new.idempotency.body_sha256, meeting.meeting_id)
        tables.meetings[meeting.meeting_id] = meeting
        tables.connections[meeting.connection_id] = meeting.meeting_id
        tables.attempts[meeting.connection_id] = meeting.attempt
        event = MeetingEvent(
            1, new.transition.event, None, meeting.status, Source.USER, 1, None, "", meeting.created_at
        )
        tables.events[meeting.meeting_id] = [event]
        owe(tables, meeting, new.owed, notices_of(new.transition))
        return Created(meeting, replayed=False)

    def _refuse_or_replay(self, new: NewMeeting) -> Meeting | None:
        tables = self._tables
        user = tables.users.get(new.user_id)
        if user is None:
            raise NotFound("unknown_user", f"There is no user {new.user_id}.")
        if new.idempotency is not None:
            known = tables.idempotency_keys.get((new.user_id, new.idempotency.key))
            if known is not None and known[0] != new.idempotency.body_sha256:
                raise Invalid("idempotency_key_reused", "This Idempotency-Key was used for another request.")
            if known is not None:
                return tables.meetings[known[1]]
        for meeting in self._visits(new.user_id, new.ref.platform, new.ref.native_id):
            if meeting.status in LIVE:
                raise Conflict("already_there", f"Meeting {meeting.meeting_id} is not over.")
        counted = new.transition.to_state in COUNTED
        if counted and tables.active_bots[new.user_id] >= user.max_concurrent_bots:
            raise LimitReached("max_concurrent_bots", f"The limit of {user.max_concurrent_bots} bots is used up.")
        return None

    async def change(self, change: Change) -> Meeting | Void:
        """Write a decision and all that belongs to it."""
        return write_change(self._tables, change)

    async def find(self, meeting_id: int) -> Meeting | None:
        """Return the meeting."""
        return self._tables.meetings.get(meeting_id)

    async def find_by_connection(self, connection_id: str) -> Meeting | None:
        """Return the meeting that has or had this connection."""
        meeting_id = self._tables.connections.get(connection_id)
        return None if meeting_id is None else self._tables.meetings[meeting_id]

    async def find_latest(self, user_id: int, platform: Platform, native_id: str) -> Meeting | None:
        """Return the user's newest visit to that call."""
        visits = self._visits(user_id, platform, native_id)
        return next((meeting for meeting in visits if not meeting.redacted), None)

    async def list_of_user(self, user_id: int, page: Page) -> Sequence[Meeting]:
        """List a user's meetings, newest first."""
        mine = sorted(self._newest_first(user_id), key=_age, reverse=True)
        if page.before_id is not None:
            before = next((meeting for meeting in mine if meeting.meeting_id == page.before_id), None)
            mine = [] if before is None else mine[mine.index(before) + 1 :]
        return [meeting for meeting in mine if _is_on(page, meeting)][: page.limit]

    async def list_of_all(self, page: Page) -> Sequence[Meeting]:
        """List everybody's meetings, the highest id first."""
        newest_first = sorted(self._tables.meetings.values(), key=lambda meeting: -meeting.meeting_id)
        older = (m for m in newest_first if page.before_id is None or m.meeting_id < page.before_id)
        return [meeting for meeting in older if _is_on(page, meeting)][: page.limit]

    async def events(self, meeting_id: int) -> Sequence[MeetingEvent]:
        """Return a meeting's history, oldest first."""
        return list(self._tables.events.get(meeting_id, ()))

    async def attempt_of(self, connection_id: str) -> int | None:
        """Return the attempt that has or had this connection."""
        return self._tables.attempts.get(connection_id)

    async def is_vacated(self, meeting_id: int) -> bool:
        """Say whether no earlier visit to the same call is still being ended."""
        meeting = self._tables.meetings[meeting_id]
        owing = {
            row.meeting_id
            for row in self._tables.outbox.values()
            if row.effect is Effect.TERMINATE and row.buried_at is None
        }
        visits = self._visits(meeting.user_id, meeting.ref.platform, meeting.ref.native_id)
        return not any(visit.meeting_id in owing for visit in visits if visit.meeting_id < meeting_id)

    async def watched(self, policy: Policy) -> Sequence[Watched]:
        """Return every meeting that is not over."""
        live = (meeting for meeting in self._tables.meetings.values() if meeting.status in LIVE)
        listened = self._listened(policy)
        return [self._watch(meeting, listened, policy) for meeting in live]

    def _listened(self, policy: Policy) -> bool:
        """Say whether heartbeats are being taken, and have been for a whole lease."""
        attendance, now = self._tables.attendance, self._tables.now()
        if attendance is None:
            return False
        heard_lately = attendance.seen_at > now - timedelta(seconds=policy.silence_s)
        return heard_lately and attendance.since <= now - timedelta(seconds=policy.lease_s)

    def _watch(self, meeting: Meeting, listened: bool, policy: Policy) -> Watched:
        now, lease = self._tables.now(), self._tables.leases.get(meeting.meeting_id)
        expired = lease is not None and lease.attempt == meeting.attempt and lease.expires_at <= now
        late = meeting.join_at is not None and meeting.join_at <= now - timedelta(seconds=policy.missed_after_s)
        return Watched(
            meeting.meeting_id,
            meeting.attempt,
            meeting.status,
            deadline_passed=meeting.deadline_at is not None and meeting.deadline_at <= now,
            lease_expired=listened and expired,
            missed=late and meeting.status in MISSABLE,
            version=meeting.version,
        )

    async def bots(self) -> Mapping[str, int]:
        """Return the meeting of each connection that may have a workload."""
        return {m.connection_id: m.meeting_id for m in self._tables.meetings.values() if m.status in HAS_WORKLOAD}

    async def put_data(self, meeting_id: int, data: Json, *, keep: bool = False) -> Meeting | None:
        """Merge `data` into the meeting's data."""
        meeting = self._tables.meetings.get(meeting_id)
        if meeting is None or meeting.redacted:
            return None
        new = as_json(data)
        merged = {**new, **meeting.data} if keep else {**meeting.data, **new}
        put = self._tables.meetings[meeting_id] = replace(meeting, data=merged, updated_at=self._tables.now())
        return put

    def _newest_first(self, user_id: int) -> list[Meeting]:
        return [m for m in reversed(self._tables.meetings.values()) if m.user_id == user_id]

    def _visits(self, user_id: int, platform: Platform, native_id: str) -> list[Meeting]:
        call = (platform, native_id)
        return [m for m in self._newest_first(user_id) if (m.ref.platform, m.ref.native_id) == call]


def _age(meeting: Meeting) -> tuple[datetime, int]:
    return (meeting.created_at, meeting.meeting_id)


def _is_on(page: Page, meeting: Meeting) -> bool:
    """Say whether a meeting passes the filters of a page."""
    return (
        (page.states is None or meeting.status in page.states)
        and (page.platform is None or meeting.ref.platform is page.platform)
        and (page.native_id is None or (meeting.ref.native_id == page.native_id and not meeting.redacted))
        and (page.since is None or meeting.created_at >= page.since)
        and (page.until is None or meeting.created_at < page.until)
    )


def _meeting(meeting_id: int, new: NewMeeting, now: datetime) -> Meeting:
    due = now + timedelta(seconds=new.deadline_s)
    return Meeting(
        meeting_id=meeting_id,
        user_id=new.user_id,
        ref=new.ref,
        bot_name=new.bot_name,
        status=new.transition.to_state,
        version=1,
        attempt=1,
        connection_id=new.connection_id,
        stop_requested=False,
        configuration=new.configuration,
        desired_configuration=new.configuration,
        reason=None,
        failure_stage=None,
        bot_container_id=None,
        deadline_at=due if new.join_at is None else new.join_at - timedelta(seconds=new.lead_s),
        join_at=new.join_at,
        start_time=None,
        end_time=None,
        created_at=now,
        updated_at=now,
        data={},
        recording_enabled=new.recording_enabled,
    )
