"""`/ws` with cursors, and with viewers that stop reading."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from tests.support.eventually import eventually
from tests.support.world import wish
from tests.unit.api.test_following import WAIT_S, Show
from tests.unit.api.test_rest import Api, open_api

from usher.api import live
from usher.api.app import create_app

ROOM = {"platform": "room", "native_id": "weekly-sync"}
Message = MutableMapping[str, Any]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def active(api: Api) -> Show:
    meeting = await api.world.active()
    await asyncio.sleep(0)
    return Show(api.world, meeting, api.world.feed)


def connect(api: Api) -> WebSocketTestSession:
    return TestClient(create_app(api.context)).websocket_connect("/ws", headers=api.mine)


def told(socket: WebSocketTestSession, count: int) -> list[dict[str, Any]]:
    return [socket.receive_json() for _ in range(count)]


def subscribe(socket: WebSocketTestSession, cursor: str | None = None) -> None:
    name = ROOM if cursor is None else ROOM | {"cursor": cursor}
    socket.send_json({"action": "subscribe", "meetings": [name]})


async def test_a_socket_that_comes_back_with_its_cursor_goes_on(api: Api) -> None:
    on = await active(api)
    await on.say("a", "hello")
    with connect(api) as socket:
        subscribe(socket)
        first = told(socket, 3)
    assert [frame["type"] for frame in first] == ["subscribed", "meeting.status", "transcript.mutable"]
    await on.configure()
    await on.say("b", "there")
    with connect(api) as socket:
        subscribe(socket, first[-1]["cursor"])
        again = told(socket, 3)
    assert again[0] == {"type": "subscribed", "meetings": [ROOM | {"meeting_id": on.meeting.meeting_id}]}
    assert again[1]["payload"]["version"] == on.meeting.version + 1
    assert [segment["text"] for segment in again[2]["payload"]["segments"]] == ["there"]


async def test_a_cursor_goes_on_with_its_own_visit_and_finds_a_deleted_one(api: Api) -> None:
    on = await active(api)
    await on.say("a", "hello")
    with connect(api) as socket:
        subscribe(socket)
        cursor = told(socket, 3)[-1]["cursor"]
    await on.end()
    newest = await api.world.active()
    await on.delete()
    with connect(api) as socket:
        subscribe(socket, cursor)
        subscribe(socket)
        frames = told(socket, 5)
        socket.send_json({"action": "unsubscribe", "meetings": [ROOM]})
        left = told(socket, 1)[0]
    of_old = [frame for frame in frames if frame.get("meeting", {}).get("id") == on.meeting.meeting_id]
    assert [frame["type"] for frame in of_old] == ["meeting.status", "transcript.deleted"]
    assert [frame["type"] for frame in frames if frame.get("meeting", {}).get("id") == newest.meeting_id] == [
        "meeting.status"
    ]
    assert {one["meeting_id"] for one in left["meetings"]} == {on.meeting.meeting_id, newest.meeting_id}


async def test_the_cursor_of_somebody_else_s_meeting_opens_nothing(api: Api) -> None:
    eve = await api.world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    other = (await api.world.bots.request(eve.user_id, wish("weekly-sync"))).meeting
    mine = await active(api)
    with connect(api) as socket:
        subscribe(socket, f"1.{other.meeting_id}.1.0.0.0")
        frames = told(socket, 3)
    assert [frame["type"] for frame in frames] == ["subscribed", "error", "meeting.status"]
    assert frames[1]["error"] == "invalid_cursor"
    assert frames[2]["meeting"]["id"] == mine.meeting.meeting_id


class _Pipe:
    """A WebSocket of which this test is the far end: it reads when it wants to."""

    def __init__(self, api: Api) -> None:
        self.frames: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.closed = asyncio.Event()
        self._app = create_app(api.context)
        self._to: asyncio.Queue[Message] = asyncio.Queue()
        headers = [(b"x-api-key", api.key.encode())]
        self._scope = {
            "type": "websocket",
            "path": "/ws",
            "raw_path": b"/ws",
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }

    @asynccontextmanager
    async def open(self) -> AsyncIterator["_Pipe"]:
        self._to.put_nowait({"type": "websocket.connect"})
        serving = asyncio.create_task(self._serve())
        try:
            yield self
        finally:
            self._to.put_nowait({"type": "websocket.disconnect", "code": 1000})
            self.reading.set()
            await asyncio.wait_for(serving, WAIT_S)

    def subscribe(self) -> None:
        text = json.dumps({"action": "subscribe", "meetings": [ROOM]})
        self._to.put_nowait({"type": "websocket.receive", "text": text})

    async def _serve(self) -> None:
        await self._app(self._scope, self._to.get, self._send)
        self.closed.set()

    async def _send(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            await self.reading.wait()
            self.frames.append(json.loads(message["text"]))


async def test_a_stalled_viewer_holds_up_nobody_and_misses_nothing(api: Api) -> None:
    on = await active(api)
    spoken = 4000
    async with _Pipe(api).open() as stalled, _Pipe(api).open() as quick:
        quick.reading.set()
        for viewer in (stalled, quick):
            viewer.subscribe()
        await eventually(lambda: len(quick.frames) == 2, timeout_s=WAIT_S)
        for number in range(spoken):
            await on.say(f"s{number}", f"text {number}")
            if number % 100 == 0:
                await on.configure()
            if number % 50 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: _texts(quick) == spoken, timeout_s=WAIT_S)
        assert stalled.frames == []
        stalled.reading.set()
        await eventually(lambda: _texts(stalled) == spoken, timeout_s=WAIT_S)
        statuses = [_versions(viewer) for viewer in (stalled, quick)]
    assert statuses[0] == statuses[1] == list(range(on.meeting.version, on.meeting.version + len(statuses[1])))
    # What it was told one by one fits its two queues; the rest came as one, from the store.
    assert len(stalled.frames) < 1500 < spoken < len(quick.frames)


async def test_a_viewer_that_does_not_read_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SEND_TIMEOUT_S", 0.05)
    await active(api)
    async with _Pipe(api).open() as stalled:
        stalled.subscribe()
        await asyncio.wait_for(stalled.closed.wait(), WAIT_S)
    assert stalled.frames == []


def _texts(viewer: _Pipe) -> int:
    told = [frame["payload"]["segments"] for frame in viewer.frames if frame["type"] == "transcript.mutable"]
    return len({segment["segment_id"] for segments in told for segment in segments})


def _versions(viewer: _Pipe) -> list[int]:
    return [frame["payload"]["version"] for frame in viewer.frames if frame["type"] == "meeting.status"]
