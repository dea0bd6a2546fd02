"""HTTP/1.1 as a load generator needs it: requests that are bytes beforehand, answers of which only the end counts.

A general client costs more than the server it measures: this one takes a few microseconds a request.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


def request(method: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | None = None) -> str:
    """Return a request as it goes over the wire; ASCII throughout."""
    content = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join((*lines, "", content))


def take_answer(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one whole answer off the front of the buffer: its status and its body; None if it is not whole yet.

    Answers are expected with a Content-Length, or without a body.
    """
    head_end = buffer.find(_HEAD_END)
    if head_end < 0:
        return None
    length = _LENGTH.search(buffer, 0, head_end)
    begin = head_end + len(_HEAD_END)
    end = begin + (int(length[1]) if length else 0)
    if len(buffer) < end:
        return None
    status, body = int(buffer[9:12]), bytes(buffer[begin:end])
    del buffer[:end]
    return status, body


@dataclass
class Run:
    """Requests that several connections share, and what came of them."""

    pending: Iterator[bytes]
    open_connections: int
    done: "asyncio.Future[None]"
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def finished(self, error: Exception | None = None) -> None:
        """Count a connection that has nothing left to do, or broke."""
        self.open_connections -= 1
        if error is not None and not self.done.done():
            self.done.set_exception(error)
        elif self.open_connections == 0 and not self.done.done():
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    """One keep-alive connection: sends the next request as soon as the answer to the last is whole."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = bytearray()
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def send_next(self) -> None:
        """Send the next request, or close if there is none."""
        assert self._transport is not None
        following = next(self._run.pending, None)
        if following is None:
            transport, self._transport = self._transport, None
            transport.close()
            self._run.finished()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        """Note the answer and go on."""
        self._buffer += data
        answer = take_answer(self._buffer)
        if answer is not None:
            self._run.latencies_s.append(time.perf_counter() - self._sent_at)
            self._run.statuses[answer[0]] += 1
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run if there was still an answer to come."""
        if self._transport is not None:
            self._transport = None
            self._run.finished(ConnectionError(f"the server hung up: {exc}"))


async def run_requests(port: int, requests: Sequence[str], connections: int) -> tuple[Run, float, float]:
    """Send the requests in their order over some connections that each wait for one answer at a time.

    Returns:
        The run, and the seconds and own CPU seconds that it took; making the connections is not counted.
    """
    loop = asyncio.get_running_loop()
    run = Run(iter([text.encode("ascii") for text in requests]), connections, loop.create_future())
    opened = [(await loop.create_connection(lambda: Connection(run), "127.0.0.1", port))[1] for _ in range(connections)]
    began, cpu_began = time.perf_counter(), time.process_time()
    for connection in opened:
        connection.send_next()
    await run.done
    return run, time.perf_counter() - began, time.process_time() - cpu_began
