"""What a viewer on `/ws` is told when something behind it fails or was missed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self, cast

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from tests.support.world import World

from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache, digest
from usher.domain.errors import Unavailable
from usher.domain.meeting import Homes, Platform
from usher.ports import Edition, Feed, Json, Store

ROOM = {"action": "subscribe", "meetings": [{"platform": "room", "native_id": "weekly-sync"}]}


class NoText:
    """A store that fails when it is asked for text."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def edition(self, meeting_id: int, *, after: int) -> Edition:
        del after
        raise Unavailable(f"the text of {meeting_id} cannot be read")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
        return getattr(self._store, name)


class _Gap:
    """A feed with one listener, whose frames are lost while the meeting is stopped."""

    def __init__(self, world: World, *, noticed: bool) -> None:
        self.lost = 0
        self._world, self._noticed = world, noticed

    def subscribe(self, meeting_id: int) -> Self:
        del meeting_id
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[Json]:
        await self._world.bots.stop((await self._world.user()).user_id, Platform.ROOM, "weekly-sync")
        self.lost += self._noticed
        yield {}
        await asyncio.Event().wait()


async def _meeting(world: World) -> int:
    await world.store.add_token((await world.user()).user_id, digest("key"))
    return (await world.active()).meeting_id


def _socket(world: World, store: Store | None = None, feed: Feed | None = None) -> WebSocketTestSession:
    context = Context(
        store=store or world.store,
        bots=world.bots,
        reports=world.reports,
        recordings=world.recordings,
        webhooks=world.desk,
        feed=feed or world.feed,
        stream=world.stream,
        keys=KeyCache(world.store, ttl_s=5),
        homes=Homes("http://usher.test/room"),
    )
    return TestClient(create_app(context)).websocket_connect("/ws", headers={"X-API-Key": "key"})


async def test_a_store_that_fails_ends_the_socket_with_a_reason() -> None:
    world = World()
    await _meeting(world)
    with _socket(world, cast("Store", NoText(world.store))) as socket:
        socket.send_json(ROOM)
        assert socket.receive_json()["type"] == "subscribed"
        told = [socket.receive_json()]
        while told[-1]["type"] != "error":
            told.append(socket.receive_json())
        assert told[-1]["error"] == "unavailable"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 4503


@pytest.mark.parametrize("noticed", [True, False])
async def test_an_empty_frame_lets_the_present_be_told_again(*, noticed: bool) -> None:
    world = World()
    meeting = await world.meeting(await _meeting(world))
    with _socket(world, feed=cast("Feed", _Gap(world, noticed=noticed))) as socket:
        socket.send_json(ROOM)
        told = [socket.receive_json() for _ in range(3)]
    assert [one["type"] for one in told] == ["subscribed", "meeting.status", "meeting.status"]
    assert [one["payload"]["status"] for one in told[1:]] == ["active", "stopping"]
    assert told[-1]["payload"]["version"] == meeting.version + 1
