"""Supervisor of one workload: starts the bot, keeps its output, records how it ended, leaves nothing of it behind.

    python -I -S shim.py DIRECTORY LOCK_FD LOG_BYTES COMMAND [ARGUMENT ...]

The caller holds a lock on the open file LOCK_FD. The shim detaches itself from its caller, so that the bot outlives the
manager, and inherits the lock: it is held for as long as the shim lives, which nobody can fake. The first process
exits once the bot runs (0), or with the reason on stderr: it can never be started (`EXIT_REJECTED`) or not now (1).
SIGTERM is passed on to the bot, SIGQUIT kills it.

Being a child subreaper, the shim becomes the parent of every descendant that loses its own, whatever process group
or session that one moved to. So when the bot has ended, "kill all children until there is none" is all of it.

Only a little of the standard library is imported, and nothing of Usher: it is run by its path and starts quickly.
Credentials come in the environment, which the bot inherits unread.

Source: prctl(2) PR_SET_CHILD_SUBREAPER; waitpid(2); fcntl_locking(2).
"""

import contextlib
import ctypes
import errno
import io
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

RECORD, EXIT, LOG, OLDER_LOG = "workload.json", "exit.json", "log", "log.1"
EXIT_REJECTED = 3
_PERMANENT = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.E2BIG}
)
_PR_SET_CHILD_SUBREAPER = 36
_CHUNK_BYTES = 1 << 16


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is no such process or it is a zombie.

    Source: proc_pid_stat(5), fields 3 and 22. The name in field 2 may hold spaces and brackets.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Replace a file in one step: a reader sees the old one or the new one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(document))
    beside.replace(path)


def children() -> list[int]:
    """Return the process ids of this process's own children, zombies included."""
    own = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == own:
            found.append(int(entry.name))
    return found


def describe(code: int, *, asked: bool) -> str:
    """Say for people what an exit code means that stands for a signal; empty for all others.

    Args:
        code: Exit code; 128 + n for signal n.
        asked: Whether the workload was asked to end.
    """
    try:
        name = signal.Signals(code - 128).name
    except ValueError:
        return ""
    if code - 128 == signal.SIGKILL and not asked:
        return f"killed by {name}: the machine may be out of memory"
    return f"killed by {name}"


class Log:
    """Two files that hold the end of what the bot printed: at most twice `most_bytes`."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._path, self._older = directory / LOG, directory / OLDER_LOG
        self._most_bytes = most_bytes
        self._file = self._open()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append; a full disk costs output, not the bot."""
        try:
            if self._size + len(data) > self._most_bytes and self._size:
                self._file.close()
                self._path.replace(self._older)
                self._file, self._size = self._open(), 0
            self._size += self._file.write(data)
        except OSError:
            return

    def _open(self) -> io.FileIO:
        return io.FileIO(self._path, "w")


class Supervisor:
    """Runs one bot to its end."""

    def __init__(self, directory: Path, command: Sequence[str], log_bytes: int) -> None:
        self._directory, self._command = directory, command
        self._log_bytes = log_bytes
        self._status: int | None = None
        self._asked = self._forwarded = self._kill = False

    def start(self) -> None:
        """Record who supervises, then start the bot in a session of its own.

        Raises:
            OSError: The bot cannot be started.
        """
        self._log = Log(self._directory, self._log_bytes)
        self._wakeups, writer = os.pipe()
        os.set_blocking(self._wakeups, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, self._note)
        write_json(self._directory / RECORD, {"pid": os.getpid(), "start": start_ticks(os.getpid())})
        self._output, bot_output = os.pipe()
        self._bot = subprocess.Popen(  # noqa: S603  the command is the operator's own configuration
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=bot_output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.close(bot_output)

    def run(self) -> None:
        """Keep the bot's output until it ends, kill what it leaves, write down how it ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeups, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            while self._status is None:
                self._signal_bot()
                for key, _ in selector.select():
                    data = os.read(key.fd, _CHUNK_BYTES)
                    if key.fd == self._output:
                        self._log.write(data)
                        if not data:
                            selector.unregister(self._output)
                self._reap(os.WNOHANG)
        self._kill_rest()
        self._drain()
        code = os.waitstatus_to_exitcode(self._status)
        code = code if code >= 0 else 128 - code
        write_json(self._directory / EXIT, {"code": code, "detail": describe(code, asked=self._asked)})

    def forget(self) -> None:
        """Take the record of a start back that did not happen."""
        (self._directory / RECORD).unlink(missing_ok=True)

    def is_permanent(self, error: OSError) -> bool:
        """Say whether it is the command that is at fault."""
        return error.errno in _PERMANENT and error.filename == self._command[0]

    def _note(self, number: int, _: object) -> None:
        self._asked |= number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        self._kill |= number == signal.SIGQUIT

    def _signal_bot(self) -> None:
        if self._kill:
            os.kill(self._bot.pid, signal.SIGKILL)
        elif self._asked and not self._forwarded:
            os.kill(self._bot.pid, signal.SIGTERM)
            self._forwarded = True

    def _reap(self, options: int) -> bool:
        """Collect ended children, waiting for the first one unless told otherwise; False if there is none left."""
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._bot.pid:
                self._status = self._bot.returncode = status
            options = os.WNOHANG

    def _kill_rest(self) -> None:
        left = True
        while left:
            for pid in children():
                with contextlib.suppress(PermissionError):  # a setuid helper ends with those it helps
                    os.kill(pid, signal.SIGKILL)
            left = self._reap(0)

    def _drain(self) -> None:
        os.set_blocking(self._output, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._output, _CHUNK_BYTES):
                self._log.write(data)


def detach(*kept: int) -> None:
    """Let go of the caller's streams, and keep the bot from inheriting what is kept."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    for kept_fd in kept:
        os.set_inheritable(kept_fd, False)


def supervise(supervisor: Supervisor, report: int) -> None:
    """Tell the first process over `report` what became of the start, then stay until the end."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        supervisor.start()
    except OSError as error:
        supervisor.forget()
        verdict = EXIT_REJECTED if supervisor.is_permanent(error) else 1
        os.write(report, bytes([verdict]) + f"{error.strerror}: {error.filename}".encode())
        return
    os.close(report)
    supervisor.run()


def main(argv: Sequence[str]) -> None:
    """Split off the supervisor and exit once it is known whether the bot runs."""
    directory, lock_fd, log_bytes, *command = argv
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        detach(writer, int(lock_fd))
        supervise(Supervisor(Path(directory), command, int(log_bytes)), writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        verdict = answer.read()
    os.write(2, verdict[1:])
    os._exit(verdict[0] if verdict else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
