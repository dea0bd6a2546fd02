"""Child processes that are part of the system and end with it."""

import asyncio
import ctypes
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TERM_S = 10.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running child; `log` is where it prints to."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def returncode(self) -> int | None:
        """Exit code, or None while it runs."""
        return self.process.returncode

    async def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL. Idempotent."""
        if self.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(_TERM_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start_child(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a child that gets SIGTERM if this process dies, however it dies (Linux), and no terminal signals."""
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    return Child(process, log)
