"""What only real processes can show: orphans, killed supervisors and managers, recycled process ids."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.launcher_worlds import PATIENCE_S, ProcessWorld, eventually

from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.adapters.launchers.process.shim import start_ticks
from usher.adapters.launchers.process.table import Process
from usher.domain.errors import LaunchRejected
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.protocol.last_words import MOST_BYTES

NAME = WorkloadName(7, 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    made = ProcessWorld(tmp_path)
    yield made
    await made.close()


async def start(world: ProcessWorld, behaviour: str, word: bytes = b"s3cret", times: int = 1) -> ProcessLauncher:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, behaviour))
    async with asyncio.timeout(PATIENCE_S):
        while (await launcher.logs(NAME, last_bytes=9000)).count(word) < times:  # noqa: ASYNC110  no event to wait for
            await asyncio.sleep(0.02)
    return launcher


async def settled(launcher: ProcessLauncher) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        while isinstance(observation := await launcher.observe(NAME), Running | Unknown):  # noqa: ASYNC110 - another process is polled
            await asyncio.sleep(0.02)
    return observation


def sleepers(world: ProcessWorld) -> list[int]:
    """Every process of the machine that the breeding bot bred, whatever it forgot."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and start_ticks(int(entry.name)) is not None:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if len(arguments) > 3 and arguments[1] == b"-c" and arguments[3] == bytes(world.directory / str(NAME)):
                found.append(int(entry.name))
    return found


async def test_a_bot_killed_by_the_kernel_is_told_as_that(world: ProcessWorld) -> None:
    launcher = await start(world, "die")
    assert await settled(launcher) == Exited(137, "killed by SIGKILL: the machine may be out of memory")


async def test_grandchildren_in_their_own_sessions_end_with_a_stop(world: ProcessWorld) -> None:
    launcher = await start(world, "breed", b"bred", times=2)
    assert len(sleepers(world)) == 2
    assert await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)
    assert sleepers(world) == []
    assert world.processes(NAME) == frozenset()


async def test_grandchildren_end_with_a_bot_that_ends_by_itself(world: ProcessWorld) -> None:
    launcher = await start(world, "breed-and-exit")
    assert await settled(launcher) == Exited(0)
    assert sleepers(world) == []
    assert world.processes(NAME) == frozenset()


async def test_nothing_is_left_when_the_supervisor_is_killed_and_the_workload_is_stopped(world: ProcessWorld) -> None:
    launcher = await start(world, "breed", b"bred", times=2)
    world.shim(NAME).signal(signal.SIGKILL)
    assert await launcher.stop(NAME, grace_s=1.0) == Exited(None, "its supervisor was killed")
    assert world.processes(NAME) == frozenset()
    # A process that has left its session, its parents and its environment is tied to the workload by the supervisor
    # alone: with that one killed, nobody can tell whose it is.
    (forgotten,) = sleepers(world)
    assert forgotten not in {one.pid for one in world.processes(NAME)}
    os.kill(forgotten, signal.SIGKILL)


async def test_a_workload_whose_supervisor_was_killed_does_not_run_for_ever(world: ProcessWorld) -> None:
    launcher = await start(world, "ignore")
    world.shim(NAME).signal(signal.SIGKILL)
    await eventually(lambda: len(world.processes(NAME)) <= 1)
    assert await settled(launcher) == Exited(None, "its supervisor was killed")
    assert world.processes(NAME) == frozenset()
    await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.list() == {NAME: Exited(None, "its supervisor was killed")}


async def test_frozen_processes_are_killed_too(world: ProcessWorld) -> None:
    launcher = ProcessLauncher(world.directory, world.command, kill_timeout_s=1.0)
    await start(world, "obey")
    for process in world.processes(NAME):
        process.signal(signal.SIGSTOP)
    observation = await launcher.stop(NAME, grace_s=0.1)
    assert world.processes(NAME) == frozenset()
    assert isinstance(observation, Exited)


