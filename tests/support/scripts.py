"""Scripts of the tree, run to their end, and cleaned up after if they cannot get there."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CLEAN_UP_S = 120.0


def run_script(*command: str | Path, timeout_s: float, variables: Mapping[str, str] | None = None) -> str:
    """Run a command in the root of the tree and return what it printed; it has to end with exit code 0.

    One that takes too long, or whose test is given up, is asked to end (SIGTERM, with all that it started) and gets
    time to take down what it put up.
    """
    with subprocess.Popen(  # noqa: S603 - our own scripts
        command,
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            said, _ = process.communicate(timeout=_CLEAN_UP_S)
            print(said)  # noqa: T201 - pytest shows it
            raise
    assert process.returncode == 0, said
    return said
