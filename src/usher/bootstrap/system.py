"""The Bot Manager: its parts wired together, and its roles run."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias

from fastapi import FastAPI
from redis.asyncio import Redis

from usher.adapters.launchers.process import ProcessLauncher
from usher.adapters.postgres.store import PostgresStore
from usher.adapters.redis.access import RedisBotAccess
from usher.adapters.redis.channel import RedisCommandChannel
from usher.adapters.redis.connection import connect
from usher.adapters.redis.feed import RedisFeed
from usher.adapters.redis.hints import RedisHints
from usher.adapters.redis.stream import RedisSegmentStream
from usher.adapters.webhooks import HttpWebhookSender
from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache
from usher.app.access import AccountKeeper
from usher.app.bots import Bots
from usher.app.collector import Collector
from usher.app.dispatcher import Dispatcher
from usher.app.effects import CommandEffects, WorkloadEffects, handlers
from usher.app.housekeeper import Housekeeper
from usher.app.last_words import Legacy
from usher.app.leases import LeaseBook
from usher.app.loops import Wakeups
from usher.app.notify import Notifier
from usher.app.post_meeting import PostMeeting
from usher.app.reconciler import Reconciler
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.bootstrap.addresses import public_url, required
from usher.bootstrap.http import serve_http
from usher.bootstrap.workload import Specifier
from usher.protocol.credentials import BotCredentials
from usher.room import room_app
from usher.settings import Settings


class Role(StrEnum):
    """What a manager process does. All roles may run in any number of processes."""

    API = "api"
    DISPATCH = "dispatch"
    RECONCILE = "reconcile"
    COLLECT = "collect"


Loop: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Something that runs until it is cancelled."""


@dataclass(frozen=True, slots=True)
class System:
    """The parts of a manager that is put together and connected."""

    store: PostgresStore
    launcher: ProcessLauncher
    app: FastAPI
    loops: Mapping[Role, Sequence[Loop]]

    async def run(self, listener: socket.socket | None) -> None:
        """Run the roles until cancelled; bots outlive it."""
        async with asyncio.TaskGroup() as group:
            for role, loops in self.loops.items():
                for loop in loops:
                    group.create_task(loop(), name=role)
            if Role.API in self.loops and listener is not None:
                group.create_task(serve_http(self.app, listener), name="http")


@asynccontextmanager
async def open_system(settings: Settings, roles: Sequence[Role] = tuple(Role)) -> AsyncIterator[System]:
    """Connect to everything, wire the parts that the roles need, and close it all in the end.

    Raises:
        Invalid: A setting is missing; the error says which.
        Unavailable: The database or Redis does not answer.
    """
    dsn = required(settings.database.dsn, "USHER_DATABASE__DSN")
    redis = connect(required(settings.redis.url, "USHER_REDIS__URL"))
    feed = RedisFeed(redis)
    sender = HttpWebhookSender(allow_private=settings.webhooks.allow_private)
    pool_size, timeout_s = settings.database.pool_size, settings.database.timeout_s
    store = await PostgresStore.connect(dsn, pool_size=pool_size, timeout_s=timeout_s)
    try:
        yield _wire(settings, roles, store, redis, feed, sender)
    finally:
        await sender.aclose()
        await feed.aclose()
        await redis.aclose()
        await store.close()


def _wire(
    settings: Settings,
    roles: Sequence[Role],
    store: PostgresStore,
    redis: Redis,
    feed: RedisFeed,
    sender: HttpWebhookSender,
) -> System:
    credentials = BotCredentials(required(settings.secret, "USHER_SECRET").encode())
    policy = settings.lifecycle.policy()
    wakeups = Wakeups()
    stream = RedisSegmentStream(redis)
    hints = RedisHints(redis)
    transitions = Transitions(store, feed, policy, wakeups.wake if Role.DISPATCH in roles else hints.send)
    beats = LeaseBook(store, policy)
    reports = Reports(store, transitions, credentials, beats)
    collector = Collector(stream, store, feed, credentials)
    command = settings.launcher.command or (sys.executable, "-m", "usher.cli.bot")
    launcher = ProcessLauncher(settings.data_dir / "bots", command)
    legacy = Legacy(launcher, reports, collector, credentials)
    access = RedisBotAccess(redis)
    workload = WorkloadEffects(
        store=store,
        transitions=transitions,
        launcher=launcher,
        access=access,
        credentials=credentials,
        policy=policy,
        legacy=legacy,
        specify=Specifier(settings, credentials),
    )
    commands = CommandEffects(store, RedisCommandChannel(redis))
    context = Context(
        store=store,
        bots=Bots(store, transitions, policy),
        reports=reports,
        feed=feed,
        stream=stream,
        keys=KeyCache(store, ttl_s=settings.api.key_cache_s),
        room_url=f"{public_url(settings)}/room",
        admin_token=settings.api.admin_token.get_secret_value() if settings.api.admin_token else None,
        private_webhooks=settings.webhooks.allow_private,
    )
    effects = handlers(workload, commands, PostMeeting(store, stream).finish, Notifier(store, sender).notify)
    dispatcher = Dispatcher(store, effects, policy, wakeups)
    loops: dict[Role, Sequence[Loop]] = {
        Role.API: (beats.run,),
        Role.DISPATCH: (dispatcher.run, partial(hints.listen, wakeups.wake)),
        Role.RECONCILE: (
            Reconciler(store, transitions, launcher, legacy, policy).run,
            AccountKeeper(store, access, credentials).run,
            Housekeeper(store).run,
        ),
        Role.COLLECT: (collector.run,),
    }
    return System(
        store=store,
        launcher=launcher,
        app=create_app(context, rooms=room_app()),
        loops={role: loops[role] for role in roles},
    )
