"""B6: how long a dead bot goes unnoticed, and whether one that only hesitates is taken for dead."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

from bench.connections import Connections
from bench.creating import create_request
from bench.manager_process import Manager, open_manager
from bench.metric import Effort, Measured, Metric
from bench.waiting import until
from bench.world import World, open_world

_MOST_S = 25.0
_PAUSE_S = 3.0
_BETWEEN_S = 1.1
_READY_S = 120.0
_FOUND_S = 60.0

_STATES = "SELECT id, status FROM meetings"
_FOUND = """
SELECT meeting_id, min(extract(epoch FROM created_at))::float8 AS at FROM meeting_events
WHERE to_state IN ('error', 'completed', 'failed') GROUP BY meeting_id
"""


@dataclass(frozen=True, slots=True)
class _Cast:
    """Which meetings' bots die, and how, and which only hesitate."""

    killed: Sequence[int]
    frozen: Sequence[int]
    paused: Sequence[int]


class _Bots:
    """The processes of bots. Those of the launcher of processes outlive their manager: who leaves kills them.

    Args:
        directory: Where each has left its process id, in a file named by its meeting.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all that are left."""
        for path in self._directory.iterdir():
            with suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)

    def signal(self, meeting_id: int, number: signal.Signals) -> None:
        """Send a bot's process a signal."""
        os.kill(int((self._directory / str(meeting_id)).read_text()), number)

    async def pause(self, meeting_id: int) -> None:
        """Let a bot not run for a while."""
        self.signal(meeting_id, signal.SIGSTOP)
        await asyncio.sleep(_PAUSE_S)
        self.signal(meeting_id, signal.SIGCONT)


async def measure(effort: Effort) -> Measured:
    """Let bots in processes of their own die in two ways, and others and the manager hesitate meanwhile."""
    each = effort.pick(5, 1)
    async with open_world(effort) as world:
        directory = world.directory / "pids"
        directory.mkdir()
        settings = _settings(directory) | effort.pick(
            {}, {"USHER_LIFECYCLE__HEARTBEAT_S": "1", "USHER_LIFECYCLE__LEASE_S": "10"}
        )
        async with open_manager(world, None, settings=settings) as manager:
            with _Bots(directory) as bots:
                meetings = await _send(world, manager, 3 * each)
                cast = _Cast(meetings[:each], meetings[each : 2 * each], meetings[2 * each :])
                died = await _play(cast, bots, manager)
                await _found(world, died)
                found = {row["meeting_id"]: row["at"] for row in await world.database.fetch(_FOUND)}
    return _measured(cast, died, found)


def _measured(cast: _Cast, died: Mapping[int, float], found: Mapping[int, float]) -> Measured:
    took_s = {meeting: found.get(meeting, float("inf")) - at for meeting, at in died.items()}
    wrongly = sum(meeting in found for meeting in cast.paused)
    worst_s = max(took_s.values())
    return Measured(
        ratio=None,
        ci95=None,
        value=worst_s,
        met=worst_s <= _MOST_S and wrongly == 0,
        cpu_s_per_op=None,
        remarks=(
            _remark("killed", [took_s[meeting] for meeting in cast.killed]),
            _remark("frozen", [took_s[meeting] for meeting in cast.frozen]),
            f"{len(cast.paused)} bots that hesitated for {_PAUSE_S:g} s, and the manager too: {wrongly} taken for dead",
        ),
    )


def _settings(directory: Path) -> dict[str, str]:
    command = (sys.executable, "-m", "bench.fleet.lone", str(directory))
    return {"USHER_LAUNCHER__COMMAND": json.dumps(command), "USHER_LIFECYCLE__MAX_ATTEMPTS": "1"}


async def _send(world: World, manager: Manager, bots: int) -> Sequence[int]:
    """Send bots and return their meetings once all are inside."""
    (customer,) = await world.customers("detection", 1)
    connections = Connections(manager.port)
    for number in range(bots):
        await connections.send(create_request(customer, f"death-{number}").encode())
    connections.close()

    async def are_inside() -> bool:
        rows = await world.database.fetch(_STATES)
        return len(rows) == bots and all(row["status"] == "active" for row in rows)

    if not await until(are_inside, _READY_S):
        raise RuntimeError("not all bots came into their meetings")
    return [row["id"] for row in await world.database.fetch(f"{_STATES} ORDER BY id")]


async def _play(cast: _Cast, bots: _Bots, manager: Manager) -> Mapping[int, float]:
    """Let bots die one after another, at different times since their heartbeats; return when, seconds since epoch."""
    died = {}
    hesitating = [asyncio.create_task(bots.pause(meeting)) for meeting in cast.paused]
    for killed, frozen in zip(cast.killed, cast.frozen, strict=True):
        bots.signal(killed, signal.SIGKILL)
        died[killed] = time.time()
        await asyncio.sleep(_BETWEEN_S)
        bots.signal(frozen, signal.SIGSTOP)
        died[frozen] = time.time()
        await asyncio.sleep(_BETWEEN_S)
    await asyncio.gather(*hesitating)
    await manager.pause(_PAUSE_S)
    await asyncio.sleep(_BETWEEN_S)
    await asyncio.gather(*(bots.pause(meeting) for meeting in cast.paused))
    return died


async def _found(world: World, died: Mapping[int, float]) -> None:
    """Wait until every death was noticed."""

    async def are_found() -> bool:
        return died.keys() <= {row["meeting_id"] for row in await world.database.fetch(_FOUND)}

    await until(are_found, _FOUND_S)


def _remark(kind: str, took_s: Sequence[float]) -> str:
    return f"{len(took_s)} {kind}: found after {median(took_s):.1f} s (median), {max(took_s):.1f} s (worst)"


METRIC = Metric(
    title="bot dies (SIGKILL, or SIGSTOP for good) until its meeting is in `error`, the worst of ten",
    floor=None,
    unit="s at most",
    target=f"<= {_MOST_S:g} s, and nobody who hesitates for {_PAUSE_S:g} s is taken for dead",
    measure=measure,
)
