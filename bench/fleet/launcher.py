"""The launcher of a manager whose bots are simulated: it asks the fleet's process."""

import asyncio
import base64
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.fleet.messages import LONGEST_LINE_BYTES, to_observation
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.reconcile import Observation, Running, WorkloadName, parse_workload_name
from usher.ports import WorkloadSpec

_ANSWER_S = 30.0


class FleetLauncher:
    """See `usher.ports.Launcher`. One connection to the fleet's process, made when it is first used.

    Args:
        path: Of the fleet's socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload once.

        Raises:
            LaunchRejected: It was ended before it began.
            Unavailable: The fleet does not answer.
        """
        answer = await self._ask("start", spec.name, environment=dict(spec.environment))
        if "rejected" in answer:
            raise LaunchRejected(answer["rejected"])

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Ask the bot to leave, and kill it after `grace_s`."""
        return to_observation(await self._ask("stop", name, grace_s=grace_s))

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        return to_observation(await self._ask("observe", name))

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all workloads that were not removed; one line tells them all, as a container engine's answer does."""
        answer = await self._ask("list", None)
        found: dict[WorkloadName, Observation] = dict.fromkeys(_names(answer["running"]), Running())
        found |= zip(_names(answer["others"]), map(to_observation, answer["others"].values()), strict=True)
        return found

    async def remove(self, name: WorkloadName) -> None:
        """Kill what is left of a workload and forget it."""
        await self._ask("remove", name)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return nothing: these bots print nothing."""
        del name, last_bytes
        return b""

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left behind."""
        return base64.b64decode((await self._ask("last_words", name))["words"])

    async def listen(self, wake: Callable[[], None]) -> None:  # noqa: ARG002 - it is the port's
        """Wait for ever."""
        await asyncio.Event().wait()

    async def _ask(self, do: str, name: WorkloadName | None, **more: object) -> dict[str, Any]:
        number = next(self._ids)
        try:
            writer = await self._connected()
            answer = self._asked[number] = asyncio.get_running_loop().create_future()
            writer.write(json.dumps({"id": number, "do": do, "name": str(name), **more}).encode() + b"\n")
            async with asyncio.timeout(_ANSWER_S):
                said: dict[str, Any] = await answer
                return said
        except OSError as error:  # TimeoutError is one
            raise Unavailable(f"The fleet does not answer ({type(error).__name__}).") from error
        finally:
            self._asked.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LONGEST_LINE_BYTES)
                self._reading = asyncio.create_task(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            answer = json.loads(line)
            if (asked := self._asked.get(answer["id"])) and not asked.done():
                asked.set_result(answer)
        self._writer = None
        for asked in self._asked.values():
            asked.set_exception(ConnectionResetError("the fleet is gone"))


def _names(texts: Mapping[str, object] | list[str]) -> list[WorkloadName]:
    return [name for text in texts if (name := parse_workload_name(text))]
