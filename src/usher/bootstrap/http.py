"""The HTTP server of the manager."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from usher.domain.errors import Invalid

_SHUTDOWN_S = 5
# Longer than the time between two heartbeats of a bot, so that it keeps its connection.
_KEEP_ALIVE_S = 25


def listen(host: str, port: int, variable: str = "USHER_API__PORT") -> socket.socket:
    """Return a socket that listens there; `variable` is what says which port that is.

    Raises:
        Invalid: `port_taken`, with what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise Invalid(
            "port_taken",
            f"Cannot listen on {host}:{port} ({why}). Stop what uses it, or choose another: {variable}=0.",
        ) from error
    listener.listen(2048)
    return listener


def lift_file_limit() -> None:
    """Let this process hold as many connections as the machine allows: each bot and each viewer keeps one open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve_http(app: FastAPI, listener: socket.socket) -> None:
    """Serve until cancelled; open requests get a few seconds to end, and those that last are ended."""
    lift_file_limit()
    closing = app.state.closing = asyncio.Event()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
        ws_per_message_deflate=False,
        ws_max_size=64 * 1024,
        lifespan="off",
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(task)
    finally:
        server.should_exit = True
        closing.set()
        await asyncio.wait({task}, timeout=_SHUTDOWN_S + 2)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process that runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
