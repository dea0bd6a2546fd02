"""Users who send, configure and stop bots without a break, and remember what they were promised."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.connections import Connections
from bench.fleet.script import Script
from bench.wire import request
from bench.world import Customer

_RETRY_S = 0.05
_REQUEST_S = 10.0


@dataclass(slots=True)
class Ticket:
    """What one user was promised about one bot.

    Attributes:
        meeting_id: Of the meeting that was accepted; None before.
        configured: How many changes of its configuration were accepted.
        stopped: Whether its end was accepted.
    """

    room: str
    customer: Customer
    meeting_id: int | None = None
    configured: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How users behave; times in seconds, drawn by lot around these.

    Attributes:
        staying: Users whose bots stay for a while: about as many bots are under way.
        hasty: Users who do one thing after another with hardly a pause.
        stay_s: How long a bot stays.
        haste_s: How long a hasty user waits between two requests.
        ramp_s: Within which the staying users come.
    """

    staying: int
    hasty: int
    stay_s: float
    haste_s: float
    ramp_s: float


class Traffic:
    """Users at work.

    A request is repeated until it is answered, as a careful client does: a creation under its idempotency key.

    Args:
        port: Of the manager.
        customers: Who they are.
        pace: How they behave.
        script: What their bots do.

    Attributes:
        tickets: Of all visits so far.
        refused: Requests that were answered with something else than what was expected.
    """

    def __init__(self, port: int, customers: Sequence[Customer], pace: Pace, script: Script) -> None:
        self.tickets: list[Ticket] = []
        self.refused: list[str] = []
        self._customers = customers
        self._pace = pace
        self._script = script
        self._connections = Connections(port)
        self._chance = random.Random(1)  # noqa: S311 - a mixture, not a secret
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Let the users come, and return when all are there."""
        self._tasks += [asyncio.create_task(self._be_hasty()) for _ in range(self._pace.hasty)]
        for _ in range(self._pace.staying):
            self._tasks.append(asyncio.create_task(self._be_calm()))
            await asyncio.sleep(self._pace.ramp_s / self._pace.staying)

    async def end(self) -> None:
        """Let everybody finish what they are asking for; the bots that are there stay."""
        self._over.set()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop_all(self) -> None:
        """Stop every bot that was not stopped."""
        waiting = asyncio.Semaphore(16)

        async def stop(ticket: Ticket) -> None:
            async with waiting:
                await self._stop(ticket)

        await asyncio.gather(*(stop(one) for one in self.tickets if one.meeting_id and not one.stopped))
        self._connections.close()

    async def _be_calm(self) -> None:
        # Those who come first do not all leave at once.
        stay_s = self._pace.stay_s * self._chance.uniform(0.2, 1.2)
        while not self._over.is_set():
            await self._visit(stay_s / 3, stay_s / 3, stay_s / 3)
            stay_s = self._pace.stay_s * self._chance.uniform(0.8, 1.2)

    async def _be_hasty(self) -> None:
        while not self._over.is_set():
            await self._visit(*(self._pace.haste_s * self._chance.uniform(0.0, 2.0) for _ in range(3)))

    async def _visit(self, *pauses_s: float) -> None:
        ticket = Ticket(f"room-{len(self.tickets)}", self._chance.choice(self._customers))
        self.tickets.append(ticket)
        await self._create(ticket)
        for pause_s in pauses_s[:-1]:
            if await self._pause(pause_s):
                return
            await self._configure(ticket)
        if not await self._pause(pauses_s[-1]):
            await self._stop(ticket)

    async def _pause(self, seconds: float) -> bool:
        """Wait; True if it is all over."""
        try:
            async with asyncio.timeout(seconds):
                return await self._over.wait()
        except TimeoutError:
            return False

    async def _create(self, ticket: Ticket) -> None:
        body: dict[str, object] = {
            "platform": "room",
            "native_meeting_id": ticket.room,
            "bot_name": self._script.name,
            "language": "en",
        }
        status, answer = await self._ask(ticket, "POST", "/bots", body, key=ticket.room)
        if status == 201:
            ticket.meeting_id = json.loads(answer)["id"]
        else:
            self.refused.append(f"create: {status} {answer[:200]!r}")

    async def _configure(self, ticket: Ticket) -> None:
        language = self._chance.choice(("de", "fr", "lv", "en"))
        path = f"/bots/room/{ticket.room}/config"
        status, answer = await self._ask(ticket, "PUT", path, {"language": language})
        if status == 202:
            ticket.configured += 1
        elif status != 409:  # the bot is not in the meeting yet
            self.refused.append(f"configure: {status} {answer[:200]!r}")

    async def _stop(self, ticket: Ticket) -> None:
        status, answer = await self._ask(ticket, "DELETE", f"/bots/room/{ticket.room}", None)
        ticket.stopped = status == 202
        if not ticket.stopped:
            self.refused.append(f"stop: {status} {answer[:200]!r}")

    async def _ask(
        self, ticket: Ticket, method: str, path: str, body: dict[str, object] | None, *, key: str | None = None
    ) -> tuple[int, bytes]:
        headers = {"X-API-Key": ticket.customer.api_key} | ({"Idempotency-Key": key} if key else {})
        question = request(method, path, headers, body).encode()
        while True:
            try:
                async with asyncio.timeout(_REQUEST_S):
                    status, answer = await self._connections.send(question)
                if status < 500:
                    return status, answer
            except OSError:
                pass
            await asyncio.sleep(_RETRY_S)
