"""A page's WebSocket at the server: what it is told, and when it is cut off."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from usher.room import RoomLimits, room_app

_PATIENCE_S = 30.0
_SHORT_S = 0.2


@asynccontextmanager
async def serving(limits: RoomLimits | None = None) -> AsyncIterator[str]:
    """A server of the room; the value is its host and port with the prefix."""
    app = FastAPI()
    app.mount("/room", room_app(limits))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}/room"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, _PATIENCE_S)
        listening.close()


def page_in(server: str, room_id: str = "standup") -> connect:
    return connect(f"ws://{server}/{room_id}/signal", open_timeout=_PATIENCE_S)


async def say(page: ClientConnection, **message: object) -> None:
    await page.send(json.dumps(message))


async def join(page: ClientConnection, name: str) -> dict[str, Any]:
    """Ask to come in; returns the answer."""
    await say(page, type="join", name=name)
    return await told(page)


async def told(page: ClientConnection) -> dict[str, Any]:
    """The next thing that the page is told, pings apart."""
    async with asyncio.timeout(_PATIENCE_S):
        while (message := json.loads(await page.recv()))["type"] == "ping":
            await say(page, type="pong")
    return dict(message)


async def close_code(page: ClientConnection) -> int | None:
    """Why the server closes, which it must do without another word."""
    async with asyncio.timeout(_PATIENCE_S):
        with pytest.raises(ConnectionClosed):
            await page.recv()
    return page.close_code


class TestPage:
    @pytest.mark.parametrize("room_id", ["abc", "weekly-planning", "0-0", "a" * 63])
    async def test_a_room_id_has_a_page(self, room_id: str) -> None:
        async with serving() as server, httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            answer = await client.get(f"http://{server}/{room_id}")
        assert answer.status_code == 200
        assert 'data-room-state="prejoin"' in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]

    @pytest.mark.parametrize("room_id", ["ab", "Weekly", "-abc", "a_b", "a" * 64, "a%20b"])
    async def test_what_is_no_room_id_is_explained(self, room_id: str) -> None:
        async with serving() as server, httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            answer = await client.get(f"http://{server}/{room_id}")
        assert answer.status_code == 404
        assert "This cannot be a room" in answer.text

    async def test_what_is_no_room_id_has_no_socket(self) -> None:
        async with serving() as server:
            with pytest.raises(InvalidStatus):
                await page_in(server, "Weekly")


class TestVisit:
    async def test_a_dropped_page_is_gone_for_the_others(self) -> None:
        async with serving() as server, page_in(server) as alice:
            await join(alice, "Alice")
            async with page_in(server) as bob:
                bob_id = (await join(bob, "Bob"))["you"]
                assert await told(alice) == {"type": "asked", "participant": bob_id, "name": "Bob"}
                await say(alice, type="admit", participant=bob_id)
                assert (await told(bob))["type"] == "admitted"
                assert [(await told(alice))["type"] for _ in range(2)] == ["ask_closed", "joined"]
                bob.transport.abort()
            assert await told(alice) == {"type": "gone", "participant": bob_id}

    async def test_who_leaves_is_told_before_the_socket_closes(self) -> None:
        async with serving() as server, page_in(server) as alice:
            await join(alice, "Alice")
            await say(alice, type="leave")
            assert await told(alice) == {"type": "over", "why": "left"}
            assert await close_code(alice) == 1000

    async def test_one_room_too_many_is_refused(self) -> None:
        async with serving(RoomLimits(rooms=1)) as server, page_in(server) as alice:
            await join(alice, "Alice")
            async with page_in(server, "planning") as bob:
                assert await join(bob, "Bob") == {"type": "refused", "why": "too_many_rooms"}
                assert await close_code(bob) == 1013

    async def test_a_server_that_stops_closes_the_pages(self) -> None:
        async with serving() as server:
            alice = await page_in(server)
            await join(alice, "Alice")
        assert await close_code(alice) == 1012


class TestProtocol:
    @pytest.mark.parametrize(
        "first", ['{"type": "pong"}', '{"type": "leave"}', "{", '{"type": "join", "name": ""}', b"{}"]
    )
    async def test_the_first_message_must_be_a_join(self, first: str | bytes) -> None:
        async with serving() as server, page_in(server) as page:
            await page.send(first)
            assert await close_code(page) == 1008

    @pytest.mark.parametrize("second", ['{"type": "join", "name": "Alice"}', '{"type": "dance"}', b"{}"])
    async def test_a_wrong_message_later_ends_the_visit(self, second: str | bytes) -> None:
        async with serving() as server, page_in(server) as page:
            await join(page, "Alice")
            await page.send(second)
            assert await close_code(page) == 1008

    async def test_a_message_that_is_too_big_ends_the_visit(self) -> None:
        async with serving(RoomLimits(message_size_bytes=100)) as server, page_in(server) as page:
            await say(page, type="join", name="x" * 100)
            assert await close_code(page) == 1009


class TestSilence:
    async def test_a_page_that_does_not_join_is_cut_off(self) -> None:
        async with serving(RoomLimits(join_timeout_s=_SHORT_S)) as server, page_in(server) as page:
            assert await close_code(page) == 1001

    async def test_a_page_that_falls_silent_is_cut_off_and_its_room_vanishes(self) -> None:
        async with serving(RoomLimits(rooms=1, silence_timeout_s=_SHORT_S)) as server:
            async with page_in(server) as page:
                await join(page, "Alice")
                assert await close_code(page) == 1001
            async with page_in(server, "planning") as page:
                assert (await join(page, "Bob"))["type"] == "admitted"

    async def test_a_page_that_answers_pings_stays(self) -> None:
        limits = RoomLimits(ping_every_s=0.1, silence_timeout_s=2.0)
        async with serving(limits) as server, page_in(server) as page:
            await join(page, "Alice")
            # Longer than the silence that is allowed: a page that was silent would be cut off on the way.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5 * limits.silence_timeout_s):
                    await told(page)
