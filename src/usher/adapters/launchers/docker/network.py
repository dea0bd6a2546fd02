"""The network of the bots on one engine."""

from collections.abc import Mapping
from typing import Any

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.engine import Engine, Refused
from usher.domain.errors import Unavailable


class BotNetwork:
    """A bridge of the bots' own, on which no container reaches another one.

    What they reach beyond it is up to the host's firewall, whose rules go by the name of the bridge's interface.

    Source: docs.docker.com/engine/network/drivers/bridge (options of a bridge).
    """

    def __init__(self, engine: Engine, options: DockerOptions) -> None:
        self._engine = engine
        self._options = options
        self._seen = False

    async def ensure(self) -> None:
        """Make the network if it is not there; looks once. Made by several managers at once it is made once.

        Raises:
            Unavailable: The engine does not answer, or cannot make it.
        """
        if self._seen or await self._exists():
            self._seen = True
            return
        try:
            await self._engine.ask("POST", "networks/create", body=self._document())
        except Refused:
            # Names of networks are not unique for every engine, but no two have the same interface.
            if not await self._exists():
                raise
        self._seen = True

    def forget(self) -> None:
        """Look again the next time: a container was told that its network is missing."""
        self._seen = False

    async def gateway(self) -> str:
        """Return the host's own address on the network, at which bots reach what the host offers them.

        The network is made if it is missing.

        Raises:
            Unavailable: The engine does not answer, or the network has no such address.
        """
        await self.ensure()
        document = await self._find() or {}
        for subnet in (document.get("IPAM") or {}).get("Config") or ():
            if subnet.get("Gateway"):
                return str(subnet["Gateway"])
        raise Unavailable(f"the network {self._options.network} has no gateway")

    async def _exists(self) -> bool:
        return await self._find() is not None

    async def _find(self) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._engine.ask("GET", f"networks/{self._options.network}")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return found

    def _document(self) -> dict[str, object]:
        return {
            "Name": self._options.network,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Labels": {**self._options.label},
            "Options": {
                "com.docker.network.bridge.name": self._options.bridge,
                "com.docker.network.bridge.enable_icc": "false",
            },
        }
