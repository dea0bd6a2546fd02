"""A manager as bots see it: a real HTTP server that keeps what they say, and answers as the test wants."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

_STOP_S = 10.0


@dataclass
class Manager:
    """What bots said, and what they are answered.

    Attributes:
        reports: Kind and body of each report that was accepted, in order, repeated ones included.
        outcomes: Number and outcome of each acknowledged command.
        chat: Lines of the meeting's chat that were told, in order, repeated ones included.
        evidence: What was seen of steps that did not work, repeated pieces included.
        files: What was said last of each file of the recording.
        chunks: Of each file, in order; what is uploaded again or out of turn is in none.
        storage: Status that uploads of chunks are answered with.
        tokens: Authorization headers that were seen.
        failures: So many of the next reports and outcomes are answered with 503.
        missed_beats: So many of the next heartbeats are answered with 503.
        missed_reads: So many of the next reads of commands are answered with 503.
        stores: Says of a segment's mark whether it is stored; None for a manager of a version that does not tell.
        heard: Told of each report by its kind, as it comes.
        older: It knows neither evidence nor chat.
        over: Everything is answered with 410.
        nonsense: Answers are well-formed HTTP and nothing else.
        commands: What a bot may read again.
    """

    url: str = ""
    reports: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outcomes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    heartbeats: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    commands: list[dict[str, Any]] = field(default_factory=list)
    asked_after: list[int] = field(default_factory=list)
    chat: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    chunks: dict[str, list[bytes]] = field(default_factory=dict)
    storage: int = 204
    requests: int = 0
    failures: int = 0
    missed_beats: int = 0
    missed_reads: int = 0
    stores: Callable[[dict[str, Any]], bool] | None = lambda _: True
    heard: Callable[[str], None] = lambda _: None
    older: bool = False
    over: bool = False
    nonsense: bool = False

    def kinds(self) -> list[str]:
        """Reports in a word each: the status, or the kind."""
        return [body.get("status", kind) for kind, body in self.reports]

    def last_word(self) -> dict[str, Any]:
        """Return the body of the report `exited`."""
        return next(body for kind, body in self.reports if kind == "exited")

    def answer(self, usual: dict[str, Any]) -> Response:
        """Answer in the present mood."""
        if self.over:
            return Response(status_code=410)
        return JSONResponse(["?"] if self.nonsense else usual)


@contextlib.asynccontextmanager
async def manager_server() -> AsyncIterator[Manager]:
    """Serve a manager on a port of its own."""
    manager = Manager()
    async with serving(_app(manager)) as url:
        manager.url = url
        yield manager


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a free loopback port and yield its base URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=_STOP_S)
        listening.close()


def _app(manager: Manager) -> FastAPI:
    app = FastAPI()

    @app.get("/internal/bots/{connection_id}/commands")
    async def commands(after: int) -> Response:
        manager.asked_after.append(after)
        if manager.missed_reads > 0:
            manager.missed_reads -= 1
            return Response(status_code=503)
        return manager.answer({"commands": [command for command in manager.commands if command["seq"] > after]})

    @app.post("/internal/bots/{connection_id}/commands/{seq}")
    async def acknowledge(seq: int, request: Request) -> Response:
        return await _refused(manager, request) or _take_outcome(manager, seq, await request.json())

    @app.post("/internal/bots/{connection_id}/heartbeat")
    async def heartbeat(request: Request) -> Response:
        return _take_beat(manager, await request.json())

    @app.put("/internal/bots/{connection_id}/recordings/{name}")
    async def describe(name: str, request: Request) -> Response:
        manager.files[name] = await request.json()
        return Response(status_code=410 if manager.over else 204)

    @app.put("/internal/bots/{connection_id}/recordings/{name}/{number}")
    async def upload(name: str, number: int, request: Request) -> Response:
        return await _refused(manager, request) or _take_chunk(manager, name, number, await request.body())

    @app.post("/internal/bots/{connection_id}/{kind}")
    async def report(kind: str, request: Request) -> Response:
        return await _refused(manager, request) or _take_report(manager, kind, await request.json())

    return app


async def _refused(manager: Manager, request: Request) -> Response | None:
    manager.requests += 1
    manager.tokens.add(request.headers.get("authorization", ""))
    if manager.failures > 0:
        manager.failures -= 1
        return Response(status_code=503)
    return None


def _take_beat(manager: Manager, body: dict[str, Any]) -> Response:
    manager.heartbeats.append(body)
    if manager.missed_beats > 0:
        manager.missed_beats -= 1
        return Response(status_code=503)
    answer: dict[str, Any] = {"newest_seq": max((command["seq"] for command in manager.commands), default=0)}
    if manager.stores is not None:
        answer["stored"] = [mark for mark in body["sent"] if manager.stores(mark)]
    return manager.answer(answer)


def _take_outcome(manager: Manager, seq: int, body: dict[str, Any]) -> Response:
    manager.outcomes.append((seq, body))
    return manager.answer({"outcome": "applied"})


def _take_chunk(manager: Manager, name: str, number: int, content: bytes) -> Response:
    if manager.over or manager.storage != 204:
        return Response(status_code=410 if manager.over else manager.storage)
    kept = manager.chunks.setdefault(name, [])
    if number == len(kept):
        kept.append(content)
    return Response(status_code=204 if number < len(kept) and kept[number] == content else 409)


def _take_report(manager: Manager, kind: str, body: dict[str, Any]) -> Response:
    if manager.older and kind in {"chat", "evidence"}:
        return Response(status_code=404)
    if manager.over:
        return manager.answer({})
    manager.heard(kind)
    if kind == "chat":
        manager.chat += body["lines"]
    elif kind == "evidence":
        manager.evidence.append(body)
    else:
        manager.reports.append((kind, body))
    return manager.answer({"outcome": "applied"})
