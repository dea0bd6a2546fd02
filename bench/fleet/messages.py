"""What a manager's launcher and the fleet's process say to each other: lines of JSON over a Unix socket.

A question is `{"id": 1, "do": "start", "name": "usher-1-1", …}`; its answer has the same id. Questions are answered in
any order.
"""

from typing import Any

from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown

LONGEST_LINE_BYTES = 64 * 1024 * 1024


def from_observation(observation: Observation) -> dict[str, Any]:
    """Return what a launcher sees as JSON-compatible values."""
    match observation:
        case Running():
            return {"is": "running"}
        case Exited(code, detail):
            return {"is": "exited", "code": code, "detail": detail}
        case Gone():
            return {"is": "gone"}
        case Unknown(detail):
            return {"is": "unknown", "detail": detail}


def to_observation(said: dict[str, Any]) -> Observation:
    """Read what `from_observation` made."""
    match said["is"]:
        case "running":
            return Running()
        case "exited":
            return Exited(said["code"], said["detail"])
        case "gone":
            return Gone()
        case _:
            return Unknown(said["detail"])
