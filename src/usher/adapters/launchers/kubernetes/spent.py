"""Names of workloads that were stopped or removed: none of them may be started again."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from usher.adapters.launchers.kubernetes.api import Document, KubernetesApi, Refusal
from usher.adapters.launchers.kubernetes.pod import labels, selector

_SPENT = "spent"
_KEPT = timedelta(hours=1)
_FORGET_EVERY_S = 600.0


class SpentNames:
    """One lease that nobody holds for each name, beside the pods, so that every manager of the installation sees it.

    Leases, because the right to them opens nothing else of a namespace, as the right to its secrets or its
    configuration would. Kept for an hour at least, by the clock of the API server alone.

    Args:
        api: The namespace.
        installation: Whose names these are.
    """

    def __init__(self, api: KubernetesApi, installation: str) -> None:
        self._api = api
        self._installation = installation
        self._forget_at = 0.0

    async def has(self, name: str) -> bool:
        """Say whether a name is spent, as of now: the API server asks its store."""
        return await self._api.find("leases", name) is not None

    async def add(self, name: str) -> None:
        """Note that a name is spent. Idempotent.

        Raises:
            Unavailable: It may be noted or not.
            Refusal: It is not noted.
        """
        metadata = {"name": name, "labels": labels(self._installation, _SPENT)}
        document = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        try:
            await self._api.create("leases", document)
        except Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise
            return
        now = asyncio.get_running_loop().time()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_S
            await self._forget()

    async def _forget(self) -> None:
        leases = [lease async for lease in self._api.each("leases", selector(self._installation, _SPENT))]
        newest = max(map(_made_at, leases), default=None)
        for lease in leases:
            if newest is not None and _made_at(lease) < newest - _KEPT:
                with suppress(Refusal):
                    await self._api.delete("leases", lease["metadata"]["name"], uid=lease["metadata"]["uid"])


def _made_at(lease: Document) -> datetime:
    return datetime.fromisoformat(lease["metadata"]["creationTimestamp"])
