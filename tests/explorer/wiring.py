"""One simulated manager: the real use cases, loops and routes, on the world's store, machine and Redis."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from tests.explorer.faults import Boundaries
from tests.explorer.inbox import Inbox, RemoteInbox
from tests.explorer.machine import Book, Machine, RemoteLauncher
from tests.explorer.network import Endpoint
from tests.explorer.processes import Process
from tests.explorer.redis_server import RedisServer, remote_access, remote_channel, remote_stream
from tests.explorer.store import WatchedStore, remote_store

from usher.adapters.memory.redis import MemoryFeed
from usher.adapters.memory.store_recordings import MemoryRecordingStore
from usher.adapters.memory.webhooks import MemoryWebhookSender
from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache
from usher.app.access import AccountKeeper
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
from usher.app.recordings import RecordingDesk
from usher.app.reports import Reports
from usher.app.transitions import Transitions
from usher.app.webhooks import WebhookDesk
from usher.domain.meeting import Homes
from usher.domain.policy import Policy
from usher.domain.reconcile import WorkloadName
from usher.ports import Meeting, WorkloadSpec
from usher.protocol.bot import BotConfiguration, Patience
from usher.protocol.credentials import BotCredentials, BotIdentity

CREDENTIALS = BotCredentials(b"a secret for simulations only")
_URL = "http://manager"
_POLL_S = 2.0
"""Longer than in a real installation: polling is the backstop of wake-ups, and costs most of a run's time."""


def specify(patience: Patience) -> Callable[[Meeting], WorkloadSpec]:
    """Return what says with which document a bot is started."""

    def of(meeting: Meeting) -> WorkloadSpec:
        bot = BotIdentity(meeting.meeting_id, meeting.connection_id)
        document = BotConfiguration(
            meeting_id=meeting.meeting_id,
            connection_id=meeting.connection_id,
            attempt=meeting.attempt,
            platform=meeting.ref.platform,
            native_meeting_id=meeting.ref.native_id,
            meeting_url=SecretStr(meeting.ref.url),
            bot_name=meeting.bot_name,
            language=meeting.desired_configuration.language,
            task="translate" if meeting.desired_configuration.task == "translate" else "transcribe",
            token=SecretStr(CREDENTIALS.token(bot)),
            manager_url=_URL,
            redis_url=SecretStr(CREDENTIALS.redis_password(bot)),
            transcription_url="",
            patience=patience,
        )
        return WorkloadSpec(WorkloadName(meeting.meeting_id, meeting.attempt), document.to_environment())

    return of


class Served:
    """One manager process.

    Attributes:
        process: What can be paused and killed.
        endpoint: Its HTTP side.
    """

    def __init__(
        self,
        name: str,
        *,
        boundaries: Boundaries,
        store: WatchedStore,
        machine: Machine,
        book: Book,
        redis: RedisServer,
        inbox: Inbox,
        policy: Policy,
        patience: Patience,
        on_crash: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.process = Process(name, on_crash, on_change)
        self._loops: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._store = remote_store(store, boundaries)
        self._stream = remote_stream(redis, boundaries)
        self._feed = MemoryFeed()
        self._policy = policy
        launcher, access = RemoteLauncher(machine, book, boundaries), remote_access(redis, boundaries)
        wakeups = Wakeups()
        channel = remote_channel(redis, boundaries)
        transitions = Transitions(self._store, self._feed, policy, wakeups.wake, CommandSender(channel).send)
        beats = LeaseBook(self._store, policy)
        reports = Reports(self._store, transitions, CREDENTIALS, beats)
        collector = Collector(self._stream, self._store, self._feed, CREDENTIALS)
        legacy = Legacy(launcher, reports, collector, CREDENTIALS)
        workload = WorkloadEffects(
            store=self._store,
            transitions=transitions,
            launcher=launcher,
            access=access,
            credentials=CREDENTIALS,
            policy=policy,
            legacy=legacy,
            specify=specify(patience),
        )
        commands = CommandEffect(self._store, channel)
        finish = PostMeeting(self._store, self._stream).finish
        notify = Notifier(self._store, RemoteInbox(inbox, boundaries)).notify
        self._loops = [
            beats.run,
            Dispatcher(self._store, handlers(workload, commands, finish, notify), policy, wakeups, poll_s=_POLL_S).run,
            Reconciler(self._store, transitions, launcher, legacy, policy).run,
            AccountKeeper(self._store, access, CREDENTIALS).run,
            collector.run,
        ]
        self.endpoint = Endpoint(self.process, self._app(reports, transitions))

    def begin(self) -> None:
        """Run all roles."""
        for loop in self._loops:
            self.process.spawn(loop())

    def _app(self, reports: Reports, transitions: Transitions) -> FastAPI:
        return create_app(
            Context(
                store=self._store,
                bots=Bots(self._store, transitions, self._policy),
                reports=reports,
                recordings=RecordingDesk(self._store, MemoryRecordingStore()),
                webhooks=WebhookDesk(self._store, MemoryWebhookSender()),
                feed=self._feed,
                stream=self._stream,
                keys=KeyCache(self._store, ttl_s=3600.0),
                homes=Homes(f"{_URL}/room"),
            )
        )
