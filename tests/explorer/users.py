"""Users who ask for bots, change and stop them, at random and impatiently."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from tests.explorer.inbox import WEBHOOK
from tests.explorer.store import WatchedStore, store_clock
from tests.support.invariants import KeyUse, Sighting

from usher.api.keys import digest
from usher.domain.lifecycle import State

_PATIENCE_S = 10.0


@dataclass(slots=True)
class Diary:
    """What users saw.

    Attributes:
        key_uses: Requests under an idempotency key.
        sightings: What they were shown of meetings.
        accepted: Meetings that were accepted.
    """

    key_uses: list[KeyUse] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)


class Caller:
    """A user with an API key. Each call is one try; None stands for no answer."""

    def __init__(self, user_id: int, name: str, key: str, transport: httpx.AsyncBaseTransport, diary: Diary) -> None:
        self.user_id = user_id
        self.name = name
        self._diary = diary
        self._http = httpx.AsyncClient(
            base_url="http://manager",
            headers={"X-API-Key": key},
            timeout=_PATIENCE_S,
            trust_env=False,
            transport=transport,
        )

    async def request(self, room: str, *, key: str | None = None, join_in_s: float | None = None) -> int | None:
        """Ask for a bot and return the number of the meeting if that is accepted."""
        body: dict[str, Any] = {"platform": "room", "native_meeting_id": room, "language": "en"}
        if join_in_s is not None:
            body["join_at"] = (store_clock() + timedelta(seconds=join_in_s)).isoformat()
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await self._ask("POST", "/bots", json=body, headers=headers)
        meeting_id = int(answer.json()["id"]) if answer is not None and answer.is_success else None
        if meeting_id is not None:
            self._diary.accepted.add(meeting_id)
        if key is not None and answer is not None and answer.status_code < 500:
            self._diary.key_uses.append(KeyUse(self.user_id, key, str(body), answer.status_code, meeting_id))
        return meeting_id

    async def configure(self, room: str, language: str) -> bool:
        """Ask for another language."""
        answer = await self._ask("PUT", f"/bots/room/{room}/config", json={"language": language})
        return answer is not None and answer.is_success

    async def stop(self, room: str) -> bool:
        """Stop the bot."""
        answer = await self._ask("DELETE", f"/bots/room/{room}")
        return answer is not None and answer.is_success

    async def look(self, meeting_id: int) -> State | None:
        """Look at a meeting."""
        answer = await self._ask("GET", f"/meetings/{meeting_id}")
        if answer is None or not answer.is_success:
            return None
        status = State(answer.json()["status"])
        self._diary.sightings.append(Sighting(self.name, meeting_id, answer.json()["version"], status))
        return status

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        try:
            return await self._http.request(method, path, **more)
        except httpx.HTTPError:
            return None


async def open_account(
    store: WatchedStore,
    name: str,
    limit: int,
    transport: httpx.AsyncBaseTransport,
    diary: Diary,
    *,
    has_webhook: bool,
) -> Caller:
    """Make a user with an API key."""
    user = await store.create_user(f"{name}@example.com", name=name, max_concurrent_bots=limit)
    key = f"usher_{name}"
    await store.add_token(user.user_id, digest(key))
    if has_webhook:
        await store.put_webhook(user.user_id, WEBHOOK)
    return Caller(user.user_id, name, key, transport, diary)


class Whims:
    """Lets a user do something every few seconds, until cancelled.

    Args:
        caller: The user.
        rooms: The calls that they have.
        chance: Decides.
        pace_s: Mean time between two actions.
    """

    def __init__(self, caller: Caller, rooms: tuple[str, ...], chance: random.Random, pace_s: float) -> None:
        self._caller = caller
        self._rooms = rooms
        self._chance = chance
        self._pace_s = pace_s
        self._stops = chance.choice((0, 1, 3))
        self._keys: list[tuple[str, str]] = []
        self._known: list[int] = []

    async def run(self) -> None:
        """Act until cancelled."""
        actions: tuple[tuple[Callable[[str], Awaitable[object]], int], ...] = (
            (self._request, 6),
            (self._request_with_key, 2),
            (self._repeat_key, 1),
            (self._schedule, 1),
            (self._configure, 4),
            (self._stop, 2 * self._stops),
            (self._stop_hastily, self._stops),
            (self._look, 3),
        )
        weights = [weight for _, weight in actions]
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / self._pace_s))
            action, _ = self._chance.choices(actions, weights)[0]
            await action(self._chance.choice(self._rooms))

    async def _request(self, room: str) -> None:
        self._remember(await self._caller.request(room))

    async def _request_with_key(self, room: str) -> None:
        key = f"{self._caller.name}-{len(self._keys)}"
        self._keys.append((key, room))
        tries = (self._caller.request(room, key=key) for _ in range(self._chance.choice((1, 2))))
        for meeting_id in await asyncio.gather(*tries):
            self._remember(meeting_id)

    async def _repeat_key(self, room: str) -> None:
        if self._keys:
            key, same_room = self._chance.choice(self._keys)
            await self._caller.request(self._chance.choice((room, same_room)), key=key)

    async def _schedule(self, room: str) -> None:
        self._remember(await self._caller.request(room, join_in_s=self._chance.choice((-5.0, 30.0, 90.0, 150.0))))

    async def _configure(self, room: str) -> None:
        for _ in range(self._chance.choice((1, 1, 3))):
            await self._caller.configure(room, self._chance.choice(("en", "de", "fr")))

    async def _stop(self, room: str) -> None:
        await self._caller.stop(room)

    async def _stop_hastily(self, room: str) -> None:
        await asyncio.gather(*(self._caller.stop(room) for _ in range(3)))

    async def _look(self, _room: str) -> None:
        if self._known:
            await self._caller.look(self._chance.choice(self._known[-3:]))

    def _remember(self, meeting_id: int | None) -> None:
        if meeting_id is not None:
            self._known.append(meeting_id)
