"""The lean HTTP client: it keeps connections, drops old ones, and never takes one answer for another's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from bench.connections import Connections
from bench.fleet.transport import BotTransport
from bench.wire import request

QUESTION = request("GET", "/x", {}).encode()


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Serve one answer after another on each connection, then hang up; also tell what was asked."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


async def test_answers_come_in_order_on_one_connection() -> None:
    async with serving(answer(b"1"), answer(b"2")) as (port, asked):
        connections = Connections(port)
        assert [await connections.send(QUESTION) for _ in range(2)] == [(200, b"1"), (200, b"2")]
        assert len(asked) == 2
        connections.close()


async def test_a_connection_that_was_hung_up_is_not_used_again() -> None:
    async with serving(answer(b"1")) as (port, _):
        connections = Connections(port)
        for _ in range(3):
            assert await connections.send(QUESTION) == (200, b"1")
            await asyncio.sleep(0.05)


async def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    async with serving(answer(b"1"), answer(b"2")) as (port, _):
        connections = Connections(port, idle_s=0.0)
        assert await connections.send(QUESTION) == (200, b"1")
        await asyncio.sleep(0.01)
        assert await connections.send(QUESTION) == (200, b"1")


async def test_no_answer_is_an_error() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1") as (port, _):
        with pytest.raises(ConnectionError, match="hung up"):
            await Connections(port).send(QUESTION)


async def test_who_gives_up_waiting_leaves_no_answer_for_the_next() -> None:
    async with serving(b"", answer(b"late")) as (port, _):
        connections = Connections(port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.send(QUESTION)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.send(QUESTION)


async def test_what_httpx_made_is_sent_as_it_is_and_acknowledgements_are_noted() -> None:
    acknowledged: list[int] = []
    async with serving(answer(b'{"a":1}'), b"HTTP/1.1 204 No Content\r\n\r\n") as (port, asked):
        transport = BotTransport(port, acknowledged.append)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/bots/c", transport=transport) as client:
            said = await client.get("/commands?after=3", headers={"Authorization": "Bearer t"})
            assert (said.status_code, said.json()) == (200, {"a": 1})
            assert acknowledged == []
            assert (await client.post("/commands/12")).status_code == 204
    assert asked[0].startswith(b"GET /bots/c/commands?after=3 HTTP/1.1\r\n")
    assert b"authorization: bearer t" in asked[0].lower()
    assert acknowledged == [12]


async def test_a_manager_that_is_away_is_an_error_of_httpx() -> None:
    async with serving() as (port, _):
        pass
    async with httpx.AsyncClient(transport=BotTransport(port, lambda _: None)) as client:
        with pytest.raises(httpx.NetworkError):
            await client.get(f"http://127.0.0.1:{port}/")
