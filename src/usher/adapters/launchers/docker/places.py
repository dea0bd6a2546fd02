"""The number of bots that a host may have, kept by managers that do not know of each other."""

import asyncio
from typing import Any

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.engine import Engine, labelled

_STARTED = ("running", "paused", "restarting")
_LIVE = [*_STARTED, "created", "removing"]
_LOOK_S = 0.05
_PATIENCE_S = 5.0


class Places:
    """Counts the containers of one host.

    A container that is made takes part in the count before it is counted for, and only one that counted no more than
    the limit, itself included, is started. So of any that run at once the one that counted last has counted all of
    them. Those that were made and not started yet stand in line by their age: the ones for whom there is no place any
    more give up, and the others wait for them to be gone.
    """

    def __init__(self, engine: Engine, options: DockerOptions) -> None:
        self._engine = engine
        self._options = options

    async def take(self, container: str) -> bool:
        """Say whether a container that was made has a place, and may be started.

        Raises:
            Unavailable: The engine does not answer.
        """
        most = self._options.max_bots
        if most is None:
            return True
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _PATIENCE_S
        while True:
            live = await self._engine.ask("GET", "containers/json", params=self._query())
            if len(live) <= most:
                return True
            if _ahead_of(container, live) >= most or loop.time() >= give_up_at:
                return False
            await asyncio.sleep(_LOOK_S)

    def _query(self) -> dict[str, str]:
        return {"all": "1", **labelled(self._options.label, status=_LIVE)}


def _ahead_of(container: str, live: list[dict[str, Any]]) -> int:
    """Count those that run, and those that were made before; what is being removed is not in line any more."""
    own = min((_age(one) for one in live if one["Id"] == container), default=(0, container))
    return sum(one["State"] in _STARTED or (one["State"] == "created" and _age(one) < own) for one in live)


def _age(one: dict[str, Any]) -> tuple[int, str]:
    return one["Created"], one["Id"]
