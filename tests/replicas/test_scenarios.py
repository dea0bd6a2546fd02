"""Every scenario on every platform: a bot as a process, with a real browser, in a replica or in the room."""

from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from tests.replicas.room_stage import NOT_IN_THE_ROOM, RoomStage, room_stage
from tests.replicas.scenarios import SCENARIOS
from tests.replicas.stage import ReplicaStage
from tests.support.bot_theatre import Theatre

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
    # A hundred visits with real browsers and real sound on two cores: one that fails is played once more, and pytest's
    # summary names it. What fails twice running has failed.
    pytest.mark.flaky(reruns=1),
]

PLATFORMS = ("google_meet", "teams", "zoom")
_IN_THE_ROOM = [name for name in SCENARIOS if name not in NOT_IN_THE_ROOM]


@pytest_asyncio.fixture(loop_scope="module")
async def room() -> AsyncIterator[RoomStage]:
    async with room_stage() as stage:
        yield stage


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("house", PLATFORMS, indirect=True, scope="module")
async def test_scenario(stage: ReplicaStage, theatre: Theatre, scenario: str) -> None:
    await SCENARIOS[scenario](stage, theatre)


@pytest.mark.parametrize("scenario", _IN_THE_ROOM, ids=[f"room-{name}" for name in _IN_THE_ROOM])
async def test_scenario_in_the_room(room: RoomStage, theatre: Theatre, scenario: str) -> None:
    # What is played in the room asks no more of a stage than `Stage` has.
    await SCENARIOS[scenario](cast("ReplicaStage", room), theatre)


async def test_what_the_room_lacks_are_scenarios() -> None:
    assert set(NOT_IN_THE_ROOM) <= set(SCENARIOS)
