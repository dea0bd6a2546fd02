"""A real server that speaks S3, for one test: versitygw, which checks signatures and keeps objects in a directory."""

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.engines import engine_home

BUCKET = "recordings"
KEY_ID = "usher-test"
SECRET = "a secret of the tests"

_MODULE = Path(__file__).parents[2] / "tools" / "engines" / "versitygw"
_START_S = 30.0


@dataclass
class S3Server:
    """A running server.

    Attributes:
        url: Its endpoint.
        directory: Where it keeps the objects of the bucket.
    """

    url: str
    directory: Path
    process: asyncio.subprocess.Process

    def objects(self) -> set[str]:
        """Names of all objects."""
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file()}

    async def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()
        await self.process.wait()


def versitygw() -> Path:
    """Return the server that `sh tools/engines/go_tool.sh versitygw` built."""
    digest = hashlib.sha256((_MODULE / "go.mod").read_bytes() + (_MODULE / "go.sum").read_bytes()).hexdigest()[:16]
    binary = engine_home("versitygw") / f"versitygw-{digest}"
    if not binary.exists():
        pytest.skip("the S3 server is not built: sh tools/engines/go_tool.sh versitygw")
    return binary


@contextlib.asynccontextmanager
async def s3_server(home: Path) -> AsyncIterator[S3Server]:
    """Run a server with an empty bucket."""
    bucket = home / "buckets" / BUCKET
    bucket.mkdir(parents=True)
    (home / "metadata").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            versitygw(),
            f"--port=127.0.0.1:{port}",
            "posix",
            f"--sidecar={home / 'metadata'}",
            home / "buckets",
            env={"ROOT_ACCESS_KEY_ID": KEY_ID, "ROOT_SECRET_ACCESS_KEY": SECRET},
            stdout=log,
            stderr=log,
        )
    try:
        await _wait(process, port, home / "log")
        yield S3Server(f"http://127.0.0.1:{port}", bucket, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _wait(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            assert process.returncode is None, f"it has ended: see {log}"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
