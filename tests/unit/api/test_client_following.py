"""`Usher.follow` against a real server that goes and comes back."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.eventually import eventually
from tests.unit.api.test_following import WAIT_S
from tests.unit.api.test_live_resume import active
from tests.unit.api.test_rest import Api, open_api

from usher.api.app import create_app
from usher.bootstrap.http import listen, serve_http
from usher.client.errors import ApiError
from usher.client.usher import Usher
from usher.domain.lifecycle import TERMINAL
from usher.domain.meeting import Platform
from usher.protocol.live import StatusFrame, TranscriptFrame


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


@asynccontextmanager
async def served(api: Api, port: int = 0) -> AsyncIterator[int]:
    listener = listen("127.0.0.1", port)
    task = asyncio.create_task(serve_http(create_app(api.context), listener))
    try:
        yield listener.getsockname()[1]
    finally:
        task.cancel()
        await asyncio.wait({task})


class Follower:
    """A program that follows a meeting to its end, in a thread of its own."""

    def __init__(self, port: int, key: str, cursor: str | None = None, patience_s: float = WAIT_S) -> None:
        self.frames: list[StatusFrame | TranscriptFrame] = []
        self.failed: list[str] = []
        self._client = Usher(f"http://127.0.0.1:{port}", key)
        self._cursor, self._patience_s = cursor, patience_s
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._client as client:
                for frame in client.follow(
                    Platform.ROOM, "weekly-sync", cursor=self._cursor, patience_s=self._patience_s
                ):
                    self.frames.append(frame)
                    if isinstance(frame, StatusFrame) and frame.payload.status in TERMINAL:
                        return
        except ApiError as error:
            self.failed.append(error.code)

    async def done(self) -> None:
        await eventually(lambda: not self.thread.is_alive(), timeout_s=WAIT_S)

    def versions(self) -> list[int]:
        return [frame.payload.version for frame in self.frames if isinstance(frame, StatusFrame)]

    def texts(self) -> list[str]:
        told = [frame.payload.segments for frame in self.frames if isinstance(frame, TranscriptFrame)]
        return [segment.text for segments in told for segment in segments]


async def test_a_server_that_was_away_costs_a_follower_nothing(api: Api) -> None:
    on = await active(api)
    await on.say("a", "hello")
    async with served(api) as port:
        follower = Follower(port, api.key)
        await eventually(lambda: len(follower.frames) == 2, timeout_s=WAIT_S)
        cursor = follower.frames[0].cursor
    await on.configure()
    await on.say("b", "there")
    async with served(api, port):
        await eventually(lambda: len(follower.frames) == 4, timeout_s=WAIT_S)
        await on.end()
        await follower.done()
        later = Follower(port, api.key, cursor)
        await later.done()
    last = await api.world.meeting(on.meeting.meeting_id)
    assert follower.texts() == ["hello", "there"]
    assert follower.versions() == list(range(on.meeting.version, last.version + 1))
    assert later.versions() == follower.versions()[1:]


async def test_patience_has_an_end_and_a_refusal_is_told_at_once(api: Api) -> None:
    await active(api)
    async with served(api) as port:
        follower = Follower(port, api.key, patience_s=0.1)
        await eventually(lambda: len(follower.frames) == 1, timeout_s=WAIT_S)
        stranger = Follower(port, "nobody")
        await stranger.done()
    await follower.done()
    nobody_there = Follower(port, api.key)
    await nobody_there.done()
    assert [one.failed for one in (follower, stranger, nobody_there)] == [
        ["live_broken"],
        ["invalid_api_key"],
        ["live_broken"],
    ]
