"""A user's program that watches meetings live, and is careful: whatever is cut or lost, it misses nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from tests.support.invariants.evidence import Sighting
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from usher.domain.lifecycle import TERMINAL, State

_OPEN_S = 5.0
_PING_S = 3.0
_PAUSE_S = 0.3
_SOON_S = 2.0

Events = Callable[[int], Awaitable[Sequence[dict[str, Any]]]]
"""Asks for the history of a meeting, as the API tells it, until it is answered."""


class Viewer:
    """Follows meetings over `/ws`, and connects again whenever it is cut off.

    What the server tells it is the present state first, and then each change under the number of its event. Numbers
    that are missing it gets from `GET /meetings/{id}/events`; a number that it knows already is the present state told
    again. A server that goes back behind what it has pushed is noted as it is.

    Args:
        url: Base URL of the API.
        api_key: The user's key.
        events: Fills gaps.

    Attributes:
        frames: Status frames as they came.
        feed: The same after filling gaps: what the user's program went by.
        filled: How much of `feed` was not pushed, but asked for.
    """

    def __init__(self, url: str, api_key: str, events: Events) -> None:
        self.frames: list[Sighting] = []
        self.feed: list[Sighting] = []
        self.filled = 0
        self._url, self._api_key, self._events = url.replace("http", "ws", 1) + "/ws", api_key, events
        self._names: dict[int, str] = {}
        self._newest: dict[int, Sighting] = {}
        self._pushed: dict[int, int] = {}
        self._news, self._told = asyncio.Event(), asyncio.Event()
        self._turn = asyncio.Lock()

    def follow(self, meeting_id: int, name: str) -> None:
        """Watch a meeting from now on."""
        self._names[meeting_id] = name
        self._news.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            with suppress(OSError, TimeoutError, WebSocketException):
                await self._watch()
            await asyncio.sleep(_PAUSE_S)

    async def caught_up(self) -> Sequence[Sighting]:
        """Return the feed when every meeting is over in it.

        The last event of a meeting is followed by none that would show that it was missed. Source: ADR 0006, "a viewer
        who waits for the last event of a meeting should also ask for its state now and then".
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_SOON_S):
                while self._open():
                    self._told.clear()
                    await self._told.wait()
        for meeting_id in self._open():
            async with self._turn:
                await self._fill(meeting_id)
        return self.feed

    async def take(self, frame: dict[str, Any]) -> None:
        """Take one frame."""
        if frame["type"] != "meeting.status":
            return
        told = frame["payload"]
        sighting = Sighting("viewer", frame["meeting"]["id"], told["version"], State(told["status"]))
        self.frames.append(sighting)
        async with self._turn:
            await self._take_status(sighting)

    async def _take_status(self, sighting: Sighting) -> None:
        meeting_id, version = sighting.meeting_id, sighting.version
        goes_back = version < self._pushed.get(meeting_id, 0)
        if version > self._known(meeting_id) + 1:
            await self._fill(meeting_id, before=version)
        if goes_back or version > self._known(meeting_id):
            self._note(sighting)
        self._pushed[meeting_id] = version

    async def _fill(self, meeting_id: int, *, before: int | None = None) -> None:
        """Ask for what is missing, and note it."""
        for event in await self._events(meeting_id):
            version = int(event["version"])
            if version > self._known(meeting_id) and (before is None or version < before):
                self._note(Sighting("viewer", meeting_id, version, State(event["to_state"])))
                self.filled += 1

    def _note(self, sighting: Sighting) -> None:
        self.feed.append(sighting)
        self._newest[sighting.meeting_id] = sighting
        self._told.set()

    def _known(self, meeting_id: int) -> int:
        return self._newest[meeting_id].version if meeting_id in self._newest else 0

    def _open(self) -> list[int]:
        """Return the meetings that are not over, as far as is known here."""
        newest = self._newest
        return [one for one in self._names if one not in newest or newest[one].status not in TERMINAL]

    async def _watch(self) -> None:
        """Stay connected for as long as that goes well."""
        async with connect(
            self._url,
            additional_headers={"X-API-Key": self._api_key},
            proxy=None,
            open_timeout=_OPEN_S,
            close_timeout=_OPEN_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
        ) as socket:
            asking = asyncio.create_task(self._subscribe(socket))
            try:
                async for message in socket:
                    await self.take(json.loads(message))
            finally:
                asking.cancel()

    async def _subscribe(self, socket: ClientConnection) -> None:
        """Ask for every meeting that is not over, and for new ones as they come; a name means its newest visit."""
        asked: set[int] = set()
        with suppress(WebSocketException):
            while True:
                self._news.clear()
                for meeting_id in [one for one in self._open() if one not in asked]:
                    meeting = {"platform": "room", "native_id": self._names[meeting_id]}
                    await socket.send(json.dumps({"action": "subscribe", "meetings": [meeting]}))
                    asked.add(meeting_id)
                await self._news.wait()
