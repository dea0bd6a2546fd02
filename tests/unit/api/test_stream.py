"""`GET /meetings/{id}/live`: server-sent events over a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import httpx
import pytest
from prometheus_client import REGISTRY
from tests.support.eventually import eventually
from tests.unit.api.test_following import WAIT_S, Show
from tests.unit.api.test_live_resume import active
from tests.unit.api.test_live_socket import NoText
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api import stream
from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import digest
from usher.bootstrap.http import listen, serve_http
from usher.domain.errors import Unavailable
from usher.ports import Store


@dataclass
class Event:
    """One block of a stream: an event, or a comment."""

    id: str | None = None
    data: dict[str, Any] | None = None
    comment: str | None = None


class Stream:
    """What a viewer reads of a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> Event | None:
        """Return the next event or comment; None at the end."""
        event = Event()
        async with asyncio.timeout(WAIT_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    event.id = value
                elif name == "data":
                    event.data = json.loads(value)
                elif not name and value:
                    event.comment = value
                if not line and event != Event():
                    return event
        return None

    async def frames(self, count: int) -> list[dict[str, Any]]:
        """Return the next frames; each comes under its cursor."""
        told: list[dict[str, Any]] = []
        while len(told) < count:
            event = await self.next()
            assert event is not None
            if event.data is not None:
                assert event.id == event.data.get("cursor")
                told.append(event.data)
        return told


class Served:
    """The API at a port of its own."""

    def __init__(self, api: Api, http: httpx.AsyncClient, serving: "asyncio.Task[None]") -> None:
        self.api, self._http, self.serving = api, http, serving

    @asynccontextmanager
    async def stream(self, meeting_id: int, query: str = "", **headers: str) -> AsyncIterator[Stream]:
        sent = self.api.mine | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.stream("GET", f"/meetings/{meeting_id}/live{query}", headers=sent) as answer:
            yield Stream(answer)


@asynccontextmanager
async def serving(api: Api, context: Context | None = None) -> AsyncIterator[Served]:
    listener = listen("127.0.0.1", 0)
    task = asyncio.create_task(serve_http(create_app(context or api.context), listener))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=base, timeout=WAIT_S, trust_env=False) as http:
            yield Served(api, http, task)
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


@pytest.fixture
async def on(api: Api) -> Show:
    return await active(api)


async def test_a_viewer_gets_the_present_what_comes_and_after_a_break_what_it_missed(api: Api, on: Show) -> None:
    await on.say("a", "hello")
    async with serving(api) as served:
        async with served.stream(on.meeting.meeting_id) as viewer:
            assert viewer.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert viewer.answer.headers["cache-control"] == "no-store"
            assert viewer.answer.headers["x-content-type-options"] == "nosniff"
            assert [frame["type"] for frame in await viewer.frames(2)] == ["meeting.status", "transcript.mutable"]
            await on.say("b", "two\nlines")
            (heard,) = await viewer.frames(1)
        assert heard["payload"]["segments"][0]["text"] == "two\nlines"
        await on.configure()
        await on.say("c", "later")
        for query, headers in ((f"?cursor={heard['cursor']}", {}), ("?cursor=old", {"Last_Event_ID": heard["cursor"]})):
            async with served.stream(on.meeting.meeting_id, query, **headers) as viewer:
                status, text = await viewer.frames(2)
            assert status["payload"]["version"] == on.meeting.version + 1
            assert [segment["text"] for segment in text["payload"]["segments"]] == ["later"]


async def test_a_cursor_of_no_use_is_complained_of(api: Api, on: Show) -> None:
    async with serving(api) as served, served.stream(on.meeting.meeting_id, Last_Event_ID="17") as viewer:
        complaint, status = await viewer.frames(2)
    assert (complaint["error"], status["type"]) == ("invalid_cursor", "meeting.status")


async def test_silence_is_filled_with_comments(api: Api, on: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.02)
    async with serving(api) as served, served.stream(on.meeting.meeting_id) as viewer:
        await viewer.frames(1)
        for _ in range(3):
            event = await viewer.next()
            assert event is not None
            assert event.comment == "still here"
        await on.say("a", "hello")
        assert (await viewer.frames(1))[0]["type"] == "transcript.mutable"


async def test_a_meeting_of_somebody_else_is_not_shown(api: Api, on: Show) -> None:
    eve = await api.world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    await api.world.store.add_token(eve.user_id, digest("eve"))
    for headers, status in (({"X-API-Key": "eve"}, 404), ({}, 401), ({"X-API-Key": "nobody"}, 401)):
        problem(await api.http.get(f"/meetings/{on.meeting.meeting_id}/live", headers=headers), status)


async def test_what_fails_before_the_first_byte_is_a_problem_and_later_the_end(api: Api, on: Show) -> None:
    away = replace(api.context, store=cast("Store", NoText(api.world.store)))
    async with serving(api, away) as served, served.stream(on.meeting.meeting_id) as viewer:
        await viewer.answer.aread()
        assert problem(viewer.answer, 503)["code"] == "unavailable"
    store = _FailsLater(api.world.store)
    later = replace(api.context, store=cast("Store", store))
    async with serving(api, later) as served, served.stream(on.meeting.meeting_id) as viewer:
        await viewer.frames(1)
        store.fails = True
        api.world.feed.publish(on.meeting.meeting_id, {})
        assert await viewer.frames(1) == [{"type": "error", "error": "unavailable"}]
        assert await viewer.next() is None


async def test_a_server_that_ends_ends_its_streams(api: Api, on: Show) -> None:
    loop = asyncio.get_running_loop()
    async with serving(api) as served, served.stream(on.meeting.meeting_id) as viewer:
        await viewer.frames(1)
        began = loop.time()
        served.serving.cancel()
        assert await viewer.next() is None
        await asyncio.wait({served.serving})
    # Without being told, the stream would last until the server's patience with open requests, 5 s, is over.
    assert loop.time() - began < 5


async def test_a_viewer_that_goes_leaves_nothing_behind(api: Api, on: Show) -> None:
    tasks = len(asyncio.all_tasks())
    async with serving(api) as served:
        for _ in range(3):
            async with served.stream(on.meeting.meeting_id) as viewer:
                await viewer.frames(1)
        await eventually(lambda: REGISTRY.get_sample_value("usher_live_viewers") == 0, timeout_s=WAIT_S)
    assert len(asyncio.all_tasks()) == tasks


async def test_a_viewer_that_does_not_read_is_cut_off(api: Api, on: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """Driven without a server: a socket's own buffers would hold more than this test has to say."""
    monkeypatch.setattr(stream, "_SEND_TIMEOUT_S", 0.05)
    sent = []

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's own
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/meetings/{on.meeting.meeting_id}/live",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(b"x-api-key", api.key.encode())],
    }

    async def receive() -> Any:  # noqa: ANN401 - ASGI's own
        if not sent:
            return {"type": "http.request", "body": b"", "more_body": False}
        return await asyncio.Event().wait()

    async with asyncio.timeout(WAIT_S):
        await create_app(api.context)(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body"]


class _FailsLater:
    """A store that fails when it is told to."""

    def __init__(self, store: Store) -> None:
        self._store, self.fails = store, False

    async def events(self, meeting_id: int) -> Any:  # noqa: ANN401 - as the store has it
        if self.fails:
            raise Unavailable(f"the events of {meeting_id} cannot be read")
        return await self._store.events(meeting_id)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
        return getattr(self._store, name)
