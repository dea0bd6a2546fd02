"""The `usher` command as a process of its own, with everything it starts marked, so that nothing can hide."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.eventually import eventually

MARK = "USHER_TEST_MARK"


class Command:
    """A running `usher` command.

    Attributes:
        output: What it has printed so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, marks: tuple[bytes, ...]) -> None:
        self._process = process
        self._marks = marks
        self.output = ""

    async def read(self) -> None:
        """Take in what it prints until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output += line.decode(errors="replace")

    def press_ctrl_c(self) -> None:
        """Do what a terminal does at Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    async def ended(self, *, timeout_s: float) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(timeout_s):
            return await self._process.wait()

    async def has_printed(self, text: str, *, timeout_s: float) -> None:
        """Wait until it has printed that, or has ended."""
        await eventually(lambda: text in self.output or self._process.returncode is not None, timeout_s=timeout_s)
        assert text in self.output, self.output

    def leftovers(self) -> list[str]:
        """Return the processes, other than itself, that it started and that are still there."""
        return [_command_line(pid) for pid in _pids() if _has(pid, self._marks)]


@asynccontextmanager
async def usher(
    *arguments: str, data_dir: Path, owns: bool = True, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Command]:
    """Run the command; whatever it left behind when the test is over is killed.

    Args:
        arguments: Of the command.
        data_dir: Its data directory.
        owns: Whether everything that knows this directory is the command's: bots, for example, which inherit nothing.
        variables: Environment variables to add.
    """
    mark = uuid.uuid4().hex
    environment = (
        {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
        | dict(variables or {})
        | {MARK: mark, "USHER_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "usher.cli.main",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    marks = (f"{MARK}={mark}".encode(), *([str(data_dir).encode()] if owns else []))
    command = Command(process, marks)
    reading = asyncio.create_task(command.read())
    try:
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        for pid in _pids():
            if _has(pid, marks):
                os.kill(pid, signal.SIGKILL)
        await asyncio.wait({reading}, timeout=5.0)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _has(pid: int, marks: tuple[bytes, ...]) -> bool:
    """Say whether a process, other than this one, was started with one of the marks."""
    if pid == os.getpid():
        return False
    try:
        known = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(mark in known for mark in marks)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return f"process {pid}"
