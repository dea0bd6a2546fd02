"""Tries the credentials of bots on everything of other bots, and on their own when they are dead.

A living bot's are tried on what is its own as well: a burglar whose keys never fit would find every lock good.
Whose keys are whose is derived from the installation's secret, as the manager derives it.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.support.invariants.evidence import Access

from usher.domain.reconcile import WorkloadName
from usher.protocol.commands import command_channel
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.protocol.segments import STREAM, SegmentEntry, SpokenSegment, sign

FORGED = "forged:"
"""What the ids of segments begin with that were signed by another bot than that of the meeting."""

_PAUSE_S = 2.0
_ANSWER_S = 2.0
_BEAT = {"executed_seq": 0, "sent": []}
_REQUESTS: Sequence[tuple[str, str, object]] = (
    ("GET", "/commands?after=0", None),
    ("POST", "/heartbeat", _BEAT),
    ("POST", "/started", {"seq": 1}),
    ("POST", "/exited", {"seq": 1, "exit_code": 0, "reason": "meeting_ended", "detail": ""}),
    ("POST", "/commands/1", {"outcome": "applied"}),
)


@dataclass(frozen=True, slots=True)
class Bot:
    """Somebody who has, or had, credentials."""

    identity: BotIdentity
    workload: WorkloadName

    @property
    def connection_id(self) -> str:
        """What names it."""
        return self.identity.connection_id


class Burglar:
    """Goes about in one installation.

    Args:
        url: Base URL of the API.
        redis_url: Redis, as its owner reaches it.
        secret: Of the installation.
        diaries: Directory of the bots' diaries, which say who there is.
        living: Names the workloads that run.
        transport: Carries HTTP requests in the place of the network.

    Attributes:
        accesses: What was opened.
    """

    def __init__(
        self,
        url: str,
        redis_url: str,
        secret: str,
        diaries: Path,
        living: Callable[[], Collection[str]],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.accesses: list[Access] = []
        self._redis_url, self._diaries, self._living = redis_url, diaries, living
        self._keys = BotCredentials(secret.encode())
        self._http = httpx.AsyncClient(base_url=url, timeout=_ANSWER_S, trust_env=False, transport=transport)
        self._chance = random.Random(0)  # noqa: S311 - nothing secret

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self) -> None:
        """Strike again and again until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self.strike()

    async def strike(self) -> None:
        """Try anybody's credentials on a living bot's things, if there are two, and a living bot's on its own."""
        known = self._bots()
        living = [bot for bot in known if str(bot.workload) in self._living()]
        if living and len(known) > 1:
            victim = self._chance.choice(living)
            await self.try_on(self._chance.choice([bot for bot in known if bot != victim]), victim)
            await self.try_on(victim, None)

    async def try_the_dead(self) -> None:
        """Try everybody's credentials on what was theirs, when everybody's attempt is over."""
        await asyncio.gather(*(self.try_on(bot, None, over=True) for bot in self._bots()))

    async def try_on(self, thief: Bot, victim: Bot | None, *, over: bool = False) -> None:
        """Try one bot's credentials on another's things; without a victim, on its own, changing nothing."""
        opened = await asyncio.gather(self._try_http(thief, victim or thief), self._try_redis(thief, victim or thief))
        target = (victim or thief).connection_id
        self.accesses += [
            Access(thief.connection_id, target, where, time.time(), over) for one in opened for where in one
        ]

    async def _try_http(self, thief: Bot, victim: Bot) -> list[str]:
        opened = []
        headers = {"Authorization": f"Bearer {self._keys.token(thief.identity)}"}
        for method, path, body in _REQUESTS if thief != victim else _REQUESTS[:1]:
            with suppress(httpx.HTTPError):
                url = f"/internal/bots/{victim.connection_id}{path}"
                answer = await self._http.request(method, url, json=body, headers=headers)
                opened += [f"HTTP {path}"] * answer.is_success
        return opened

    async def _try_redis(self, thief: Bot, victim: Bot) -> list[str]:
        opened = []
        own = ("SUBSCRIBE", command_channel(victim.connection_id))
        others = (("PUBLISH", own[1], "{}"), ("XRANGE", STREAM, "-", "+"), ("KEYS", "*"), ("ACL", "LIST"))
        for command in (*others, own) if thief != victim else (own,):
            async with self._account(thief) as redis:
                with suppress(RedisError, OSError):
                    await redis.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                    opened.append(f"Redis {command[0]}")
        if thief.identity.meeting_id != victim.identity.meeting_id:
            async with self._account(thief) as redis:
                with suppress(RedisError, OSError):
                    await redis.xadd(STREAM, self._forgery(thief, victim))
        return opened

    def _account(self, bot: Bot) -> Redis:
        address = urlsplit(self._redis_url)
        return Redis(
            host=address.hostname or "",
            port=address.port or 0,
            username=f"usher-bot-{bot.connection_id}",
            password=self._keys.redis_password(bot.identity),
            protocol=2,  # where the answer to SUBSCRIBE is an answer, and no push
            socket_timeout=_ANSWER_S,
            socket_connect_timeout=_ANSWER_S,
        )

    def _forgery(self, thief: Bot, victim: Bot) -> dict[Any, Any]:
        segment = SpokenSegment(
            segment_id=f"{FORGED}{thief.connection_id}", revision=1, start_s=0, end_s=1, text="forged", completed=True
        )
        entry = SegmentEntry(
            meeting_id=victim.identity.meeting_id,
            session_uid=victim.connection_id,
            session_start=datetime.now(UTC),
            segments=[segment],
        )
        return {**sign(entry, thief.connection_id, self._keys.token(thief.identity))}

    def _bots(self) -> list[Bot]:
        """Return who has begun a diary, in the order of their names."""
        found = []
        for path in sorted(self._diaries.glob("*.jsonl")):
            with path.open() as diary:
                first = diary.readline()
            if first.endswith("\n"):
                meeting_id, attempt = map(int, path.stem.split("-"))
                identity = BotIdentity(meeting_id, json.loads(first)["connection_id"])
                found.append(Bot(identity, WorkloadName(meeting_id, attempt)))
        return found
