"""The two contestants: `usher transcribe` and the stock server at its best settings, with the same model."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.stock_server import stock_server

from bench.trees import Tree
from bench.waiting import until
from usher.adapters.embedded.ports import LOOPBACK, free_port
from usher.settings import bare_environment

MOST_STREAMS = 64

_OPTIONS: Mapping[str, object] = {"language": "en", "task": "transcribe", "model": "base", "use_vad": True}
_START_S = 120.0
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server.

    Attributes:
        url: Where clients find it.
        tree: Its processes.
        options: First message of its clients, without `uid`.
        tail_s: Silence that it needs after the last word until that is final.
    """

    url: str
    tree: Tree
    options: Mapping[str, object]
    tail_s: float


@asynccontextmanager
async def usher_server(model: Path, log: Path, profile: Path | None) -> AsyncIterator[Contestant]:
    """Run `usher transcribe` until left.

    Raises:
        RuntimeError: It does not start.
    """
    port = free_port()
    environment = bare_environment() | {
        "USHER_TRANSCRIPTION__PORT": str(port),
        "USHER_TRANSCRIPTION__MODEL": str(model),
        "USHER_TRANSCRIPTION__MAX_STREAMS": str(MOST_STREAMS),
    }
    profiler = () if profile is None else ("-m", "cProfile", "-o", str(profile))
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *profiler,
            "-m",
            "usher.cli.main",
            "transcribe",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    async def listens() -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            return True
        return process.returncode is not None

    try:
        if not await until(listens, _START_S) or process.returncode is not None:
            raise RuntimeError(f"usher transcribe does not start:\n{_tail(log)}")
        yield Contestant(f"ws://{LOOPBACK}:{port}", Tree([process.pid]), _OPTIONS, tail_s=2.0)
    finally:
        await _end(process)


@asynccontextmanager
async def stock(model: Path, log: Path) -> AsyncIterator[Contestant]:
    """Run the stock server until left: batches, two threads, texts final when they came twice more."""
    async with stock_server(model, "--batch", "--clients", str(MOST_STREAMS), log=log, threads=2) as server:
        yield Contestant(server.url, Tree([server.pid]), {**_OPTIONS, "same_output_threshold": 2}, tail_s=6.0)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
