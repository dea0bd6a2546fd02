"""What Nomad's records say of a workload. Pure."""

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from usher.adapters.launchers.nomad.job import TASK
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Observation, Running, Unknown

Record = Mapping[str, Any]

ENDED_BEFORE = "it was ended before it began"

_NS = 1_000_000_000
_TOLD = frozenset({"complete", "failed"})  # by the node itself
_ENDED = _TOLD | {"lost"}
_BEGINNING = re.compile(r"Driver Failure|Setup Failure|Failed Validation|Failed Artifact Download")
_NO_IMAGE = re.compile(
    r"failed to pull|pull access denied|no such image|manifest (for .* )?(not found|unknown)|failed to find docker",
    re.IGNORECASE,
)
# The agent was restarted, and what supervised the bot is gone; the code that comes with it is 0.
_NOT_SEEN = re.compile(r"error waiting on process|rpc error|plugin is shut down")
_MOST_TEXT = 300
_JUST_S = 3


def first_of(allocations: Sequence[Record]) -> Record | None:
    """Return the one allocation of a workload that may ever run: the first. Others are replacements."""
    return min(allocations, key=lambda one: int(one["CreateIndex"]), default=None)


def is_over(allocations: Sequence[Record], now_ns: int, certain_s: float) -> bool:
    """Say whether the bot of a workload does not run any more; `now_ns` and `certain_s` as below."""
    first = first_of(allocations)
    if first is None or first["ClientStatus"] in _TOLD:
        return True
    return _is_lost_for_good(first, now_ns, certain_s)


def observe_allocation(allocation: Record, now_ns: int, certain_s: float) -> Observation:
    """Say what is known of a workload by its first allocation.

    An allocation is lost when its node has not been heard for a while. The bot may run on there, cut off from the
    servers: nothing is concluded for a while.

    Args:
        allocation: As in a list of allocations.
        now_ns: When it was so, by the server's clock.
        certain_s: How long after it was lost it is taken for ended.
    """
    status = allocation["ClientStatus"]
    if status == "lost" and not _is_lost_for_good(allocation, now_ns, certain_s):
        return Unknown("its node does not answer; the bot may still run there")
    if status == "lost":
        return Exited(None, "its node was lost", Reason.NODE_LOST)
    if status == "unknown":
        return Unknown("its node is cut off")
    if status in _ENDED:
        return _ended(allocation)
    return Running()


def is_pending(allocation: Record) -> bool:
    """Say whether an allocation has been placed and has not begun."""
    return bool(allocation["ClientStatus"] == "pending")


def has_just_ended(allocation: Record, now_ns: int) -> bool:
    """Say whether an allocation has ended in the last seconds."""
    return allocation["ClientStatus"] in _ENDED and now_ns - int(allocation["ModifyTime"]) < _JUST_S * _NS


def was_signalled(allocation: Record) -> bool:
    """Say whether somebody has sent the bot a signal."""
    return any(event["Type"] == "Signaling" for event in _events(allocation))


def want_of_room(evaluation: Record) -> str:
    """Say in words why an evaluation is blocked."""
    metric = ((evaluation.get("FailedTGAllocs") or {}).get(TASK)) or {}
    lacks = [f"{what} exhausted on {nodes}" for what, nodes in sorted((metric.get("DimensionExhausted") or {}).items())]
    lacks += [f"{what} on {nodes}" for what, nodes in sorted((metric.get("ConstraintFiltered") or {}).items())]
    lacks += [f"quota: {what}" for what in metric.get("QuotaExhausted") or ()]
    nodes = metric.get("NodesEvaluated", 0)
    return f"no room: {', '.join(lacks) or 'no node is eligible'} of {nodes} nodes"[:_MOST_TEXT]


def _is_lost_for_good(allocation: Record, now_ns: int, certain_s: float) -> bool:
    return bool(allocation["ClientStatus"] == "lost" and now_ns - allocation["ModifyTime"] > certain_s * _NS)


def _ended(allocation: Record) -> Exited:
    events = _events(allocation)
    last = next((one for one in reversed(events) if one["Type"] == "Terminated"), None)
    taken = _taken_away(allocation)
    if last is None:
        said, reason = _never_began(events)
        return Exited(None, taken or said, Reason.PREEMPTED if taken else reason)
    said = str((last.get("Details") or {}).get("exit_message", ""))
    if _NOT_SEEN.search(said):
        return Exited(None, taken or "Nomad did not see its end", Reason.PREEMPTED if taken else None)
    code = int(last["ExitCode"]) or (128 + int(last["Signal"]) if last["Signal"] else 0)
    if (last.get("Details") or {}).get("oom_killed") == "true":
        return Exited(code, "killed for want of memory", Reason.OUT_OF_MEMORY)
    return Exited(code, taken or _by_signal(code), Reason.PREEMPTED if taken else None)


def _taken_away(allocation: Record) -> str:
    """Say who has taken the place away, if somebody has."""
    if allocation.get("PreemptedByAllocation"):
        return "its place was taken by something more important"
    if (allocation.get("DesiredTransition") or {}).get("Migrate"):
        return "it had to leave its node"
    return ""


def _never_began(events: Sequence[Record]) -> tuple[str, Reason | None]:
    failures = [one for one in events if _BEGINNING.fullmatch(one["Type"])]
    said = str(failures[-1].get("DisplayMessage") or failures[-1]["Type"])[:_MOST_TEXT] if failures else ""
    return said or ENDED_BEFORE, Reason.IMAGE_MISSING if _NO_IMAGE.search(said) else None


def _by_signal(code: int) -> str:
    try:
        return f"killed by {signal.Signals(code - 128).name}" if code > 128 else ""
    except ValueError:
        return ""


def _events(allocation: Record) -> Sequence[Record]:
    state = (allocation.get("TaskStates") or {}).get(TASK) or {}
    return list(state.get("Events") or ())
