"""Simulated bots: what they do is in their name, and a launcher reaches them over a socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench.fleet.__main__ import Fleet
from bench.fleet.bot import Crew
from bench.fleet.diary import Diaries, Diary, Place
from bench.fleet.launcher import FleetLauncher
from bench.fleet.messages import from_observation, to_observation
from bench.fleet.script import Script

from usher.adapters.memory.launcher import Workload
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName
from usher.ports import WorkloadSpec

NAME = WorkloadName(7, 1)


class Idlers(Crew):
    """Bots that do nothing, and leave words behind."""

    def __init__(self) -> None:
        super().__init__(None)

    async def live(self, workload: Workload) -> int:
        self.diaries.begin(Diary(str(workload.spec.name), 7, "c", workload.spec.environment["ROOM"]))
        workload.last_words = b"\x00words"
        await asyncio.Event().wait()
        return 0


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(Idlers())
    server = await asyncio.start_unix_server(fleet.serve, tmp_path / "socket")
    yield fleet
    fleet.kill_all()
    server.close()


@pytest.fixture
def launcher(tmp_path: Path, fleet: Fleet) -> FleetLauncher:
    assert fleet
    return FleetLauncher(tmp_path / "socket")


def spec(name: WorkloadName = NAME, room: str = "a") -> WorkloadSpec:
    return WorkloadSpec(name, {"ROOM": room})


@pytest.mark.parametrize("script", [Script(), Script(join_s=1.5, lobby_s=2.0, stay_s=3.0, talk_s=0.25, leave_s=0.0)])
def test_a_name_carries_the_script(script: Script) -> None:
    assert Script.from_name(script.name) == script
    assert len(script.name) <= 100, "the API takes no longer name"


def test_an_ordinary_name_is_an_ordinary_visit() -> None:
    assert Script.from_name("Notetaker of Ann") == Script()


@pytest.mark.parametrize("seen", [Running(), Exited(137, "killed"), Exited(None), Gone(), Unknown("no answer")])
def test_observations_go_there_and_back(seen: Observation) -> None:
    assert to_observation(from_observation(seen)) == seen


async def test_a_workload_from_its_start_to_its_end(launcher: FleetLauncher) -> None:
    assert await launcher.observe(NAME) == Gone()
    await launcher.start(spec())
    await launcher.start(spec())
    assert await launcher.list() == {NAME: Running()}
    assert await launcher.last_words(NAME) == b"\x00words"
    assert isinstance(await launcher.stop(NAME, grace_s=5.0), Exited)
    listed = await launcher.list()
    assert listed is not None
    assert isinstance(listed[NAME], Exited)
    await launcher.remove(NAME)
    assert await launcher.list() == {}


async def test_a_name_that_was_ended_never_begins(launcher: FleetLauncher) -> None:
    assert await launcher.stop(NAME, grace_s=0.0) == Gone()
    with pytest.raises(LaunchRejected, match="usher-7-1"):
        await launcher.start(spec())


async def test_questions_of_many_are_answered_to_each(launcher: FleetLauncher) -> None:
    names = [WorkloadName(number, 1) for number in range(1, 51)]
    await asyncio.gather(*(launcher.start(spec(name, str(name))) for name in names))
    seen = await asyncio.gather(*(launcher.observe(name) for name in names), launcher.observe(WorkloadName(99, 1)))
    assert seen == [Running()] * 50 + [Gone()]


async def test_bots_outlive_the_manager_that_started_them(launcher: FleetLauncher, tmp_path: Path) -> None:
    await launcher.start(spec())
    assert await FleetLauncher(tmp_path / "socket").list() == {NAME: Running()}


async def test_without_a_fleet_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await FleetLauncher(tmp_path / "nobody").list()


async def test_a_second_bot_in_a_room_is_noted(launcher: FleetLauncher, fleet: Fleet) -> None:
    await launcher.start(spec(NAME, "same"))
    await launcher.start(spec(WorkloadName(8, 1), "other"))
    await launcher.start(spec(WorkloadName(7, 2), "same"))
    report = await fleet.tell({"do": "report"})
    assert isinstance(report, dict)
    assert report["doubled"] == ["usher-7-2"]


def test_a_bot_after_another_one_in_a_room_is_alone() -> None:
    diaries = Diaries()
    diaries.end(diaries.begin(Diary("usher-1-1", 1, "a", "room")))
    diaries.begin(Diary("usher-2-1", 2, "b", "room"))
    assert diaries.doubled == []
    assert [one.place for one in diaries.written.values()] == [Place.OVER, Place.LAUNCHED]
    assert list(diaries.forget().written) == ["usher-2-1"]


def test_commands_that_were_executed_again_are_counted() -> None:
    diary = Diary("usher-1-1", 1, "a", "room")
    for seq in (1, 2, 2, 3):
        diary.note_executed(seq)
    assert diary.executed_counts() == (4, 3)
