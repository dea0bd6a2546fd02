"""Usher's own images on the tests' Docker engine, built from the tree as it is."""

import os
import subprocess
from pathlib import Path

from tests.support.engines import needs_engine

BUILD_S = 1500
"""Longest time for all images where nothing of them is there yet; what is there takes seconds."""

_SCRIPT = Path(__file__).parents[2] / "tools" / "deploy" / "build_images.sh"


def build_images(*names: str) -> str:
    """Build images, unless they are what the tree says already; return the engine's address.

    Args:
        names: Of `manager`, `bot`, `transcription`, `postgres`, `redis`; all without any. The first three are tagged
            `usher-<name>:latest`.
    """
    address = needs_engine("docker")
    built = subprocess.run(  # noqa: S603 - our own script
        ("/bin/sh", _SCRIPT, *names),
        env={**os.environ, "DOCKER_HOST": address},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]
    return address
