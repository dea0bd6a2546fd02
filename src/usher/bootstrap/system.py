"""The Bot Manager: its parts wired together, and its roles run."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias

from fastapi import FastAPI
from redis.asyncio import Redis

from usher.adapters.postgres.store import PostgresStore
from usher.adapters.redis.access import RedisBotAccess
from usher.adapters.redis.channel import RedisCommandChannel
from usher.adapters.redis.connection import connect
from usher.adapters.redis.feed import RedisFeed
from usher.adapters.redis.hints import RedisHints
from usher.adapters.redis.stream import RedisSegmentStream
from usher.adapters.webhooks import HttpWebhookSender
from usher.api.app import create_app, create_bots_app
from usher.api.context import Context
from usher.api.keys import KeyCache
from usher.api.rates import Rates
from usher.app.access import AccountKeeper
from usher.app.bots import Bots
from usher.app.collector import Collector
from usher.app.commands import CommandEffect, CommandSender
from usher.app.dispatcher import Dispatcher
from usher.app.effects import WorkloadEffects, handlers
from usher.app.housekeeper import Housekeeper
from usher.app.last_words import Legacy
from usher.app.leases import LeaseBook
from usher.app.loops import Wakeups, run_every
from usher.app.notify import Notifier
from usher.app.post_meeting import PostMeeting
from usher.app.reconciler import Reconciler
from usher.app.recordings import RecordingDesk
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.app.webhooks import WebhookDesk
from usher.bootstrap.addresses import homes, required
from usher.bootstrap.http import serve_http
from usher.bootstrap.launchers import open_launcher
from usher.bootstrap.recordings import recording_store
from usher.bootstrap.workload import Specifier
from usher.ports import Launcher
from usher.protocol.credentials import BotCredentials
from usher.room import room_app
from usher.settings import ApiSettings, Settings


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
    launcher: Launcher
    app: FastAPI
    bots_app: FastAPI
    loops: Mapping[Role, Sequence[Loop]]

    async def run(self, listener: socket.socket | None, bots_listener: socket.socket | None = None) -> None:
        """Run the roles until cancelled; bots outlive it.

        Args:
            listener: Where the API is served.
            bots_listener: Where bots alone are served, if they do not use the API's.
        """
        async with asyncio.TaskGroup() as group:
            for role, loops in self.loops.items():
                for loop in loops:
                    group.create_task(loop(), name=role)
            if Role.API in self.loops and listener is not None:
                group.create_task(serve_http(self.app, listener), name="http")
            if Role.API in self.loops and bots_listener is not None:
                group.create_task(serve_http(self.bots_app, bots_listener), name="http-bots")


@asynccontextmanager
async def open_system(settings: Settings, roles: Sequence[Role] = tuple(Role)) -> AsyncIterator[System]:
    """Connect to everything, wire the parts that the roles need, and close it all in the end.

    Raises:
        Invalid: A setting is missing; the error says which.
        Unavailable: The database or Redis does not answer.
    """
    async with AsyncExitStack() as stack:
        system = _wire(settings, roles, await _connect(settings, stack))
        # What is loaded by now stays: no later collection has to look through it, which takes 60 ms and stops the loop.
        gc.collect()
        gc.freeze()
        yield system


@dataclass(frozen=True, slots=True)
class _Outside:
    """What the manager stands on, connected."""

    store: PostgresStore
    redis: Redis
    feed: RedisFeed
    sender: HttpWebhookSender
    launcher: Launcher


async def _connect(settings: Settings, stack: AsyncExitStack) -> _Outside:
    dsn = required(settings.database.dsn, "USHER_DATABASE__DSN")
    redis = connect(required(settings.redis.url, "USHER_REDIS__URL"))
    stack.push_async_callback(redis.aclose)
    pool_size, timeout_s = settings.database.pool_size, settings.database.timeout_s
    store = await PostgresStore.connect(dsn, pool_size=pool_size, timeout_s=timeout_s)
    stack.push_async_callback(store.close)
    feed = RedisFeed(redis)
    stack.push_async_callback(feed.aclose)
    sender = HttpWebhookSender(allow_private=settings.webhooks.allow_private)
    stack.push_async_callback(sender.aclose)
    return _Outside(store, redis, feed, sender, await open_launcher(settings, stack))


def _wire(settings: Settings, roles: Sequence[Role], outside: _Outside) -> System:
    credentials = BotCredentials(required(settings.secret, "USHER_SECRET").encode())
    policy = settings.lifecycle.policy()
    store, redis, wakeups = outside.store, outside.redis, Wakeups()
    hints, stream, access = RedisHints(redis), RedisSegmentStream(redis), RedisBotAccess(redis)
    channel = RedisCommandChannel(redis)
    wake = wakeups.wake if Role.DISPATCH in roles else hints.send
    transitions = Transitions(store, outside.feed, policy, wake, CommandSender(channel).send)
    beats, recordings = LeaseBook(store, policy), RecordingDesk(store, recording_store(settings))
    reports = Reports(store, transitions, credentials, beats)
    collector = Collector(stream, store, outside.feed, credentials)
    launcher = outside.launcher
    legacy = Legacy(launcher, reports, collector, credentials)
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
    commands = CommandEffect(store, channel)
    finish, notify = PostMeeting(store, stream).finish, Notifier(store, outside.sender).notify
    keys = KeyCache(store, ttl_s=settings.api.key_cache_s)
    dispatcher = Dispatcher(store, handlers(workload, commands, finish, notify), policy, wakeups)
    loops: dict[Role, Sequence[Loop]] = {
        Role.API: (beats.run, keys.run),
        Role.DISPATCH: (dispatcher.run, partial(run_every, 1.0, "hints", partial(hints.listen, wakeups.wake))),
        Role.RECONCILE: (
            Reconciler(store, transitions, launcher, legacy, policy).run,
            AccountKeeper(store, access, credentials).run,
            Housekeeper(store).run,
            recordings.run,
        ),
        Role.COLLECT: (collector.run,),
    }
    bots, rooms = Bots(store, transitions, policy), room_app()
    context = _context(settings, outside, bots, reports, recordings, keys)
    return System(
        store=store,
        launcher=launcher,
        app=create_app(context, rooms=rooms, cors_origins=settings.api.cors_origins),
        bots_app=create_bots_app(context, rooms=rooms),
        loops={role: loops[role] for role in roles},
    )


def _context(
    settings: Settings, outside: _Outside, bots: Bots, reports: Reports, recordings: RecordingDesk, keys: KeyCache
) -> Context:
    return Context(
        store=outside.store,
        bots=bots,
        reports=reports,
        recordings=recordings,
        webhooks=WebhookDesk(outside.store, outside.sender, allow_private=settings.webhooks.allow_private),
        feed=outside.feed,
        stream=RedisSegmentStream(outside.redis),
        keys=keys,
        rates=_rates(settings.api),
        homes=homes(settings),
        admin_token=settings.api.admin_token.get_secret_value() if settings.api.admin_token else None,
    )


def _rates(api: ApiSettings) -> Rates | None:
    return Rates(per_s=api.rate_per_s, burst=api.rate_burst) if api.rate_per_s else None
