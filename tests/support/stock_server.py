"""The stock WhisperLive, server and clients, as `tools/setup/whisper_live.sh` installs it apart from everything."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usher.adapters.embedded.ports import LOOPBACK, free_port

MISSING = "the stock WhisperLive is not installed (tools/setup/whisper_live.sh)"

_HOME = Path(sys.prefix) / "stock-whisper-live"
_SCRIPTS = Path(__file__).parent / "stock_whisper_live"
_START_S = 120.0
_LOOK_S = 0.1
_END_S = 10.0
_SAID = b"said: "


def find_stock_python() -> Path | None:
    """Return the interpreter that has the stock WhisperLive; None if it is not installed here."""
    # What was installed is noted when all of it is there.
    return _HOME / "bin" / "python" if (_HOME / "installed.lock").exists() else None


@dataclass(frozen=True, slots=True)
class StockServer:
    """A running stock server; it loads its model when the first client comes.

    Attributes:
        pid: Of its process.
        port: TCP port on 127.0.0.1.
    """

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://{LOOPBACK}:{self.port}"


@asynccontextmanager
async def stock_server(model: Path, *options: str, log: Path, threads: int = 2) -> AsyncIterator[StockServer]:
    """Run the stock server until left.

    Args:
        model: Directory of its model.
        options: Further ones of `stock_whisper_live/serve.py`.
        log: Where its output goes.
        threads: Of each decoding.

    Raises:
        RuntimeError: It does not start.
    """
    port = free_port()
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *_command("serve.py", str(port), str(model), *options),
            env=_environment() | {"OMP_NUM_THREADS": str(threads)},
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        await _opened(process, port, log)
        yield StockServer(process.pid, port)
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(_END_S):
            await process.wait()


async def play(how: str, port: int, recording: Path, *, timeout_s: float, **options: object) -> dict[str, Any]:
    """Let a stock client play a recording, and return what it says of it.

    Args:
        how: "file", in real time with subtitles, or "stream", with a flush at the end.
        port: Of the server.
        recording: 16 kHz mono 16-bit WAV.
        timeout_s: For all of it.
        options: Of the client.

    Raises:
        RuntimeError: It failed; the message carries its output.
    """
    process = await asyncio.create_subprocess_exec(
        *_command("play.py", how, str(port), str(recording), "--options", json.dumps(options)),
        env=_environment(),
        cwd=recording.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = [line.removeprefix(_SAID) for line in output.splitlines() if line.startswith(_SAID)]
    if process.returncode or not said:
        raise RuntimeError(f"the stock client ended with {process.returncode}:\n{output.decode(errors='replace')}")
    heard: dict[str, Any] = json.loads(said[-1])
    return heard | {"output": output.decode(errors="replace")}


def _command(script: str, *arguments: str) -> list[str]:
    python = find_stock_python()
    if python is None:
        raise RuntimeError(MISSING)
    return [str(python), str(_SCRIPTS / script), *arguments]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(_SCRIPTS / "stubs"), "PYTHONUNBUFFERED": "1"}


async def _opened(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Return when the server takes connections."""
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(_LOOK_S)
            else:
                writer.close()
                return
    raise RuntimeError(f"the stock server ended with {process.returncode}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
