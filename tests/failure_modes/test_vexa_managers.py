"""Several managers on one store: what each of them read may be old when it acts on it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.support.world import World, wish

from usher.app.reconciler import Reconciler
from usher.domain.lifecycle import State
from usher.domain.policy import Policy
from usher.domain.reconcile import Watched
from usher.ports import Meeting, Meetings


class _ReadEarlier:
    """The meetings as a manager knows them that read them a moment ago."""

    def __init__(self, meetings: Meetings, rows: Sequence[Watched]) -> None:
        self._meetings, self._rows = meetings, rows

    async def watched(self, _policy: Policy) -> Sequence[Watched]:
        return self._rows

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has under that name
        return getattr(self._meetings, name)


async def _another_manager(world: World) -> Reconciler:
    """Return a second manager's reconciler that has read the rows just now and acts on them later."""
    rows = await world.store.watched(world.policy)
    meetings = cast("Meetings", _ReadEarlier(world.store, rows))
    return Reconciler(meetings, world.transitions, world.launcher, world.legacy, world.policy)


async def _scheduled(world: World) -> Meeting:
    user = await world.user()
    asked = replace(wish(), join_at=world.clock() + timedelta(seconds=300))
    return (await world.bots.request(user.user_id, asked)).meeting


async def _reconfiguring(world: World) -> Meeting:
    meeting = await world.active()
    ref = meeting.ref
    return await world.bots.configure(meeting.user_id, ref.platform, ref.native_id, {"language": "de"})


async def _stays_too_long(world: World) -> Meeting:
    return await world.active()


@pytest.mark.parametrize(
    ("begin", "arrives"),
    [(_scheduled, State.REQUESTED), (_reconfiguring, State.ACTIVE), (_stays_too_long, State.STOPPING)],
)
async def test_v40_a_deadline_that_two_managers_saw_pass_passes_once(
    begin: Callable[[World], Awaitable[Meeting]], arrives: State
) -> None:
    world = World()
    meeting = await begin(world)
    assert meeting.deadline_at
    world.clock.now = meeting.deadline_at
    other = await _another_manager(world)
    await world.reconciler.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is arrives
    await other.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is arrives


async def test_v32_a_bot_that_was_admitted_in_the_last_moment_is_not_called_late() -> None:
    world = World()
    meeting = await world.send_bot()
    await world.settle()
    deadline = (await world.meeting(meeting.meeting_id)).deadline_at
    assert deadline
    world.clock.now = deadline
    late = await _another_manager(world)
    await world.reports.started(await world.bot_of(meeting.meeting_id))
    await late.reconcile()
    assert (await world.meeting(meeting.meeting_id)).status is State.ACTIVE
