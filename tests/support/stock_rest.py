"""The REST side of a stock WhisperLive server: somebody else's service of OpenAI's form."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.stock_server import MISSING, find_stock_python

_SCRIPTS = Path(__file__).parent / "stock_whisper_live"
_START_S = 120.0


@contextlib.contextmanager
def stock_rest_server(model: Path) -> Iterator[str]:
    """Serve with a model until left; yields the base URL. Skips the test where the stock package is not installed."""
    python = find_stock_python()
    if python is None:
        pytest.skip(MISSING)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(  # noqa: S603 -- our own script
        [str(python), str(_SCRIPTS / "rest.py"), port, str(model)],
        env=kept | {"PYTHONPATH": str(_SCRIPTS / "stubs"), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait(10.0)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        assert process.poll() is None, f"the stock server ended with {process.returncode}"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=5.0)
            return
        time.sleep(0.2)
    raise TimeoutError("the stock server does not answer")
