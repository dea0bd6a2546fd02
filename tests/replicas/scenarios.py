"""What happens to a bot in a meeting, by name: the same on every platform.

Each scenario sends one bot and ends with it: it checks what the manager was told, how the process ended, that nothing
of it is left behind, and what the meeting's page was told.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from tests.replicas import scenes_door, scenes_inside, scenes_page, scenes_stop
from tests.replicas.stage import ReplicaStage
from tests.support.bot_theatre import Theatre

Play = Callable[[ReplicaStage, Theatre], Awaitable[None]]

_ACTS = (scenes_door, scenes_inside, scenes_page, scenes_stop)

SCENARIOS: Mapping[str, Play] = MappingProxyType({play.__name__: play for act in _ACTS for play in act.SCENES})
"""All of them, by name."""

NOT_THERE: Mapping[tuple[str, str], str] = MappingProxyType(
    {("teams", "a_block"): "no source tells of a guest whom Teams blocks other than by asking to sign in"}
)
"""Scenarios by platform that do not exist there, and why."""
