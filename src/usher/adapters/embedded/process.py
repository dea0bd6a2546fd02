"""A server process: started, watched, ended, and never left behind."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from usher.adapters.embedded.identity import Identity, guarded
from usher.domain.errors import Unavailable

log = structlog.get_logger(__name__)

_POLL_S = 0.01
_LOG_LIMIT_BYTES = 10_000_000
_LOG_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Farewell:
    """How to end a server: signals from polite to final, each with the seconds that it gets."""

    steps: tuple[tuple[signal.Signals, float], ...]

    @property
    def polite(self) -> signal.Signals:
        """The first signal; also what the server gets when this process dies."""
        return self.steps[0][0]


class ServerProcess:
    """One running server.

    Its death signal hangs on the thread that starts it, so that has to be one that lives as long as the process.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_path: Path, farewell: Farewell) -> None:
        self._name = name
        self._process = process
        self._log_path = log_path
        self._farewell = farewell

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], *, identity: Identity, log_path: Path, farewell: Farewell
    ) -> Self:
        """Start it. What it prints goes to the log file; the terminal's Ctrl-C does not reach it."""
        _rotate(log_path)
        with log_path.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *guarded(identity, farewell.polite, tuple(command)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return cls(name, process, log_path, farewell)

    @property
    def pid(self) -> int:
        """Process id of the server itself."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._process.returncode

    async def wait_dead(self) -> int:
        """Wait until the server has ended, whyever, and return its exit code."""
        return await self._process.wait()

    async def wait_ready(self, is_ready: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
        """Wait until the server serves.

        Raises:
            Unavailable: It ended, or took too long; the message carries the end of its log.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not await is_ready():
                    if self.returncode is not None:
                        raise Unavailable(f"{self._name} ended at once (exit code {self.returncode}){self._said()}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise Unavailable(f"{self._name} was not ready within {timeout_s:.0f} s{self._said()}") from None

    async def stop(self) -> None:
        """End it, ever more firmly. Idempotent."""
        for step, patience_s in self._farewell.steps:
            if self.returncode is not None:
                return
            self._process.send_signal(step)
            try:
                async with asyncio.timeout(patience_s):
                    await self._process.wait()
            except TimeoutError:
                log.warning("server_ignores_signal", server=self._name, signal=step.name, patience_s=patience_s)

    def _said(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return f"; the end of {self._log_path}: " + " | ".join(lines) if lines else f"; {self._log_path} is empty"


def _rotate(log_path: Path) -> None:
    if log_path.exists() and log_path.stat().st_size > _LOG_LIMIT_BYTES:
        log_path.replace(log_path.with_suffix(".previous.log"))
