"""A real Redis of a test's own, to be killed, frozen and restarted; other tests ask for `redis_url`."""

import asyncio
import signal
import socket
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from usher.adapters.embedded.redis import find_program
from usher.adapters.redis.connection import connect

PASSWORD = "operator-password"
_PATIENCE_S = 30.0


class RedisServer:
    """One server process; what it holds in memory is lost with it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        options = {"port": str(self.port), "bind": "127.0.0.1", "requirepass": PASSWORD, "save": "", "appendonly": "no"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = await asyncio.create_subprocess_exec(
            str(find_program()), *arguments, cwd=self._directory, stdout=asyncio.subprocess.DEVNULL
        )
        client = connect(self.url)
        async with asyncio.timeout(_PATIENCE_S):
            while not await _answers(client):  # noqa: ASYNC110  another process is waited for
                await asyncio.sleep(0.02)
        await client.aclose()

    def freeze(self) -> None:
        """Let connections stay open with nobody behind them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


async def _answers(client: Redis) -> bool:
    try:
        await client.ping()
    except (RedisError, OSError):
        return False
    return True
