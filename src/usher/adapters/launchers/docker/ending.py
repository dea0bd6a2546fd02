"""How a container comes to its end."""

import asyncio
from collections.abc import Collection

import structlog

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.engine import Engine, Refused
from usher.domain.errors import Unavailable
from usher.domain.reconcile import WorkloadName

log = structlog.get_logger(__name__)

_FIRST_LOOK_S, _SLOWEST_LOOK_S = 0.02, 0.2
_NOT_RUNNING = (404, 409)


class Endings:
    """Ends and deletes the containers of one engine."""

    def __init__(self, engine: Engine, options: DockerOptions) -> None:
        self._engine = engine
        self._options = options
        self._asked: set[str] = set()

    def forget_all_but(self, containers: Collection[str]) -> None:
        """Forget who was asked to end, of those that are gone."""
        self._asked.intersection_update(containers)

    async def end(self, name: WorkloadName, container: str, grace_s: float) -> None:
        """End what runs: ask it once, however many want it to end, and kill it when the first of them is out of grace.

        A process that is told a second time to end, while it is ending, may take that for an order to drop everything.

        Raises:
            Unavailable: The engine does not answer; it may have ended or not.
        """
        if grace_s > 0:
            if container not in self._asked:
                self._asked.add(container)
                await self._signal(container, "SIGTERM")
            if await self._has_ended(container, grace_s):
                return
        log.info("workload_killed", workload=str(name), grace_s=grace_s)
        await self._signal(container, "SIGKILL")
        await self._has_ended(container, self._options.kill_timeout_s)

    async def delete(self, container: str) -> None:
        """Delete a container and its volume, whatever state it is in; wait if somebody else does.

        Raises:
            Unavailable: The engine does not answer or cannot delete it.
        """
        self._asked.discard(container)
        loop, look_s = asyncio.get_running_loop(), _FIRST_LOOK_S
        give_up_at = loop.time() + self._options.kill_timeout_s
        while not await self._try_delete(container, last=loop.time() >= give_up_at):
            await asyncio.sleep(look_s)
            look_s = min(look_s * 1.5, _SLOWEST_LOOK_S)

    async def _try_delete(self, container: str, *, last: bool) -> bool:
        """Say whether the container is gone; False while somebody else is deleting it."""
        query, patience_s = {"force": "1", "v": "1"}, self._options.kill_timeout_s
        try:
            await self._engine.ask("DELETE", f"containers/{container}", params=query, timeout_s=patience_s)
        except Refused as refusal:
            if refusal.status == 409 and not last:
                return False
            if refusal.status != 404:
                raise
        return True

    async def _signal(self, container: str, signal: str) -> None:
        try:
            await self._engine.ask("POST", f"containers/{container}/kill", params={"signal": signal})
        except Refused as refusal:
            if refusal.status not in _NOT_RUNNING:
                raise
        except Unavailable:
            self._asked.discard(container)
            raise

    async def _has_ended(self, container: str, within_s: float) -> bool:
        """Wait for a container's end, and say whether it came in time."""
        answer_s = within_s + self._options.call_timeout_s
        try:
            async with asyncio.timeout(within_s):
                await self._engine.ask("POST", f"containers/{container}/wait", timeout_s=answer_s)
        except TimeoutError:
            return False
        except Refused as refusal:
            if refusal.status not in _NOT_RUNNING:
                raise
        return True
