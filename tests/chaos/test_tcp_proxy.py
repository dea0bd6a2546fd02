"""The fault proxy does to connections what its name for it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.tcp_proxy import LOOPBACK, TcpProxy

_LIMIT_S = 20.0
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _echo(prefix: bytes = b"") -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(prefix + line)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _ask(stream: _Stream, line: bytes = b"hello\n") -> bytes:
    reader, writer = stream
    writer.write(line)
    async with asyncio.timeout(_LIMIT_S):
        return await reader.readline()


async def test_it_forwards_in_both_directions_and_the_end_of_a_stream() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        assert await _ask((reader, writer)) == b"hello\n"
        writer.write_eof()
        async with asyncio.timeout(_LIMIT_S):
            assert await reader.read() == b""
        writer.close()
        assert proxy.accepted == 1


async def test_it_takes_servers_in_turn_and_skips_one_that_refuses() -> None:
    async with _echo(b"a:") as a, _echo(b"b:") as b, TcpProxy([a, b]) as proxy:
        answers = {await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) for _ in range(2)}
        assert answers == {b"a:hello\n", b"b:hello\n"}
        proxy.upstreams = [1, b]
        answers = {await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) for _ in range(3)}
        assert answers == {b"b:hello\n"}


async def test_what_it_cuts_is_reset_at_both_ends_and_new_connections_work() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        stream = await asyncio.open_connection(LOOPBACK, proxy.port)
        assert await _ask(stream) == b"hello\n"
        assert await proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            await _ask(stream)
        assert await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) == b"hello\n"


async def test_half_open_connections_stay_and_say_nothing_until_it_is_audible_again() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        assert await _ask((reader, writer)) == b"hello\n"
        proxy.silent = True
        writer.write(b"anybody?\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readline()
        proxy.silent = False
        async with asyncio.timeout(_LIMIT_S):
            assert await reader.readline() == b"anybody?\n"


async def test_new_connections_are_reset_while_it_is_closed() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        proxy.closed = True
        with pytest.raises(ConnectionResetError):
            await _ask(await asyncio.open_connection(LOOPBACK, proxy.port))
        proxy.closed = False
        assert await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) == b"hello\n"


async def test_a_delay_is_felt_in_both_directions() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        proxy.delay_s = 0.2
        begun_s = asyncio.get_running_loop().time()
        assert await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) == b"hello\n"
        assert asyncio.get_running_loop().time() - begun_s >= 0.4


async def test_forsaken_connections_stay_dead_and_new_ones_work() -> None:
    async with _echo() as port, TcpProxy([port]) as proxy:
        stream = await asyncio.open_connection(LOOPBACK, proxy.port)
        assert await _ask(stream) == b"hello\n"
        assert proxy.forsake() == 1
        stream[1].write(b"anybody?\n")
        assert await _ask(await asyncio.open_connection(LOOPBACK, proxy.port)) == b"hello\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await stream[0].readline()
