"""A user's server that takes webhooks, and notes each."""

import asyncio
import json
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.invariants.evidence import Delivery
from tests.support.tcp_proxy import LOOPBACK

_ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_ID, _LENGTH = b"webhook-id", b"content-length"


class Inbox:
    """Listens on a free port. A message counts once all of it is there, whether or not the sender hears the answer.

    Attributes:
        deliveries: What arrived, in order.
    """

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._take, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Where to send to."""
        assert self._server is not None
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/hook"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:] if line)
            body = json.loads(await reader.readexactly(int(headers[_LENGTH])))
            told = body["data"]
            meeting_id, version = told["meeting"]["id"], told["status_change"]["version"]
            self.deliveries.append(Delivery(headers[_ID].decode(), meeting_id, version))
            writer.write(_ANSWER)
            await writer.drain()
        writer.close()
