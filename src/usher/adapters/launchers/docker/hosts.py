"""Which of several hosts a workload is on, and what is known of all while some of them are silent."""

import hashlib
from collections.abc import Iterable
from typing import TypeVar, overload

from usher.domain.reconcile import Observation, Unknown, WorkloadName

_T = TypeVar("_T")


def home_of(name: str, hosts: Iterable[str]) -> str:
    """Return the host on which a workload is to run: the same for every manager that knows the same names of hosts.

    Rendezvous hashing: the workloads are spread evenly, and a host that is added or taken away moves none between the
    others.
    """
    return max(hosts, key=lambda host: hashlib.blake2b(f"{host}\0{name}".encode(), digest_size=8).digest())


class PartialListing(dict[WorkloadName, Observation]):
    """The workloads of the hosts that answered.

    One that would be on a silent host is not absent but unknown: `get` says so.

    Args:
        known: What the others told.
        silent: The hosts that did not answer.
        hosts: All of them.
        installation: First part of the names on the engines.
    """

    def __init__(
        self,
        known: dict[WorkloadName, Observation],
        *,
        silent: frozenset[str],
        hosts: tuple[str, ...],
        installation: str,
    ) -> None:
        super().__init__(known)
        self._silent = silent
        self._hosts = hosts
        self._installation = installation

    @overload
    def get(self, name: WorkloadName, default: None = None, /) -> Observation | None: ...
    @overload
    def get(self, name: WorkloadName, default: Observation, /) -> Observation: ...
    @overload
    def get(self, name: WorkloadName, default: _T, /) -> Observation | _T: ...
    def get(self, name: WorkloadName, default: object = None, /) -> object:
        """Return what is known of a workload, `Unknown` where its host is silent, and else the default."""
        if name in self:
            return self[name]
        home = home_of(name.engine_name(self._installation), self._hosts)
        return Unknown(f"the host {home} does not answer") if home in self._silent else default
