"""Bears managers: a process that has imported the product and forks itself for each, which takes milliseconds.

    python -m tests.support.chaos_nursery SOCKET

Each connection to the UNIX socket is one manager. The client sends a line of JSON (`Birth`) and is told its process id
and, when it has ended, how. When the client hangs up, as the kernel sees to if it dies, the manager is killed. The
nursery itself ends with its standard input.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_START_S = 60.0
_POLL_S = 0.02
_MOST_FILES = 1 << 16
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Birth:
    """What a manager is born with.

    Attributes:
        arguments: Of `chaos_manager`.
        environment: The whole of it.
        log: Where it prints to.
        afresh: In a new Python, in the place of a fork of this one.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: str
    afresh: bool = False

    def to_line(self) -> bytes:
        """Return it as it goes over the socket."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Nursery:
    """The nursery as its owner sees it. Start it once and `close` it; its address serves any number of clients."""

    def __init__(self, directory: Path) -> None:
        self.address = directory / "nursery.sock"
        self._process = subprocess.Popen(  # noqa: S603 - this Python
            [sys.executable, "-m", "tests.support.chaos_nursery", str(self.address)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
        )
        deadline = time.monotonic() + _START_S
        while not self.address.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the nursery did not start")
            time.sleep(_POLL_S)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=_START_S)


def main() -> None:
    """Bear a manager for each connection until standard input ends."""
    import usher.cli.services  # noqa: F401 - what every manager would have to load

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
    address = Path(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as listener:
        fresh = address.with_suffix(".new")
        listener.bind(str(fresh))
        listener.listen()
        fresh.rename(address)
        while True:
            ready, _, _ = select.select([listener.fileno(), sys.stdin.fileno()], [], [])
            if sys.stdin.fileno() in ready:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
                os._exit(0)
            connection.close()


def _keep(connection: socket.socket) -> None:
    """Bear one manager and stay until it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rwb", buffering=0) as line:
        told = json.loads(line.readline())
        pid = os.fork()
        if pid == 0:
            _become(Birth(tuple(told["arguments"]), told["environment"], told["log"], told["afresh"]))
        line.write(json.dumps({"pid": pid}).encode() + b"\n")
        handle = os.pidfd_open(pid)
        ready, _, _ = select.select([connection.fileno(), handle], [], [])
        if handle not in ready:
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if handle in ready:
            line.write(json.dumps({"code": code}).encode() + b"\n")


def _become(birth: Birth) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(birth.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream, source in enumerate((null, log, log)):
        os.dup2(source, stream)
    os.closerange(3, _MOST_FILES)
    if birth.afresh:
        command = (sys.executable, "-m", "tests.support.chaos_manager", *birth.arguments)
        os.execve(sys.executable, command, dict(birth.environment))  # noqa: S606 - this Python, without a shell
    from tests.support.chaos_manager import main as manage

    os.environ.clear()
    os.environ.update(birth.environment)
    code = 1
    try:
        manage(birth.arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