async def test_bots_outlive_a_killed_manager(world: ProcessWorld) -> None:
    manager = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MANAGER, str(world.directory), json.dumps(world.command), stdout=asyncio.subprocess.PIPE
    )
    assert manager.stdout is not None
    assert await asyncio.wait_for(manager.stdout.readline(), PATIENCE_S) == b"started\n"
    manager.kill()
    await manager.wait()
    launcher = world.launcher()
    assert await launcher.list() == {NAME: Running(), WorkloadName(8, 1): Running()}
    await eventually(lambda: world.running(NAME) == 1)
    assert await launcher.stop(NAME, grace_s=PATIENCE_S) == Exited(0)


_MANAGER = """
import asyncio, json, sys
from pathlib import Path
from usher.adapters.launchers.process.launcher import ProcessLauncher
from usher.domain.reconcile import WorkloadName
from usher.protocol.last_words import MOST_BYTES
from usher.ports import WorkloadSpec

async def main():
    launcher = ProcessLauncher(Path(sys.argv[1]), json.loads(sys.argv[2]))
    for meeting_id in (7, 8):
        await launcher.start(WorkloadSpec(WorkloadName(meeting_id, 1), {"BEHAVIOUR": "obey"}))
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_manager_killed_between_directory_and_start_costs_nothing(world: ProcessWorld) -> None:
    (world.directory / str(NAME)).mkdir()
    (world.directory / str(NAME) / "lock").touch()
    launcher = world.launcher()
    assert await launcher.observe(NAME) == Gone()
    await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.observe(NAME) == Running()


async def test_a_recycled_process_id_is_neither_believed_nor_killed(world: ProcessWorld) -> None:
    bystander = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        workload = world.directory / str(NAME)
        workload.mkdir()
        (workload / "workload.json").write_text(json.dumps({"pid": bystander.pid, "start": 1}))
        launcher = world.launcher()
        assert await launcher.observe(NAME) == Exited(None, "its supervisor was killed")
        assert isinstance(await launcher.stop(NAME, grace_s=0.1), Exited)
        assert not Process(bystander.pid, 1).signal(signal.SIGKILL)
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


@pytest.mark.parametrize("content", [None, "not executable"])
async def test_a_command_that_cannot_run_is_rejected(world: ProcessWorld, tmp_path: Path, content: str | None) -> None:
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
    launcher = ProcessLauncher(world.directory, [str(program)])
    with pytest.raises(LaunchRejected, match="program"):
        await launcher.start(world.spec(NAME, "obey"))
    assert await launcher.observe(NAME) == Gone()


async def test_the_output_is_bounded(world: ProcessWorld) -> None:
    launcher = await start(world, "print:2000000", b"end")
    await settled(launcher)
    sizes = [(world.directory / str(NAME) / file).stat().st_size for file in ("log", "log.1")]
    assert sum(sizes) <= 2 * (1 << 16)
    assert (await launcher.logs(NAME, last_bytes=3)) == b"end"


async def test_secrets_are_in_no_file_and_no_argument(world: ProcessWorld) -> None:
    await start(world, "obey")
    assert [one for one in world.processes(NAME) if "s3cret" in " ".join(world.arguments(one))] == []
    files = [one for one in (world.directory / str(NAME)).iterdir() if b"s3cret" in one.read_bytes()]
    assert [one.name for one in files] == ["log"]  # the test's bot prints it, on purpose


async def test_a_missing_directory_is_not_an_empty_one(world: ProcessWorld, tmp_path: Path) -> None:
    launcher = ProcessLauncher(tmp_path / "away", world.command)
    (tmp_path / "away").rmdir()
    assert await launcher.list() is None
    assert isinstance(await launcher.observe(NAME), Unknown)


async def test_stop_all_leaves_no_process(world: ProcessWorld) -> None:
    launcher = await start(world, "breed", b"bred", times=2)
    await launcher.start(world.spec(WorkloadName(8, 1), "ignore"))
    await launcher.start(world.spec(WorkloadName(9, 1), "exit:0"))
    left = await launcher.stop_all(grace_s=0.5)
    assert {type(one) for one in left.values()} == {Exited}
    assert sleepers(world) == []


async def test_last_words_beyond_measure_are_not_read(world: ProcessWorld) -> None:
    launcher = world.launcher()
    await launcher.start(world.spec(NAME, f"bequeath:{MOST_BYTES + 1}"))
    await eventually((world.directory / str(NAME) / "exit.json").exists)
    assert await launcher.last_words(NAME) == b""
