"""What can be done to servers."""

import asyncio
import os
import signal

from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.embedded.server import EmbeddedServer

TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'usher'"
"""Throws all clients out, the test's own store included."""


async def stop_at_once(server: EmbeddedPostgres) -> None:
    """Immediate shutdown: no checkpoint, no farewell. Source: PostgreSQL manual, "Shutting Down the Server"."""
    await _end(server, signal.SIGQUIT)


async def restart_empty(server: EmbeddedRedis, *, away_s: float) -> None:
    """Kill Redis and start it again, on its port, with nothing in it."""
    await _end(server, signal.SIGKILL)
    await asyncio.sleep(away_s)
    await server.start()


async def freeze(server: EmbeddedServer, for_s: float) -> None:
    """Stop a server as it stands for a while: its connections stay and nothing is answered."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    await asyncio.sleep(for_s)
    os.kill(server.pid, signal.SIGCONT)


async def _end(server: EmbeddedServer, number: signal.Signals) -> None:
    assert server.pid is not None
    os.kill(server.pid, number)
    await server.wait_dead()
    await server.stop()
