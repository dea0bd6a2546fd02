"""A whole Bot Manager on in-memory adapters, with a clock that the test moves."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from usher.adapters.memory.launcher import Bot, Machine, MemoryLauncher, live_for_ever
from usher.adapters.memory.redis import (
    MemoryBotAccess,
    MemoryCommandChannel,
    MemoryFeed,
    MemorySegmentStream,
    SegmentLog,
)
from usher.adapters.memory.store import MemoryStore
from usher.adapters.memory.store_recordings import MemoryRecordingStore
from usher.adapters.memory.webhooks import MemoryWebhookSender
from usher.app.access import AccountKeeper
from usher.app.bots import Bots, Wish
from usher.app.collector import Collector
from usher.app.commands import CommandEffect, CommandSender
from usher.app.dispatcher import Dispatcher
from usher.app.effects import WorkloadEffects, handlers
from usher.app.last_words import Legacy
from usher.app.leases import LeaseBook
from usher.app.loops import Wakeups
from usher.app.notify import Notifier
from usher.app.post_meeting import PostMeeting
from usher.app.reconciler import Reconciler
from usher.app.recordings import RecordingDesk
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.app.webhooks import WebhookDesk
from usher.domain.lifecycle import Reason, State
from usher.domain.meeting import MeetingRef, Platform
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import Configuration, Launcher, Meeting, User, WorkloadSpec
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.reports import Exited, Status

SECRET = b"a secret for tests only"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds)


class World:
    """One manager, one machine, one user."""

    def __init__(
        self, *, launcher: Launcher | None = None, bot: Bot = live_for_ever, policy: Policy | None = None
    ) -> None:
        self.clock = Clock()
        self.policy = policy or Policy(kill_grace_s=0.01)
        self.store = MemoryStore(self.clock)
        self.machine = Machine(bot)
        self.launcher = launcher or MemoryLauncher(self.machine)
        self.channel = MemoryCommandChannel()
        self.access = MemoryBotAccess()
        self.feed = MemoryFeed()
        self.segments = SegmentLog()
        self.stream = MemorySegmentStream(self.segments)
        self.credentials = BotCredentials(SECRET)
        wakeups = Wakeups()
        self.sender = CommandSender(self.channel)
        self.transitions = Transitions(self.store, self.feed, self.policy, wakeups.wake, self.sender.send)
        self.beats = LeaseBook(self.store, self.policy, tick_s=0)
        self.reports = Reports(self.store, self.transitions, self.credentials, self.beats)
        self.collector = Collector(self.stream, self.store, self.feed, self.credentials, wait_s=0.0)
        self.legacy = Legacy(self.launcher, self.reports, self.collector, self.credentials)
        self.workload = WorkloadEffects(
            store=self.store,
            transitions=self.transitions,
            launcher=self.launcher,
            access=self.access,
            credentials=self.credentials,
            policy=self.policy,
            legacy=self.legacy,
            specify=lambda m: WorkloadSpec(WorkloadName(m.meeting_id, m.attempt), {}),
        )
        command = CommandEffect(self.store, self.channel)
        finish = PostMeeting(self.store, self.stream).finish
        self.webhooks = MemoryWebhookSender()
        self.desk = WebhookDesk(self.store, self.webhooks)
        notify = Notifier(self.store, self.webhooks).notify
        self.dispatcher = Dispatcher(self.store, handlers(self.workload, command, finish, notify), self.policy, wakeups)
        self.reconciler = Reconciler(self.store, self.transitions, self.launcher, self.legacy, self.policy)
        self.accounts = AccountKeeper(self.store, self.access, self.credentials)
        self.bots = Bots(self.store, self.transitions, self.policy)
        self.recording_store = MemoryRecordingStore()
        self.recordings = RecordingDesk(self.store, self.recording_store)

    async def user(self, *, limit: int = 3) -> User:
        """Return the user."""
        return await self.store.create_user("ann@example.com", name="Ann", max_concurrent_bots=limit)

    async def send_bot(self, room: str = "weekly-sync", *, limit: int = 3) -> Meeting:
        """Request a bot."""
        user = await self.user(limit=limit)
        return (await self.bots.request(user.user_id, wish(room))).meeting

    async def listen(self, seconds: float) -> None:
        """Let time pass while a manager takes heartbeats."""
        await self.beats.attend()
        for _ in range(math.ceil(seconds)):
            self.clock.advance(seconds / math.ceil(seconds))
            await self.beats.attend()

    async def settle(self) -> None:
        """Run every effect that is due, until none is."""
        while await self.dispatcher.run_pending():
            pass

    async def meeting(self, meeting_id: int) -> Meeting:
        """Return the meeting as it is now."""
        meeting = await self.store.find(meeting_id)
        assert meeting is not None
        return meeting

    async def bot_of(self, meeting_id: int) -> BotIdentity:
        """Return the bot of the current attempt."""
        return BotIdentity(meeting_id, (await self.meeting(meeting_id)).connection_id)

    async def active(self, room: str = "weekly-sync") -> Meeting:
        """Return a meeting whose bot is in the call."""
        meeting = await self.send_bot(room)
        await self.settle()
        await self.reports.started(await self.bot_of(meeting.meeting_id))
        return await self.meeting(meeting.meeting_id)

    async def states(self, meeting_id: int) -> list[State]:
        """Return every state that the meeting went through."""
        return [event.to_state for event in await self.store.events(meeting_id)]


def exited(exit_code: int, reason: Reason | None) -> Exited:
    """Return a bot's last word."""
    return Exited(seq=9, exit_code=exit_code, reason=reason)


def on_the_way(status: Literal["joining", "awaiting_admission"]) -> Status:
    """Return a report from a bot's way."""
    return Status(seq=1, status=status)


def wish(room: str = "weekly-sync") -> Wish:
    """Return a request for a bot in that room."""
    ref = MeetingRef(Platform.ROOM, room, f"http://localhost/room/{room}")
    return Wish(ref, "Usher", Configuration("en"))
