"""Launcher for Docker: each workload is a container, on one engine or on several by name.

The engines are the only memory: what is asked of a workload is asked of its host, so any number of managers see and
stop the same workloads. A workload is on the host that its name is hashed to. If the set of hosts is changed while
workloads run, the listing still covers them, and whoever is asked for one that is not at home looks elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.host import DockerHost
from usher.adapters.launchers.docker.hosts import PartialListing, home_of
from usher.domain.errors import Invalid, Unavailable
from usher.domain.reconcile import Gone, Observation, Unknown, WorkloadName
from usher.ports import WorkloadSpec

log = structlog.get_logger(__name__)

LOCAL_ENGINE = "unix:///var/run/docker.sock"
_LISTEN_AGAIN_S = 5.0


class DockerLauncher:
    """Runs workloads as containers.

    Args:
        hosts: Name of each host, and where its engine answers. The names decide which workload is where: they stay
            when an address changes.
        options: The same for all hosts.
    """

    def __init__(self, hosts: Mapping[str, str] | None = None, options: DockerOptions | None = None) -> None:
        self._options = options or DockerOptions()
        self._urls = dict(hosts or {"local": LOCAL_ENGINE})
        self._hosts = {name: DockerHost(url, self._options) for name, url in self._urls.items()}

    async def start(self, spec: WorkloadSpec) -> None:
        """Make a container and start it; one of that name is adopted, and left as it is if it has ended."""
        await self._home(spec.name).start(spec)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Send SIGTERM, kill all of the container after `grace_s`; what it left is kept until it is removed."""
        left = await self._home(name).stop(name, grace_s=grace_s)
        if isinstance(left, Gone) and (elsewhere := await self._stray(name)):
            return await elsewhere.stop(name, grace_s=grace_s)
        return left

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what the workload's host knows of it."""
        return await (await self._whereabouts(name)).observe(name)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """List every host at once; of those that do not answer, `get` says that their workloads are unknown."""
        answers = await asyncio.gather(*(_list_of(host) for host in self._hosts.values()))
        known: dict[WorkloadName, Observation] = {}
        for answer in answers:
            known |= answer or {}
        silent = frozenset(name for name, answer in zip(self._hosts, answers, strict=True) if answer is None)
        if not silent:
            return known
        log.warning("workloads_not_listed", hosts=sorted(silent))
        if len(silent) == len(self._hosts):
            return None
        return PartialListing(known, silent=silent, hosts=tuple(self._hosts), installation=self._options.installation)

    async def remove(self, name: WorkloadName) -> None:
        """Kill what may be left of a workload and delete its container with its volume.

        Raises:
            Unavailable: It could not be made sure that nothing of it is left.
        """
        await self._home(name).remove(name)
        if elsewhere := await self._stray(name):
            await elsewhere.remove(name)

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of the output."""
        return await (await self._whereabouts(name)).logs(name, last_bytes=last_bytes)

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left on its container's volume."""
        return await (await self._whereabouts(name)).last_words(name)

    async def listen(self, wake: Callable[[], None]) -> None:
        """Follow the events of every engine. Of several, one that falls silent is tried again by itself.

        Raises:
            Unavailable: The only engine does not answer, or stopped telling.
        """
        listen = {name: partial(host.listen, wake) for name, host in self._hosts.items()}
        if len(listen) == 1:
            await listen.popitem()[1]()
        async with asyncio.TaskGroup() as listening:
            for name, listen_to_one in listen.items():
                listening.create_task(_listen_again(name, listen_to_one))

    async def gateway(self) -> str:
        """Return at which address bots reach this machine, where it is the only host.

        Raises:
            Invalid: The bots run elsewhere as well: it has to be set.
            Unavailable: The engine does not answer, or cannot make the network of the bots.
        """
        (name, *others) = self._hosts
        if others or not self._urls[name].startswith("unix://"):
            raise Invalid("missing_setting", "Set USHER_BOTS__HOST: bots run on other machines than this one.")
        return await self._hosts[name].gateway()

    async def aclose(self) -> None:
        """Close the connections to the engines."""
        for host in self._hosts.values():
            await host.aclose()

    def _home(self, name: WorkloadName) -> DockerHost:
        return self._hosts[home_of(name.engine_name(self._options.installation), self._hosts)]

    async def _whereabouts(self, name: WorkloadName) -> DockerHost:
        """Return the host that a workload is on; its home if it is nowhere."""
        home = self._home(name)
        if len(self._hosts) > 1 and isinstance(await home.observe(name), Gone):
            return await self._stray(name) or home
        return home

    async def _stray(self, name: WorkloadName) -> DockerHost | None:
        """Find a workload that is not at home: it was started when there were other hosts.

        A host that does not answer does not count: a workload is on it only if the set of hosts was changed as well.
        """
        home = self._home(name)
        others = [host for host in self._hosts.values() if host is not home]
        seen = await asyncio.gather(*(host.observe(name) for host in others))
        return next((host for host, one in zip(others, seen, strict=True) if not isinstance(one, Gone | Unknown)), None)


async def _list_of(host: DockerHost) -> Mapping[WorkloadName, Observation] | None:
    try:
        return await host.list()
    except Unavailable:
        return None


async def _listen_again(host: str, listen: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await listen()
        except Unavailable as error:
            log.info("events_lost", host=host, why=error.detail)
        await asyncio.sleep(_LISTEN_AGAIN_S)
