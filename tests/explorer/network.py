"""HTTP between bots, users and whichever manager is up: requests are lost, doubled, delayed and overtaken."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from tests.explorer.asgi import serve
from tests.explorer.faults import Boundaries, now_s
from tests.explorer.plans import Place, Verdict
from tests.explorer.processes import Process, become, current
from tests.explorer.store import SPEAKER
from tests.support.invariants import Answer

from usher.ports import Mark

_BUG = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A manager's HTTP side."""

    process: Process
    app: FastAPI


@dataclass(slots=True)
class Overheard:
    """What managers answered, in the order of answering.

    Attributes:
        answers: To bots' reports.
        confirmed: Segments that bots were told are stored.
    """

    answers: list[Answer] = field(default_factory=list)
    confirmed: set[Mark] = field(default_factory=set)


class Network:
    """Carries requests to one of the managers that are up, through the real routes of the application.

    Attributes:
        overheard: What was answered.
    """

    def __init__(self, boundaries: Boundaries, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self.overheard = Overheard()
        self._boundaries = boundaries
        self._endpoints = endpoints
        self._served = 0
        self._ground = Process("network")

    def transport(self, meeting_id: int | None = None) -> httpx.AsyncBaseTransport:
        """Return a client's way to the managers; `meeting_id` is for the story."""
        return _Transport(self, meeting_id)

    async def carry(self, request: httpx.Request, meeting_id: int | None) -> httpx.Response:
        """Bring a request to a manager and its answer back; what the client no longer waits for arrives all the same.

        Raises:
            httpx.TransportError: There is no answer.
        """
        client = current()
        if client is not None:
            await client.gate()
        verdict = self._verdict(request, client, meeting_id)
        await self._boundaries.befall(verdict in {Verdict.CRASH_BEFORE, Verdict.PAUSE_BEFORE}, verdict, client)
        patience_s = request.extensions.get("timeout", {}).get("read") or 5.0
        copies = 2 if verdict is Verdict.TWICE else 1
        ways = [self._ground.spawn(self._deliver(request, verdict, meeting_id, copy)) for copy in range(copies)]
        done, _ = await asyncio.wait(ways[:1], timeout=patience_s)
        await self._boundaries.befall(verdict in {Verdict.CRASH_AFTER, Verdict.PAUSE_AFTER}, verdict, client)
        if client is not None:
            await client.gate()
        if not done:
            raise httpx.ReadTimeout("no answer in time", request=request)
        if verdict is Verdict.UNANSWERED:
            raise httpx.ReadError("the answer was lost", request=request)
        return ways[0].result()

    def _verdict(self, request: httpx.Request, client: Process | None, meeting_id: int | None) -> Verdict:
        actor, name = client.name if client else "-", f"{request.method} {_last(request)}"
        verdict = self._boundaries.plan.verdict(Place.HTTP, name, client)
        self._boundaries.chronicle.crossed(actor, name, verdict)
        if verdict is not Verdict.FINE:
            what = f"{name}: {verdict}"
            self._boundaries.chronicle.fault(now_s(), f"http {verdict}", actor, what, meeting_id)
        return verdict

    async def _deliver(
        self, request: httpx.Request, verdict: Verdict, meeting_id: int | None, copy: int
    ) -> httpx.Response:
        await asyncio.sleep(self._boundaries.plan.delay_s())
        endpoints = self._endpoints()
        if verdict is Verdict.LATE or copy:
            await asyncio.sleep(self._boundaries.plan.late_s())
        if verdict is Verdict.LOST or Place.HTTP in self._boundaries.away or not endpoints:
            raise httpx.ConnectError("nobody is there", request=request)
        self._served += 1
        endpoint = endpoints[self._served % len(endpoints)]
        serving = asyncio.get_running_loop().create_task(self._serve(endpoint, request, meeting_id))
        await asyncio.wait({serving})
        if serving.cancelled():
            raise httpx.RemoteProtocolError("the server went away", request=request)
        answer = serving.result()
        await asyncio.sleep(self._boundaries.plan.delay_s())
        return answer

    async def _serve(self, endpoint: Endpoint, request: httpx.Request, meeting_id: int | None) -> httpx.Response:
        become(endpoint.process)
        SPEAKER.set(_speaker(request))
        arrived_s = now_s()
        await endpoint.process.gate()
        answer = await serve(endpoint.app, request)
        await endpoint.process.gate()
        self._overhear(endpoint, request, answer, arrived_s, meeting_id)
        return answer

    def _overhear(
        self,
        endpoint: Endpoint,
        request: httpx.Request,
        answer: httpx.Response,
        arrived_s: float,
        meeting_id: int | None,
    ) -> None:
        chronicle = self._boundaries.chronicle
        if answer.status_code == _BUG:
            chronicle.bugs.append(f"{request.method} {request.url.path} was answered 500")
        if chronicle.told and not _is_heartbeat(request):
            told = f"{request.method} {_last(request)} {request.content.decode()} → {answer.status_code}"
            chronicle.note(now_s(), endpoint.process.name, f"{told} {answer.text[:120]}", meeting_id)
        speaker = _speaker(request)
        if speaker is None or request.method != "POST":
            return
        if _is_heartbeat(request):
            self._confirm(answer, meeting_id)
            return
        outcome = str(answer.json().get("outcome", "")) if answer.content and answer.is_success else ""
        report = f"{_last(request)} {request.content.decode()}"
        chronicle.reported(f"{speaker} {report}")
        said = Answer(speaker, report, answer.status_code, outcome, arrived_s, now_s())
        self.overheard.answers.append(said)

    def _confirm(self, answer: httpx.Response, meeting_id: int | None) -> None:
        if answer.is_success and meeting_id is not None:
            stored = json.loads(answer.content).get("stored", ())
            self.overheard.confirmed.update(Mark(meeting_id, one["segment_id"], one["revision"]) for one in stored)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network, meeting_id: int | None) -> None:
        self._network = network
        self._meeting_id = meeting_id

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request."""
        await request.aread()
        return await self._network.carry(request, self._meeting_id)


def _speaker(request: httpx.Request) -> str | None:
    """Return the connection of the bot that speaks, if it is one."""
    parts = request.url.path.split("/")
    return parts[3] if parts[1] == "internal" else None


def _last(request: httpx.Request) -> str:
    parts: list[Any] = request.url.path.split("/")
    return "/".join(parts[4:]) if parts[1] == "internal" else str(request.url.path)


def _is_heartbeat(request: httpx.Request) -> bool:
    return request.url.path.endswith("/heartbeat")
