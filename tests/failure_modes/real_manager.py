"""A manager on a real database and, if wanted, a real Redis; its machine is in memory."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from usher.adapters.memory.launcher import Machine, MemoryLauncher
from usher.adapters.memory.redis import MemoryBotAccess, MemoryCommandChannel, MemoryFeed, MemorySegmentStream
from usher.adapters.memory.webhooks import MemoryWebhookSender
from usher.adapters.postgres.store import PostgresStore
from usher.adapters.redis.channel import RedisCommandChannel
from usher.adapters.redis.connection import connect
from usher.adapters.redis.feed import RedisFeed
from usher.adapters.redis.stream import RedisSegmentStream
from usher.app.bots import Bots
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
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import CommandChannel, Feed, Launcher, Meeting, SegmentStream, WorkloadSpec
from usher.protocol.credentials import BotCredentials, BotIdentity

CREDENTIALS = BotCredentials(b"a secret for tests only")
POLICY = replace(Policy(), leave_grace_s=0.0, kill_grace_s=0.01)
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Manager:
    """One manager process's worth of parts."""

    store: PostgresStore
    launcher: Launcher
    transitions: Transitions
    reports: Reports
    collector: Collector
    dispatcher: Dispatcher
    reconciler: Reconciler
    bots: Bots
    feed: Feed
    stream: SegmentStream

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


def assemble(
    store: PostgresStore,
    launcher: Launcher,
    *,
    stream: SegmentStream | None = None,
    feed: Feed | None = None,
    channel: CommandChannel | None = None,
) -> Manager:
    """Put a manager together."""
    stream, feed, wakeups = stream or MemorySegmentStream(), feed or MemoryFeed(), Wakeups()
    channel = channel or MemoryCommandChannel()
    transitions = Transitions(store, feed, POLICY, wakeups.wake, CommandSender(channel).send)
    reports = Reports(store, transitions, CREDENTIALS, LeaseBook(store, POLICY, tick_s=0))
    collector = Collector(stream, store, feed, CREDENTIALS, wait_s=0.0)
    legacy = Legacy(launcher, reports, collector, CREDENTIALS)
    workload = WorkloadEffects(
        store=store,
        transitions=transitions,
        launcher=launcher,
        access=MemoryBotAccess(),
        credentials=CREDENTIALS,
        policy=POLICY,
        legacy=legacy,
        specify=lambda m: WorkloadSpec(WorkloadName(m.meeting_id, m.attempt), {}),
    )
    commands = CommandEffect(store, channel)
    todo = handlers(
        workload, commands, PostMeeting(store, stream).finish, Notifier(store, MemoryWebhookSender()).notify
    )
    return Manager(
        store,
        launcher,
        transitions,
        reports,
        collector,
        Dispatcher(store, todo, POLICY, wakeups),
        Reconciler(store, transitions, launcher, legacy, POLICY),
        Bots(store, transitions, POLICY),
        feed,
        stream,
    )


@asynccontextmanager
async def managers(dsn: str, count: int = 1, *, pool_size: int = 5) -> AsyncIterator[list[Manager]]:
    """Open managers that share a database and a machine."""
    machine = Machine()
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            store = await PostgresStore.connect(dsn, pool_size=pool_size, timeout_s=PATIENCE_S)
            stack.push_async_callback(store.close)
            found.append(assemble(store, MemoryLauncher(machine)))
        yield found


@asynccontextmanager
async def manager_with_redis(dsn: str, url: str, *, timeout_s: float = 5.0) -> AsyncIterator[tuple[Manager, Redis]]:
    """Open a manager whose stream, feed and commands go over a Redis, which need not be there."""
    store = await PostgresStore.connect(dsn, pool_size=5, timeout_s=PATIENCE_S)
    client = connect(url, timeout_s=timeout_s)
    feed = RedisFeed(client)
    stream = RedisSegmentStream(client, claim_idle_s=0.3, claim_every_s=0.1)
    channel = RedisCommandChannel(client)
    try:
        yield assemble(store, MemoryLauncher(Machine()), stream=stream, feed=feed, channel=channel), client
    finally:
        await feed.aclose()
        await client.aclose()
        await store.close()
