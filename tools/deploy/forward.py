"""Passes connections to a port of this machine's loopback on to a service elsewhere, until it is ended.

    python -m tools.deploy.forward 18056 10.213.0.1:8056

Browsers allow microphones on pages of the loopback, and not on those of a container's address.
"""

import asyncio
import contextlib
import sys

_CHUNK_BYTES = 1 << 16
_CONNECT_S = 5.0


async def main() -> None:
    """Forward until cancelled."""
    host, port = sys.argv[2].rsplit(":", 1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                there_reader, there_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends; then end the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main())
