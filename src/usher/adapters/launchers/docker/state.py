"""What an engine's word for the state of a container means."""

import signal
from collections.abc import Mapping
from typing import Any

from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Observation, Running

CREATED = "created"

_ENDED = frozenset({"exited", "dead", "removing"})
"""Nothing runs any more: `dead` could not be removed, `removing` is about to be."""

_SIGNALLED = 128


def has_ended(status: str) -> bool:
    """Say whether a container in this state has run, and does not run any more.

    `created` has not: it counts as running, because whoever made it may start it at any moment. A `paused` one may be
    resumed; that its bot is silent shows elsewhere.
    """
    return status in _ENDED


def read_state(state: Mapping[str, Any]) -> Observation:
    """Read the `State` of a container's document."""
    if not has_ended(state["Status"]):
        return Running()
    code = int(state["ExitCode"])
    if state.get("OOMKilled") and code:
        # The kernel may have killed a renderer only, long ago: a bot that ended well did not end of that.
        return Exited(code, "out of memory", Reason.OUT_OF_MEMORY)
    return Exited(code, _explain(code, state.get("Error", "")))


def _explain(code: int, said: str) -> str:
    try:
        return said or f"killed by {signal.Signals(code - _SIGNALLED).name}"
    except ValueError:
        return said
