"""Points at which a manager kills or pauses itself: before or after a call of one of the product's methods.

A point is written `PLACE[/WHICH]:before|after`, such as `change/launch_begun:after`: the manager dies when the
transition of that event has been committed and nobody has been told. The product knows nothing of it: the methods of
its classes are wrapped in the process that is to suffer.
"""

import inspect
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.adapters.postgres.store import PostgresStore
from usher.adapters.redis.access import RedisBotAccess
from usher.adapters.redis.channel import RedisCommandChannel
from usher.adapters.redis.stream import RedisSegmentStream
from usher.adapters.webhooks import HttpWebhookSender
from usher.bootstrap import system

Selects: TypeAlias = Callable[[str, tuple[Any, ...]], bool]


@dataclass(frozen=True, slots=True)
class Point:
    """Where to suffer.

    Attributes:
        place: A name in `PLACES`, or `answer` for an HTTP answer.
        which: Picks calls of the place; empty for all.
        after: After the call, not before it.
    """

    place: str
    which: str
    after: bool


@dataclass(frozen=True, slots=True)
class _Place:
    owner: type
    method: str
    selects: Selects = lambda which, _: not which


def _of_event(which: str, arguments: tuple[Any, ...]) -> bool:
    return not which or arguments[0].transition.event == which


def _of_something(which: str, arguments: tuple[Any, ...]) -> bool:
    return not which and bool(arguments[-1])


# fmt: off
PLACES = {
    "create":      _Place(PostgresStore, "create"),                        # a request is written
    "change":      _Place(PostgresStore, "change", _of_event),             # a transition is written
    "complete":    _Place(PostgresStore, "complete"),                      # an effect is settled
    "totals":      _Place(PostgresStore, "put_data"),                      # the post-meeting task writes
    "outcome":     _Place(PostgresStore, "acknowledge"),                   # a bot's acknowledgement is written
    "save":        _Place(PostgresStore, "save", _of_something),           # the collector writes a batch
    "acknowledge": _Place(RedisSegmentStream, "acknowledge", _of_something),  # the collector's XACK
    "publish":     _Place(RedisCommandChannel, "publish"),                 # a command is published
    "grant":       _Place(RedisBotAccess, "grant"),                        # a bot gets its account
    "revoke":      _Place(RedisBotAccess, "revoke"),                       # a bot's account is taken away
    "start":       _Place(ProcessLauncher, "start"),                       # a workload is started
    "spawn":       _Place(ProcessLauncher, "_spawn"),                      # its process is made, under a lock
    "stop":        _Place(ProcessLauncher, "stop"),                        # a workload is stopped
    "remove":      _Place(ProcessLauncher, "remove"),                      # a workload is forgotten
    "tell":        _Place(HttpWebhookSender, "send"),                      # a webhook is told
}
# fmt: on
ANSWER = "answer"
_FACTORY = "create_app"
_ARRIVED_S = 0.05


def parse_point(text: str) -> Point:
    """Read a point.

    Raises:
        ValueError: There is no such point.
    """
    place, _, when = text.partition(":")
    place, _, which = place.partition("/")
    if place not in {*PLACES, ANSWER} or when not in {"before", "after"}:
        raise ValueError(f"no such point: {text}")
    return Point(place, which, when == "after")


def wound(point: Point, blow: signal.Signals, *, call: int = 1) -> None:
    """Let this process send itself a signal at the `call`-th call, counted from 1, that passes the point."""
    if point.place == ANSWER:
        _wound_answers(point, blow, call)
        return
    place = PLACES[point.place]
    intact: Callable[..., Any] = getattr(place.owner, place.method)
    calls = itertools.count(1)

    def hits(arguments: tuple[Any, ...]) -> bool:
        return place.selects(point.which, arguments) and next(calls) == call

    async def wounded(self: object, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - it stands for any method
        with _struck(blow, point, hit=hits(arguments)):
            return await intact(self, *arguments, **named)

    def wounded_in_a_thread(self: object, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the same
        with _struck(blow, point, hit=hits(arguments)):
            return intact(self, *arguments, **named)

    setattr(place.owner, place.method, wounded if inspect.iscoroutinefunction(intact) else wounded_in_a_thread)


@contextmanager
def _struck(blow: signal.Signals, point: Point, *, hit: bool) -> Iterator[None]:
    if hit and not point.after:
        _strike(blow)
    yield
    if hit and point.after:
        _strike(blow)


def _strike(blow: signal.Signals) -> None:
    """Send the signal, and do nothing more until it has arrived in every thread."""
    os.kill(os.getpid(), blow)
    time.sleep(_ARRIVED_S)


class Wounded:
    """ASGI middleware that is hit around the answer to a request whose path has `which` in it."""

    def __init__(self, app: ASGIApp, *, point: Point, blow: signal.Signals, call: int) -> None:
        self._app, self._point, self._blow = app, point, blow
        self._call, self._calls = call, itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and be hit before the first byte or after the last one."""
        if scope["type"] != "http" or self._point.which not in scope["path"] or next(self._calls) != self._call:
            await self._app(scope, receive, send)
            return

        async def last_send(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if begins and not self._point.after:
                _strike(self._blow)
            await send(message)
            if ends and self._point.after:
                _strike(self._blow)

        await self._app(scope, receive, last_send)


def _wound_answers(point: Point, blow: signal.Signals, call: int) -> None:
    intact = getattr(system, _FACTORY)

    def create_app(*arguments: Any, **named: Any) -> FastAPI:  # noqa: ANN401 - it stands for the product's own
        app: FastAPI = intact(*arguments, **named)
        app.add_middleware(Wounded, point=point, blow=blow, call=call)
        return app

    setattr(system, _FACTORY, create_app)
