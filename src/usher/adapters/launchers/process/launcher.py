"""Launcher for one machine: each workload is a tree of processes under a shim of its own.

The shims outlive the manager. What is known of a workload is in its directory, so any manager on the machine with the
same directory sees and stops the same workloads.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from usher.adapters.launchers.process import shim
from usher.adapters.launchers.process.directory import HeldLock, WorkloadDirectory
from usher.adapters.launchers.process.spent import SpentNames
from usher.adapters.launchers.process.table import MARK, Process, find_marked, find_marks
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName, parse_workload_name
from usher.ports import WorkloadSpec
from usher.protocol.last_words import MOST_BYTES as LAST_WORDS_BYTES
from usher.protocol.last_words import VARIABLE as LAST_WORDS_VARIABLE

log = structlog.get_logger(__name__)

_FIRST_LOOK_S, _SLOWEST_LOOK_S = 0.005, 0.1


class ProcessLauncher:
    """Runs workloads as processes of this machine.

    A workload whose shim was killed is killed as well, at the next look: its exit code can never be known and its
    output goes nowhere.

    Args:
        directory: Holds one directory a workload; created if missing.
        command: Program and arguments of every bot; the same for all, so that no secret can be in it.
        environment: Variables of every bot (`PATH`, `HOME`, …), below those of its spec.
        log_bytes: A workload's output is kept in two files of at most this size.
        start_timeout_s: How long a start may take.
        kill_timeout_s: How long processes may take to die once they are killed.
    """

    def __init__(
        self,
        directory: Path,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log_bytes: int = 1 << 20,
        start_timeout_s: float = 30.0,
        kill_timeout_s: float = 10.0,
    ) -> None:
        self._root = directory.resolve()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._spent = SpentNames(self._root)
        self._command = tuple(command)
        self._environment = {"PATH": os.defpath} | dict(environment or {})
        self._log_bytes = log_bytes
        self._start_timeout_s = start_timeout_s
        self._kill_timeout_s = kill_timeout_s

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload once; return when its process runs. A name that was started before is left as it is."""
        workload = self._workload(spec.name)
        try:
            async with asyncio.timeout(self._start_timeout_s):
                started = False
                while not started:
                    started = await asyncio.to_thread(self._try_start, workload, spec.environment)
                    await asyncio.sleep(0.0 if started else _FIRST_LOOK_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{spec.name} could not be started: {_explain(error)}") from None

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Send SIGTERM to the bot, kill the whole tree after `grace_s`, and make sure that nothing is left."""
        workload = self._workload(name)
        try:
            await asyncio.to_thread(self._spent.add, name)
            if not await self._end(workload, signal.SIGTERM, grace_s):
                log.info("workload_killed", workload=str(name), grace_s=grace_s)
                await self._end(workload, signal.SIGQUIT, self._kill_timeout_s)
            if workload.ended() is None and (left := await self._sweep(workload)):
                return Unknown(f"{len(left)} processes survived SIGKILL")
        except OSError as error:
            return Unknown(_explain(error))
        return await self.observe(name)

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        return await asyncio.to_thread(self._observe, self._workload(name))

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Scan the directory once."""
        return await asyncio.to_thread(self._list)

    async def remove(self, name: WorkloadName) -> None:
        """Kill what is left and delete the workload's directory.

        Raises:
            Unavailable: It could not be made sure that nothing of it runs; its directory stays.
        """
        observation = await self.stop(name, grace_s=0.0)
        if isinstance(observation, Unknown):
            raise Unavailable(f"{name} cannot be removed: {observation.detail}")
        try:
            await asyncio.to_thread(self._forget, self._workload(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"{name} cannot be removed: {_explain(error)}") from error

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of the output."""
        try:
            return await asyncio.to_thread(self._workload(name).log_tail, last_bytes)
        except OSError:
            return b""

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left in its workload's directory."""
        try:
            return await asyncio.to_thread(self._workload(name).last_words, LAST_WORDS_BYTES)
        except OSError:
            return b""

    async def listen(self, wake: Callable[[], None]) -> None:  # noqa: ARG002 - it is the port's
        """Wait for ever: a look at the directory costs next to nothing."""
        await asyncio.Event().wait()

    async def stop_all(self, *, grace_s: float) -> Mapping[WorkloadName, Observation]:
        """Stop every workload of the directory at once, those that are not on record any more included."""
        marks = await asyncio.to_thread(find_marks, self._root)
        marked = {name for mark in marks if (name := parse_workload_name(Path(mark).name))}
        names = [*(marked | set(await self.list() or ()))]
        left = await asyncio.gather(*(self.stop(name, grace_s=grace_s) for name in names))
        return dict(zip(names, left, strict=True))

    def _workload(self, name: WorkloadName) -> WorkloadDirectory:
        return WorkloadDirectory(self._root / str(name))

    def _try_start(self, workload: WorkloadDirectory, environment: Mapping[str, str]) -> bool:
        """Start if nobody has; False while somebody else is about to."""
        workload.path.mkdir(mode=0o700, exist_ok=True)
        with workload.locked() as lock:
            if workload.shim() is not None or workload.ended() is not None:
                return True
            if lock is None:
                return False
            # Whoever stops it notes that first and looks for the lock second, so one of the two sees the other.
            if workload.path.name in self._spent:
                shutil.rmtree(workload.path)
                raise LaunchRejected(f"{workload.path.name} was ended before it began")
            spawning = self._spawn(workload, environment, lock)
        self._await_start(workload, spawning)
        return True

    def _spawn(
        self, workload: WorkloadDirectory, environment: Mapping[str, str], lock: HeldLock
    ) -> "subprocess.Popen[bytes]":
        """Start the shim and leave the lock to it: a manager that is paused after that keeps nobody from a stop."""
        arguments = [str(workload.path), str(lock.descriptor), str(self._log_bytes), *self._command]
        spawning = subprocess.Popen(  # noqa: S603  the command is the operator's own configuration
            [sys.executable, "-I", "-S", shim.__file__, *arguments],
            env={
                **self._environment,
                **environment,
                MARK: workload.mark,
                LAST_WORDS_VARIABLE: str(workload.last_words_path),
            },
            pass_fds=(lock.descriptor,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        lock.let_go()
        return spawning

    def _await_start(self, workload: WorkloadDirectory, spawning: "subprocess.Popen[bytes]") -> None:
        with spawning:
            try:
                _, said = spawning.communicate(timeout=self._start_timeout_s)
            except subprocess.TimeoutExpired:
                spawning.kill()
                raise
        complaint = said.decode(errors="replace")
        if spawning.returncode == shim.EXIT_REJECTED:
            with suppress(OSError):  # somebody else is trying it as well, and will be told the same
                self._forget(workload)
            raise LaunchRejected(complaint)
        if spawning.returncode:
            raise OSError(complaint or f"the shim ended with {spawning.returncode}")

    async def _end(self, workload: WorkloadDirectory, number: signal.Signals, within_s: float) -> bool:
        """Send the shim a signal and wait for its end."""
        loop = asyncio.get_running_loop()
        deadline, look_s, sent = loop.time() + within_s, _FIRST_LOOK_S, False
        while workload.is_locked():
            supervisor = workload.shim()
            if supervisor is not None and not sent:
                sent = supervisor.signal(number)
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(look_s)
            look_s = min(look_s * 1.5, _SLOWEST_LOOK_S)
        return True

    async def _sweep(self, workload: WorkloadDirectory) -> frozenset[Process]:
        """Kill what carries the workload's mark, shim included, until nothing does; returns what cannot be killed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._kill_timeout_s
        while left := await asyncio.to_thread(_kill_marked, workload.mark):
            if loop.time() >= deadline:
                return left
            await asyncio.sleep(_SLOWEST_LOOK_S)
        return frozenset()

    def _observe(self, workload: WorkloadDirectory) -> Observation:
        try:
            if not self._root.is_dir():
                return Unknown(f"{self._root} is missing")
            if ended := workload.ended():
                return ended
            if workload.is_locked():
                return Running()
            if workload.shim() is None:
                return workload.ended() or Gone()
            return _settle(workload)
        except OSError as error:
            return Unknown(_explain(error))

    def _list(self) -> Mapping[WorkloadName, Observation] | None:
        try:
            with os.scandir(self._root) as entries:
                names = [name for entry in entries if (name := parse_workload_name(entry.name))]
        except OSError as error:
            log.warning("workloads_not_listed", error=_explain(error))
            return None
        return {name: self._observe(self._workload(name)) for name in names}

    def _forget(self, workload: WorkloadDirectory) -> None:
        with workload.locked() as lock:
            if lock is None:
                raise BlockingIOError(f"{workload.path} is in use")
            shutil.rmtree(workload.path)


def _settle(workload: WorkloadDirectory) -> Observation:
    """Bring a workload to an end that has no shim: the lock was free a moment ago, and the attempt is spent."""
    with workload.locked() as lock:
        if ended := workload.ended():
            return ended
        if lock is None:
            return Running()
        if left := _kill_marked(workload.mark):
            return Unknown(f"its supervisor was killed; {len(left)} processes that it left are being killed")
        ended = Exited(None, "its supervisor was killed")
        workload.record_end(ended)
        return ended


def _kill_marked(mark: str) -> frozenset[Process]:
    """Kill a workload's processes; returns those that were alive."""
    left = find_marked(mark)
    for process in left:
        process.signal(signal.SIGKILL)
    return left


def _explain(error: OSError | subprocess.TimeoutExpired) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"no answer after {error.timeout} s"
